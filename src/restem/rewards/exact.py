"""Rewards for answers that can be compared without knowing a subject: text, numbers, patterns, letters.

Options (gold may override `kind` for its question: {"answer": "B", "kind": "choice"}):

- kind: "string" (default) compares text with runs of space made one; "number" compares exact values; "regex" takes the
  gold as a pattern that must match the whole answer; "choice" compares the letters of a multiple choice: what a text
  is, begins with, boxes or states as its answer, where that is one letter and no word.
- extract: where the answer stands, "whole" by default; several, as "tag,answer_is,whole", are tried in order.
- case: "fold" (default) or "keep"; of strings and patterns. Letters of choices are always folded.
- tolerance: largest difference of numbers that are equal, 0 by default: 0.1 and 1/10 are equal, 0.33 and 1/3 are not.
"""

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from restem.questions import boxes
from restem.rewards.base import Judge
from restem.rewards.choices import letter_of
from restem.rewards.extraction import checked_ways, extract, in_form
from restem.rewards.verdicts import Answer, Gold, Verdict, correct, refused

_Read = TypeVar("_Read")
_KINDS = ("string", "number", "regex", "choice")
_NUMBER = re.compile(r"([-+]?)\$?((?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?)(?:[eE]([-+]?\d{1,4}))?(?:\s*/\s*(\d+))?\s*%?")
_LONGEST_NUMBER = 4000  # characters; Python refuses to read integers beyond 4,300 digits


class ExactJudge(Judge):
    """Compares an answer with the gold answer."""

    memory_bytes = 4 << 30
    sources = (
        *(Path(__file__).with_name(f"{name}.py") for name in ("exact", "extraction", "choices")),
        Path(boxes.__file__),
    )

    def __init__(
        self, *, kind: str = "string", extract: str = "whole", case: str = "fold", tolerance: float = 0.0
    ) -> None:
        """Check the options; the module's docstring explains them."""
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
        if case not in {"fold", "keep"}:
            raise ValueError(f"case must be 'fold' or 'keep', got {case!r}")
        if not float(tolerance) >= 0.0:
            raise ValueError(f"tolerance must be at least 0, got {tolerance!r}")
        self.kind, self._case = kind, case
        self.flags = re.IGNORECASE if case == "fold" else 0  # of patterns
        self._ways = checked_ways(extract)
        self.tolerance = Fraction(str(tolerance))

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the answer where `extract` finds it."""
        found = extract(completion, self._ways)
        if found is None or gold.get("kind", self.kind) != "choice":
            return found
        return Answer(letter_of(found.text) or found.text, found.found_by)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return whether the answer equals the gold."""
        expected = str(subject.get("answer", "")).strip()
        compare = {
            "string": self._string,
            "number": self._number,
            "regex": self._pattern,
            "choice": self._choice,
        }.get(subject.get("kind", self.kind))
        if not expected or compare is None:
            return refused("unparseable_gold", answer)
        reason = compare(expected, answer)
        return correct(answer) if reason == "correct" else refused(reason, answer)

    def _string(self, expected: str, answer: str) -> str:
        return "correct" if self._plain(expected) == self._plain(answer) else "wrong"

    def _plain(self, text: str) -> str:
        text = " ".join(text.split())
        return text.casefold() if self._case == "fold" else text

    def _number(self, expected: str, answer: str) -> str:
        return _compared(read_number, expected, answer, lambda gold, value: abs(value - gold) <= self.tolerance)

    def _pattern(self, expected: str, answer: str) -> str:
        try:
            pattern = re.compile(expected, self.flags)
        except re.error:
            return "unparseable_gold"
        return "correct" if pattern.fullmatch(answer) else "wrong"

    def _choice(self, expected: str, answer: str) -> str:
        return _compared(letter_of, expected, answer, operator.eq)

    def form_of(self, gold: Gold) -> str:
        """Return the kind of the gold."""
        return str(gold.get("kind", self.kind))

    def gold_completion(self, gold: Gold) -> str | None:
        """Return the gold answer in the asked form; None for patterns, of which no match is known."""
        if gold.get("kind", self.kind) == "regex":
            return None
        return in_form(self._ways[0], str(gold.get("answer", "")))

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return another answer in the asked form."""
        answer = str(gold.get("answer", ""))
        kind = gold.get("kind", self.kind)
        if kind == "number":
            value = read_number(answer)
            answer = "not a number" if value is None else str(value + 1 + self.tolerance)
        elif kind == "choice":
            answer = "B" if letter_of(answer) == "A" else "A"
        else:
            answer = f"not {answer}"
        return in_form(self._ways[0], answer)


def _compared(
    read: Callable[[str], _Read | None], expected: str, answer: str, same: Callable[[_Read, _Read], bool]
) -> str:
    """Return the reason of the verdict on what is read in the gold and in the answer."""
    gold, value = read(expected), read(answer)
    if gold is None:
        return "unparseable_gold"
    if value is None:
        return "unparseable_answer"
    return "correct" if same(gold, value) else "wrong"


def read_number(text: str) -> Fraction | None:
    """Return the exact value of "1,234", "-0.5", "1/3", "1e-3", "$5" or "12%" (12), or None."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > _LONGEST_NUMBER or not any(char.isdigit() for char in match[2]):
        return None
    sign, digits, exponent, denominator = match.groups()
    if denominator is not None and int(denominator) == 0:
        return None
    value = Fraction(digits.replace(",", "")) / int(denominator or 1)
    if exponent:
        value *= Fraction(10) ** int(exponent)
    return -value if sign == "-" else value
