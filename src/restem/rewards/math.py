r"""The reward for mathematics: the final answer equals the gold answer, however it is written.

Gold: {"answer": r"\frac{1}{2}"}. Built on math-verify's grammar, with our own extraction and normalisation before
it and our own comparison after it. A wrong answer taken for right is far worse than a right one missed: what cannot
be shown to be equal is wrong.

Where graders differ, options decide:

- box: "last" (default) takes the last run of boxes joined by "and", "or" or a comma as one list; "last_alone" only
  the last box; "first" the first.
- bare: what counts without a box, "answer is" or ####: "last" (default) formula or number; "whole" only texts that
  are nothing but an answer; "none".
- percent: "either" (default): 50% equals 50 and 0.5; "sign": 50 only; "value": 0.5 only.
- units: "lenient" (default): a unit may be missing, but 10 cm is not 10 m; "ignore": any units agree.
- order: "ignore" (default): 1, 2 equals 2, 1 in lists and sets, never in tuples; "keep".
- assignment: "lenient" (default): x = 5 equals 5, but not y = 5; "strict": only x = 5.
- decimals: 6 (default): a decimal with at least so many digits after the point may stand for a value that it
  approximates to all its digits, as 0.333333 for 1/3; null: exact values only.

Repetitions in lists do not count. Intervals, matrices and tuples keep their brackets and order. A variable keeps
its name.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.rewards.math_algebra import UnparseableError, constant_value, expressions_equal, parse
from restem.rewards.math_forms import Form, form_of, identity, tidy
from restem.rewards.math_numbers import Number, numbers_equal, read_number
from restem.rewards.math_text import LONGEST_ANSWER, extract_gold, extract_math
from restem.rewards.verdicts import Answer, Gold, Verdict, correct, refused

_OTHER_BASE = re.compile(r"\d_\{?\d")
_PAIR = 2  # an interval has two ends, and ab may be a product where abc is a word
_MOST_ITEMS = 64  # of a list that is compared without regard to order
_CHOICES = {
    "box": ("last", "last_alone", "first"),
    "bare": ("last", "whole", "none"),
    "percent": ("either", "sign", "value"),
    "units": ("lenient", "ignore"),
    "order": ("ignore", "keep"),
    "assignment": ("lenient", "strict"),
}


class Policies(NamedTuple):
    """What graders differ on; the module's docstring explains each."""

    box: str = "last"
    bare: str = "last"
    percent: str = "either"
    units: str = "lenient"
    order: str = "ignore"
    assignment: str = "lenient"
    decimals: int | None = 6


class MathJudge:
    """Compares a mathematical answer with the gold answer."""

    libraries = ("math-verify", "latex2sympy2_extended", "sympy")
    memory_bytes: int | None = 4 << 30
    sees_question = False
    sources = tuple(
        Path(__file__).with_name(f"{name}.py")
        for name in ("math", "math_text", "math_forms", "math_numbers", "math_algebra")
    )

    def __init__(self, **options: Any) -> None:
        """Check the options; the module's docstring explains them."""
        for name, value in options.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}, got {value!r}")
        decimals = options.get("decimals", 1)
        if decimals is not None and (not isinstance(decimals, int) or decimals < 1):
            raise ValueError(f"decimals must be at least 1, or null, got {decimals!r}")
        self._policies = Policies(**options)

    def prepare(self) -> None:
        """Import the grammar and sympy, and parse once: the grammar builds its tables on first use."""
        import logging

        logging.getLogger("math_verify").setLevel(logging.ERROR)
        parse(r"\frac{x}{2}+1")

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the answer as it stands in the completion."""
        return extract_math(completion, box=self._policies.box, bare=self._policies.bare)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return whether the answer equals the gold."""
        expected = tidy(extract_gold(str(subject.get("answer", ""))))
        if len(expected) > LONGEST_ANSWER or not identity(expected) or not _is_known(expected):
            return refused("unparseable_gold", answer)
        if len(answer) > LONGEST_ANSWER:
            return refused("unparseable_answer", answer)
        given = tidy(answer)
        if not identity(given):
            return refused("unparseable_answer", answer)
        try:
            same = _Comparison(self._policies).same(expected, given)
        except (UnparseableError, RecursionError):
            return refused("unparseable_answer", answer)
        except Exception:  # sympy, on a text that the grammar knows: TypeError, AttributeError, ...
            return refused("wrong", answer)
        return correct(answer) if same else refused("wrong", answer)

    def gold_completion(self, gold: Gold) -> str | None:
        r"""Return the gold in a box."""
        return rf"\boxed{{{extract_gold(str(gold.get('answer', '')))}}}"

    def wrong_completion(self, gold: Gold) -> str | None:
        r"""Return another number in a box."""
        number = read_number(tidy(extract_gold(str(gold.get("answer", "")))))
        return rf"\boxed{{{90817 if number is None else number.value + 1}}}"


