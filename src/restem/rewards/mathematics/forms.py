r"""The form of an answer: what it is, of what. The gold's form decides how it is compared.

Forms: special (time, date, range, base, name), ratio, words, logic, list, set, tuple (with its brackets), reals (a
union of intervals, an inequality), named (x = 1, y = 2), equation (a name and its value), relation, quantity.
"""

import re
from functools import lru_cache

from restem.rewards.mathematics.equality import same_expression
from restem.rewards.mathematics.form import MOST_PARTS, Form, any_reals, as_reals, gathered
from restem.rewards.mathematics.grammar import parse
from restem.rewards.mathematics.logic import truth_table
from restem.rewards.mathematics.nodes import Node, UnparseableError, difference, number
from restem.rewards.mathematics.quantities import Quantity, quantity_of
from restem.rewards.mathematics.sets import (
    REALS,
    RealSet,
    combined,
    intersection,
    name_of,
    of_chain,
    union,
)
from restem.rewards.mathematics.special import special_of
from restem.rewards.mathematics.splitting import (
    AND_OR,
    SIGNS,
    is_closed,
    split_and_or,
    split_signs,
    split_top,
    without_thousands,
)
from restem.rewards.mathematics.targets import target_of
from restem.rewards.mathematics.words import NUMBER_WORDS

_PAIR = 2
_DEEPEST = 8  # sets in sets
_CHOICE = re.compile(r"\(([A-Z])\)|([A-Z])\)|([A-Z])(?=[.:] )|\{?([A-Z])\}?$")
_WORDS = re.compile(r"[A-Za-z][A-Za-z'-]*(?: [A-Za-z][A-Za-z'-]*){0,7}")
_ORDERS = frozenset({"<", ">", "\\le", "\\ge", "\\ne"})
_BOTH_SIGNS = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_ALL_REALS = frozenset(
    ["\\mathbb{R}", "\\mathbb R", "\\R", "\\Reals", "all real numbers", "all reals", "real numbers", "the real numbers"]
)
_NOT_WORDS = frozenset(re.findall(r"\w+", "and or not plus minus times over squared cubed factorial choose mod"))
_OPENINGS = {"\\{": "{", "(": "(", "[": "[", "{": "{"}
_CLOSINGS = {"\\}": "}", ")": ")", "]": "]", "}": "}"}


@lru_cache(maxsize=4096)
def form_of(text: str) -> Form:
    """Return the form of a tidied text.

    Raises:
        UnparseableError: If it has none, or more than one.
    """
    return _read(text.strip(), 0)


def _read(text: str, depth: int) -> Form:
    if not text or depth > _DEEPEST:
        raise UnparseableError(text)
    for reader in (_special, _words, _logic, _signed, _combined, _relation, _list, _bracketed, _ratio):
        if (form := reader(text, depth)) is not None:
            return form
    return Form("quantity", quantity=quantity_of(text))


def _special(text: str, depth: int) -> Form | None:
    found = special_of(text)
    return None if found is None else Form("special", special=found)


def _words(text: str, depth: int) -> Form | None:
    """Return a letter of a choice, or words that are neither numbers nor letters multiplied."""
    if match := _CHOICE.match(text):
        letter = next(group for group in match.groups() if group)
        if match.end() == len(text) or (
            depth == 0 and (match[1] or match[2] or match[3]) and "=" not in text and "," not in text[:5]
        ):
            return Form("words", names=(letter,))
    if text in _ALL_REALS:
        return Form("reals", reals=RealSet((REALS,)))
    match = _WORDS.fullmatch(text)
    if match is None or len(text) == 1:
        return None
    try:
        return Form("quantity", quantity=quantity_of(text))
    except UnparseableError:
        words = re.sub(r"[ -]+", " ", text.casefold()).split()
        if NUMBER_WORDS.intersection(words) or (_NOT_WORDS.intersection(words) and len(words) > 1):
            raise
        return Form("words", names=tuple(words))


