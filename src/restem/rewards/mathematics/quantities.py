r"""An expression with what stands around it: a sign or number in words, a currency, a percent sign, a unit."""

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from restem.rewards.mathematics.equality import compare, is_defined, same_expression, value_of, without_degrees
from restem.rewards.mathematics.exact import TooLargeError, UndefinedError, exact
from restem.rewards.mathematics.grammar import parse
from restem.rewards.mathematics.matrices import matrix_of
from restem.rewards.mathematics.nodes import PI, Node, UnparseableError, free_variables, kinds_of, number
from restem.rewards.mathematics.units import CURRENCY, DEGREE, NO_UNIT, RADIAN, Unit, currency, unit_of
from restem.rewards.mathematics.words import number_in_words

_FEWEST_DIGITS = 5  # significant, of a decimal that may stand for a value that it only approximates
_WORD_START = re.compile(  # where a unit may begin
    r"(?<=[\d)}\]a-z°A-Z%|.']) ?(?<![A-Za-z\\])(?=[A-Za-zΩμ]|° ?[CF])|(?<=\d)(?=[a-z])|°(?= ?[CF]\b)"
    r"|(?<=[a-z]) (?=[a-z])"
)
_SIGN_WORD = re.compile(r"(?:minus|negative) (?=[^-+\s])", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"([-+]?)(\d+(?:\.\d+)?|\.\d+)[eE]([-+]?\d{1,3})")
_MINUTES = re.compile(r"(\d+) ?° ?(?:(\d{1,2}(?:\.\d+)?) ?')(?: ?(\d{1,2}(?:\.\d+)?) ?(?:''|\"))?")
_MOST_WORDS = 12
_NEAR_DIGITS = 60
_COMMAND = re.compile(r"\\[A-Za-z]+")


class Quantity(NamedTuple):
    """An expression, and what it counts."""

    node: Node
    unit: Unit = NO_UNIT
    percent: bool = False
    plain: Node | None = None  # the text as an expression without a unit, if it is that too: 5 m may be a product

    @property
    def decimals(self) -> int:
        """Return the digits after the point of a plain decimal, else 0."""
        node = self.node.parts[0] if self.node.kind == "neg" else self.node
        return int(node.name) if node.kind == "num" and node.name else 0


@lru_cache(maxsize=4096)
def quantity_of(text: str) -> Quantity:
    """Return the quantity that a tidied text is.

    Raises:
        UnparseableError: If it is none: a word that is neither number nor unit, or two readings.
    """
    if match := _SIGN_WORD.match(text):
        if not re.search(r"\d|\\", text):
            pass
        elif text[match.end()].isdigit() or text[match.end()] in "\\$€£":
            text = "-" + text[match.end() :]
    if match := _MINUTES.fullmatch(text):
        value = int(match[1]) + Fraction(match[2]) / 60 + Fraction(match[3] or 0) / 3600
        return Quantity(number(value), DEGREE)
    text, sign_unit = _without_currency(text)
    percent = text.endswith("%") or text.endswith(" percent")
    text = text.removesuffix("%").removesuffix(" percent").rstrip()
    found = _with_unit(text)
    if found is None:
        found = Quantity(_node(text))
    if sign_unit != NO_UNIT:
        if percent or found.unit not in (NO_UNIT, sign_unit):
            raise UnparseableError(text)
        found = found._replace(unit=sign_unit, plain=None)
    elif percent and found.unit != NO_UNIT:
        raise UnparseableError(text)
    if "deg" in kinds_of(found.node) and without_degrees(found.node) != found.node:
        if found.unit != NO_UNIT:
            raise UnparseableError(text)
        found = found._replace(node=without_degrees(found.node), unit=DEGREE)
    return found._replace(percent=percent)


def _without_currency(text: str) -> tuple[str, Unit]:
    negative = text.startswith("-")
    rest = text[1:].lstrip() if negative else text
    if match := CURRENCY.match(rest):
        after = rest[match.end() :].lstrip()
        if not after or (negative and after.startswith("-")):
            raise UnparseableError(text)
        return ("-" if negative else "") + after, currency(match[0])
    if text and text[-1] in "$€£¥₹₽₩":
        return text[:-1].rstrip().removesuffix("\\").rstrip(), currency(text[-1])
    return text, NO_UNIT


def _with_unit(text: str) -> Quantity | None:
    """Return the quantity whose number is followed by the longest unit; None if there is no unit."""
    starts = [match.end() if match[0] != "°" else match.start() for match in _WORD_START.finditer(text)]
    for start in starts[-_MOST_WORDS:]:
        unit = unit_of(text[start:].strip())
        if unit is None or (len(text) - start == 1 and start and text[start - 1].isdigit()):
            continue  # 5m is a product
        before = text[:start].rstrip().removesuffix("-").rstrip()
        try:
            node = _node(before)
        except UnparseableError:
            continue
        return Quantity(node, unit, plain=_plain(text))
    return None


def _plain(text: str) -> Node | None:
    try:
        return parse(text)
    except UnparseableError:
        return None