def _is_known(text: str) -> bool:
    """Return whether a gold means something: a number, a word, a list of such, or mathematics."""
    form = form_of(text)
    if form.items and form.kind != "equation":
        return all(_is_known(item) for item in form.items)
    if form.kind in {"matrix", "equation"} or read_number(text) is not None or identity(text).isalnum():
        return True
    try:
        parse(text)
    except UnparseableError:
        return any(character.isalnum() for character in text)  # it can still be met letter by letter
    return True


class _Comparison:
    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    def same(self, gold: str, answer: str) -> bool:
        """Return whether two tidied texts are the same answer."""
        if identity(gold) == identity(answer):
            return True
        gold_number, number = read_number(gold), read_number(answer)
        if gold_number is not None and number is not None:
            return self._numbers(gold_number, number)
        if self._decimal_comma(gold, gold_number, answer) or self._decimal_comma(answer, number, gold):
            return True
        if _is_literal(gold) or _is_literal(answer):
            return False
        return self._forms(form_of(gold), form_of(answer), gold, answer)

    def _numbers(self, gold: Number, answer: Number) -> bool:
        if self._policies.units == "ignore":
            gold, answer = gold._replace(unit=frozenset()), answer._replace(unit=frozenset())
        return numbers_equal(gold, answer, percent=self._policies.percent, decimals=self._policies.decimals)

    def _decimal_comma(self, text: str, number: Number | None, other: str) -> bool:
        """Return whether the other is this decimal, written with a comma: 1,22 for 1.22, but never 1,222."""
        if number is None or not number.decimals or number.decimals in {1, 3}:
            return False
        return text.count(".") == 1 and "," not in text and other.replace(" ", "") == text.replace(".", ",")

    def _forms(self, gold: Form, answer: Form, gold_text: str, answer_text: str) -> bool:
        if "equation" in {gold.kind, answer.kind}:
            return self._equations(gold, answer, gold_text, answer_text)
        if gold.items and answer.items:
            return self._items(gold, answer)
        if gold.items or answer.items:
            return self._one_item(gold, answer) or (
                gold.kind != "list" != answer.kind and expressions_equal(gold_text, answer_text)
            )
        if gold.kind == answer.kind == "matrix":
            return [len(row) for row in gold.rows] == [len(row) for row in answer.rows] and all(
                self.same(left, right)
                for gold_row, row in zip(gold.rows, answer.rows, strict=True)
                for left, right in zip(gold_row, row, strict=True)
            )
        return self._expressions(gold.value, answer.value, gold_text, answer_text)

    def _expressions(self, gold: str, answer: str, gold_text: str, answer_text: str) -> bool:
        if (gold, answer) != (gold_text, answer_text):
            return self.same(gold, answer)  # without brackets, or what it is an element of
        for decimal, other in ((read_number(gold), answer), (read_number(answer), gold)):
            if decimal is not None and decimal.decimals and not decimal.unit and not decimal.percent:
                value = constant_value(other)
                if value is not None and decimal.is_near(value, decimals=self._policies.decimals):
                    return True
        return expressions_equal(_without_percent(gold), _without_percent(answer))

    def _one_item(self, gold: Form, answer: Form) -> bool:
        """Return whether a set of one, or a list of one repeated, is the other's one thing."""
        many, one = (gold, answer) if gold.items else (answer, gold)
        distinct = self._distinct(many.items)
        return (
            many.kind in {"set", "list"}
            and len(distinct) == 1
            and one.kind == "one"
            and self.same(distinct[0], one.value)
        )

    def _equations(self, gold: Form, answer: Form, gold_text: str, answer_text: str) -> bool:
        if gold.kind == answer.kind == "equation":
            if gold.target == answer.target or not gold.target or not answer.target:
                return self.same(gold.value, answer.value)
            return expressions_equal(gold_text, answer_text)
        equation, other = (gold, answer) if gold.kind == "equation" else (answer, gold)
        if other.kind == "relation":
            return expressions_equal(gold_text, answer_text)
        if self._policies.assignment == "strict" and equation.target:
            return False
        if equation is gold:
            return self.same(gold.value, answer_text)
        return self.same(gold_text, answer.value)

    def _items(self, gold: Form, answer: Form) -> bool:
        if gold.kind not in {"list", "set"} and answer.kind not in {"list", "set"} and gold.kind != answer.kind:
            return False
        if "set" in {gold.kind, answer.kind} and not {gold.kind, answer.kind} <= {"set", "list"}:
            return False
        bracketed = [form for form in (gold, answer) if form.kind not in {"list", "set"}]
        if bracketed:
            is_list = len(gold.items) > _PAIR or all(form.kind == "()" for form in bracketed)
            return (len(bracketed) == _PAIR or is_list) and self._in_order(gold.items, answer.items)
        if _names(gold) != _names(answer) and max(len(_names(gold)), len(_names(answer))) > 1:
            # x = 1, y = 2 against 2, 1: without its names an answer must keep the order.
            return not (_names(gold) and _names(answer)) and self._in_order(gold.items, answer.items)
        if self._policies.order == "keep":
            return self._in_order(gold.items, answer.items)
        return self._in_any_order(self._distinct(gold.items), self._distinct(answer.items))

    def _in_order(self, gold: tuple[str, ...], answer: tuple[str, ...]) -> bool:
        return len(gold) == len(answer) and all(self.same(*pair) for pair in zip(gold, answer, strict=True))

    def _in_any_order(self, gold: list[str], answer: list[str]) -> bool:
        if len(gold) != len(answer) or len(gold) > _MOST_ITEMS:
            return False
        left = list(answer)
        for item in gold:
            match = next((one for one in left if self._same_or_not(item, one)), None)
            if match is None:
                return False
            left.remove(match)
        return True

    def _same_or_not(self, gold: str, answer: str) -> bool:
        try:
            return self.same(gold, answer)
        except UnparseableError:
            return False  # a pair that cannot be compared is no match; another may be

    def _distinct(self, items: tuple[str, ...]) -> list[str]:
        kept: list[str] = []
        for item in items[: _MOST_ITEMS + 1]:
            if not any(self._same_or_not(item, one) for one in kept):
                kept.append(item)
        return kept


def _names(form: Form) -> frozenset[str]:
    return frozenset(target for item in form.items if (target := form_of(item).target))


def _is_literal(text: str) -> bool:
    """Return whether the text means itself only: a letter, a word, a phrase, a numeral in another base."""
    plain = identity(text)
    is_word = plain.isalpha() and len(plain) != _PAIR and "\\" not in text.replace("\\text", "")
    return is_word or _OTHER_BASE.search(plain) is not None


def _without_percent(text: str) -> str:
    return text.removesuffix("%")
