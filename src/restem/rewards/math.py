r"""The reward for mathematics: the final answer equals the gold answer, however it is written.

Gold: {"answer": r"\frac{1}{2}"}. Four steps, each in restem.rewards.mathematics: the answer is found (text, prose),
written in one way (tidy), read as one of the forms of answers (forms), and compared as the gold's form is (comparison,
equality). A wrong answer taken for right is far worse than a right one missed: a text with a word that is neither
number nor unit, or with two readings, is unparseable, and what cannot be shown to be equal is wrong.

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
from typing import Any

from restem.questions import boxes
from restem.rewards.base import Judge
from restem.rewards.mathematics.comparison import Comparison, Policies
from restem.rewards.mathematics.form import Form, is_known, name_of_form
from restem.rewards.mathematics.forms import form_of
from restem.rewards.mathematics.nodes import UnparseableError
from restem.rewards.mathematics.text import LONGEST_ANSWER, extract_gold, extract_math
from restem.rewards.mathematics.tidy import identity, tidy
from restem.rewards.verdicts import Answer, Gold, Verdict, correct, refused

_DECIMAL = re.compile(r"-?\d+\.(?:\d{2}|\d{4,})")
_CHOICES = {
    "box": ("last", "last_alone", "first"),
    "bare": ("last", "whole", "none"),
    "percent": ("either", "sign", "value"),
    "units": ("lenient", "ignore"),
    "order": ("ignore", "keep"),
    "assignment": ("lenient", "strict"),
}


class MathJudge(Judge):
    """Compares a mathematical answer with the gold answer."""

    libraries = ("mpmath",)
    memory_bytes = 4 << 30
    sources = (Path(__file__), Path(boxes.__file__), *sorted(Path(__file__).with_name("mathematics").glob("*.py")))

    def __init__(self, **options: Any) -> None:
        """Check the options; the module's docstring explains them."""
        for name, value in options.items():
            if name in _CHOICES and value not in _CHOICES[name]:
                raise ValueError(f"{name} must be one of {', '.join(_CHOICES[name])}, got {value!r}")
        decimals = options.get("decimals", 1)
        if decimals is not None and (not isinstance(decimals, int) or decimals < 1):
            raise ValueError(f"decimals must be at least 1, or null, got {decimals!r}")
        self._policies = Policies(**options)
        self._comparison = Comparison(self._policies)

    def prepare(self) -> None:
        """Import mpmath, and judge once."""
        self.judge({"answer": r"\sqrt{8}"}, r"2\sqrt{2}")

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the answer as it stands in the completion."""
        return extract_math(
            completion, gold=str(gold.get("answer", "")), box=self._policies.box, bare=self._policies.bare
        )

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return whether the answer equals the gold."""
        expected = tidy(extract_gold(str(subject.get("answer", ""))))
        form = _gold_form(expected)
        if form is None or len(expected) > LONGEST_ANSWER:
            return refused("unparseable_gold", answer)
        if len(answer) > LONGEST_ANSWER:
            return refused("unparseable_answer", answer)
        given = tidy(answer)
        if identity(expected) == identity(given) or _with_decimal_comma(expected, given):
            return correct(answer)
        try:
            read = form_of(given)
        except (UnparseableError, RecursionError):
            return refused("unparseable_answer", answer)
        is_same = not isinstance(form, str) and self._comparison.same(form, read)
        return correct(answer) if is_same else refused("wrong", answer)

    def form_of(self, gold: Gold) -> str:
        """Return the form of the gold, by which it is compared."""
        form = _gold_form(tidy(extract_gold(str(gold.get("answer", "")))))
        return name_of_form(form) if isinstance(form, Form) else "the same letters"

    def gold_completion(self, gold: Gold) -> str | None:
        r"""Return the gold in a box."""
        return rf"\boxed{{{extract_gold(str(gold.get('answer', '')))}}}"

    def wrong_completion(self, gold: Gold) -> str | None:
        r"""Return another number in a box."""
        number = re.fullmatch(r"-?\d{1,30}", tidy(extract_gold(str(gold.get("answer", "")))))
        return rf"\boxed{{{90817 if number is None else int(number[0]) + 1}}}"


def _gold_form(text: str) -> Form | str | None:
    """Return the form of a gold; the text itself if only the same letters can meet it; None if it means nothing."""
    if not any(character.isalnum() for character in text) and text not in {"\\{\\}", "\\emptyset"}:
        return None
    try:
        form = form_of(text)
    except (UnparseableError, RecursionError):
        return text
    return form if is_known(form) else None


def _with_decimal_comma(gold: str, answer: str) -> bool:
    """Return whether one is the other with a decimal comma: 1,22 for 1.22, but neither 1,2 nor 1,222."""
    return any(
        _DECIMAL.fullmatch(one) is not None and one.replace(".", ",") == other
        for one, other in ((gold, answer), (answer, gold))
    )