def _logic(text: str, depth: int) -> Form | None:
    table = truth_table(text)
    return None if table is None else Form("logic", table=table)


def _signed(text: str, depth: int) -> Form | None:
    r"""Return both of what \pm says."""
    if not _BOTH_SIGNS.search(text):
        return None
    if len(split_top(text, ",;")) > 1 or AND_OR.search(text):
        return None  # of the parts of a list
    upper = text.replace("\\pm", "+").replace("\\mp", "-")
    lower = text.replace("\\pm", "-").replace("\\mp", "+")
    return gathered([_read(side.strip(), depth + 1) for side in (upper, lower)])


def _combined(text: str, depth: int) -> Form | None:
    r"""Return a union, a difference, or inequalities joined by "and" or "or"."""
    if "\\cup" in text or "\\cap" in text or "\\backslash" in text:
        return _set_expression(text, depth)
    if not re.search(r"[<>]|\\(?:le|ge|ne)(?![A-Za-z])", text):
        return None
    parts = split_and_or(text)
    if len(parts) == 1:
        return None
    forms = [_read(part, depth + 1) for part in parts]
    if any(form.reals is None for form in forms):
        return Form("list", tuple(forms))
    words = {"and" if re.search(r"and|land", match[0]) else "or" for match in AND_OR.finditer(text)}
    reals = [form.reals for form in forms if form.reals is not None]
    if len(words) > 1 or len({one.name for one in reals}) > 1:
        raise UnparseableError(text)
    found = reals[0]
    for other in reals[1:]:
        joined = (
            intersection(found, other) if words == {"and"} else union(found.intervals + other.intervals, found.name)
        )
        if joined is None:
            raise UnparseableError(text)
        found = joined
    return Form("reals", reals=found)


def _set_expression(text: str, depth: int) -> Form | None:
    name = ""
    sides = re.split(r"\\in(?![A-Za-z])", text)
    if len(sides) == _PAIR:
        name, text = name_of(sides[0]), sides[1].strip()
        if not name:
            raise UnparseableError(text)
    elif re.search(r"[<>]|\\(?:le|ge)(?![A-Za-z])", text):
        raise UnparseableError(text)
    mark = next(mark for mark in ("\\cup", "\\cap", "\\backslash") if mark in text)
    if sum(other in text for other in ("\\cup", "\\cap", "\\backslash")) > 1:
        raise UnparseableError(text)
    sets = [any_reals(_read(part.strip(), depth + 1)) for part in text.split(mark)]
    if any(one is None for one in sets):
        raise UnparseableError(text)
    found = combined(mark, [one for one in sets if one is not None], name)
    if found is None:
        raise UnparseableError(text)
    return Form("reals", reals=found)


def _relation(text: str, depth: int) -> Form | None:
    """Return an equation, an inequality, or a name with the set it is in."""
    sides, signs = split_signs(text)
    if not signs or len(split_top(text, ";")) > 1:
        return None
    if len(split_top(text, ",")) > 1 and signs != ["\\in"] and not _is_one_equation(text):
        return None
    if len(split_and_or(text)) > 1:
        return None
    if signs == ["\\in"]:
        inside, name = _read(sides[1], depth + 1), name_of(sides[0])
        reals = as_reals(inside)
        if not name:
            raise UnparseableError(text)
        return (
            Form("reals", reals=reals._replace(name=name))
            if reals is not None
            else Form("equation", (inside,), (name,))
        )
    if set(signs) <= {"="}:
        return _equation(sides, depth)
    if not set(signs) <= _ORDERS:
        raise UnparseableError(text)
    return _inequality(sides, signs)


def _is_one_equation(text: str) -> bool:
    """Return whether the commas stand between the values of one name: x = 1, 2; (x, y) = (1, 2), (3, 4); x = 1,000."""
    parts = split_top(without_thousands(text), ",")
    return len(parts) == 1