def _node(text: str) -> Node:
    if match := _SCIENTIFIC.fullmatch(text):
        value = Fraction(match[2]) * Fraction(10) ** int(match[3])
        return number(-value if match[1] == "-" else value)
    if re.search(r"[a-z]{3}", _COMMAND.sub("", text)) and (value_in_words := number_in_words(text)) is not None:
        return number(value_in_words)
    return parse(text)


def is_known_quantity(quantity: Quantity) -> bool:
    """Return whether a gold has a value."""
    cells = [cell for row in matrix_of(quantity.node) or () for cell in row]
    return all(bool(free_variables(node)) or is_defined(node) for node in cells or [quantity.node])


def same_quantity(gold: Quantity, answer: Quantity, *, percent: str, units: str, decimals: int | None) -> bool:
    """Return whether two quantities are the same.

    Args:
        gold: The one that is right.
        answer: The one to judge.
        percent: "sign" takes % as a unit that may be left out, "value" as 1/100, "either" allows both.
        units: "lenient" or "ignore".
        decimals: Fewest decimals of a number that may approximate the other; None for exact only.
    """
    if gold.plain is not None and answer.unit == NO_UNIT and same_expression(gold.plain, answer.node):
        return True
    if answer.plain is not None and gold.unit == NO_UNIT and free_variables(gold.node):
        return same_expression(gold.node, answer.plain)
    pair = _in_one_unit(gold, answer, units)
    if pair is None:
        return False
    left, right = pair
    if gold.percent == answer.percent:
        return same_expression(left, right) or _near(gold, answer, left, right, decimals)
    is_share = percent == "either" and answer.percent and _is_below_one(gold)
    if percent != "value" and not is_share and same_expression(left, right):
        return True
    as_shares = [
        _times(node, Fraction(1, 100)) if one.percent else node for one, node in ((gold, left), (answer, right))
    ]
    return percent != "sign" and same_expression(*as_shares)


def _is_below_one(quantity: Quantity) -> bool:
    """Return whether a number is a share: 0.25 is 25%, and not 0.25%."""
    return compare(Node("call", (quantity.node,), name="abs"), number(1)) == -1


def _in_one_unit(gold: Quantity, answer: Quantity, units: str) -> tuple[Node, Node] | None:
    """Return both as numbers of one unit; None if there is none."""
    if units == "ignore" or gold.unit == answer.unit:
        return gold.node, answer.node
    angles = {DEGREE, RADIAN}
    if gold.unit in angles or answer.unit in angles:
        return _as_angles(gold, answer)
    if NO_UNIT in (gold.unit, answer.unit):
        return gold.node, answer.node
    if gold.unit.measures != answer.unit.measures:
        return None
    return _times(gold.node, gold.unit.factor), _times(answer.node, answer.unit.factor)


def _as_angles(gold: Quantity, answer: Quantity) -> tuple[Node, Node] | None:
    r"""Return two angles in one measure: without a unit, \pi means radians, all else what the other is measured in."""
    measured = [_angle(one, other) for one, other in ((gold, answer), (answer, gold))]
    if None in measured:
        return None
    if measured[0] == measured[1]:
        return gold.node, answer.node
    half_turn = Node("div", (PI, number(180)))
    left, right = (
        Node("mul", (one.node, half_turn)) if unit == DEGREE else one.node
        for one, unit in zip((gold, answer), measured, strict=True)
    )
    return left, right


def _angle(one: Quantity, other: Quantity) -> Unit | None:
    if one.unit in (DEGREE, RADIAN):
        return one.unit
    if one.unit != NO_UNIT or one.percent:
        return None
    return RADIAN if "pi" in kinds_of(one.node) else other.unit


def _times(node: Node, factor: Fraction) -> Node:
    return Node("mul", (node, number(factor)))


def _near(gold: Quantity, answer: Quantity, left: Node, right: Node, decimals: int | None) -> bool:
    """Return whether one is a decimal that the other has to all its digits, as 0.333333 and 1/3."""
    if decimals is None or left != gold.node or right != answer.node:
        return False
    coarse = [one for one in (gold, answer) if one.decimals]
    if not coarse:
        return False
    one = min(coarse, key=lambda quantity: quantity.decimals)
    if one.decimals < decimals:
        return False
    value, other = exact(one.node), _fraction(answer.node if one is gold else gold.node)
    if value is None or other is None:
        return False
    unit = Fraction(1, 10**one.decimals)
    rounded = abs(value - other) <= unit / 2
    cut_off = 0 <= abs(other) - abs(value) < unit and value * other > 0
    return abs(value) >= unit * 10 ** (_FEWEST_DIGITS - 1) and (rounded or cut_off)


def _fraction(node: Node) -> Fraction | None:
    """Return the value of a real constant as a fraction, good to 50 digits."""
    from mpmath import mp

    if free_variables(node):
        return None
    try:
        value = exact(node)
        if value is not None:
            return value
        found = value_of(node, _NEAR_DIGITS)
    except (UndefinedError, TooLargeError, OverflowError, ZeroDivisionError):
        return None
    if isinstance(found, mp.mpc) or abs(found) > 10**30:
        return None
    with mp.workdps(_NEAR_DIGITS):
        return Fraction(int(mp.nint(found * mp.mpf(10) ** 55)), 10**55)