def _equation(sides: list[str], depth: int) -> Form:
    left, value = sides[0], sides[-1]
    numeric = all(not re.search(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", "", side)) for side in sides)
    relation = _relation_node(left, value) if len(sides) == _PAIR else None
    target = target_of(left)
    if numeric:
        if relation is not None and not same_expression(relation, number(0)):
            raise UnparseableError("=".join(sides))  # 2 + 2 = 5
        return Form("equation", (_read(value, depth + 1),), ("",))
    if (
        target is None
        and len(sides) == _PAIR
        and (swapped := target_of(value)) is not None
        and len(value) <= _PAIR
        and not name_of(left)
    ):
        target, value = swapped, left  # 5 = x
    if target is None:
        if relation is None or len(sides) > _PAIR:
            raise UnparseableError("=".join(sides))
        return Form("relation", relation=(relation, "="))
    try:
        inside = _read(value, depth + 1)
    except UnparseableError:
        if relation is None:
            raise
        return Form("relation", relation=(relation, "="))
    if len(target) > 1 and inside.kind == "tuple" and len(inside.items) == len(target):
        return Form("named", inside.items, target)
    return Form(
        "equation",
        (inside,),
        target if len(target) == 1 else ("",),
        relation=None if relation is None else (relation, "="),
    )


def _relation_node(left: str, right: str) -> Node | None:
    try:
        return difference(parse(left), parse(right))
    except UnparseableError:
        return None


def _inequality(sides: list[str], signs: list[str]) -> Form:
    found = of_chain(sides, signs)
    if found is not None:
        return Form("reals", reals=found)
    if len(signs) > 1 or (node := _relation_node(sides[0], sides[1])) is None:
        raise UnparseableError(" ".join(sides))
    return Form("relation", relation=(node, signs[0]))


def _list(text: str, depth: int) -> Form | None:
    for separators in (";", ","):
        parts = split_top(text if separators == ";" else without_thousands(text), separators)
        if len(parts) > 1:
            parts = [re.sub(r"^(?:and|or) ", "", part) for part in parts]
            if separators == ",":
                parts = [one for part in parts for one in split_and_or(part)]
            return gathered([_read(part, depth + 1) for part in parts[: MOST_PARTS + 1]])
    parts = split_and_or(text)
    return gathered([_read(part, depth + 1) for part in parts]) if len(parts) > 1 else None


def _bracketed(text: str, depth: int) -> Form | None:
    """Return a set, a tuple, or what stands in brackets that only hold it together."""
    if text == "\\emptyset":
        return Form("set")
    opening = next((mark for mark in _OPENINGS if text.startswith(mark)), "")
    closing = next((mark for mark in _CLOSINGS if text.endswith(mark)), "")
    inner = text[len(opening) : len(text) - len(closing)].strip()
    if (
        not opening
        or not closing
        or len(text) < len(opening) + len(closing)
        or not is_closed(inner)
        or "\\begin" in inner
    ):
        return None
    brackets = _OPENINGS[opening] + _CLOSINGS[closing]
    parts = split_top(re.sub(r"(?<=\d),(?=\d)", ", ", inner) if ", " not in inner else without_thousands(inner), ",")
    if brackets == "{}" and (opening == "\\{" or len(parts) > 1):
        if len(parts) <= 1 and re.search(r"[|:]", inner):
            raise UnparseableError(text)
        return Form("set", tuple(item for part in parts for item in _items(_read(part, depth + 1))))
    if len(parts) > 1 and brackets in {"()", "[]", "(]", "[)"}:
        return Form("tuple", tuple(_read(part, depth + 1) for part in parts), brackets=brackets)
    is_group = brackets == "{}" or (brackets == "()" and SIGNS.search(inner) is not None)
    return _read(inner, depth + 1) if is_group and parts else None


def _items(form: Form) -> tuple[Form, ...]:
    return form.items if form.kind == "list" else (form,)


def _ratio(text: str, depth: int) -> Form | None:
    parts = split_top(text, ":")
    if len(parts) == 1:
        return None
    return Form("ratio", tuple(Form("quantity", quantity=Quantity(parse(part))) for part in parts))
