"""Second verifiers: another way to come to the verdict `correct`, for the audit.

Each looks at a sample that its reward accepted, and says correct (it agrees), wrong (it does not), or gives another
reason: then it cannot tell. They are cruder than the rewards and independent of them where it matters; nothing is
learned from what they say.

- math: math-verify's own extraction and comparison, on the whole completion. Its parsers are not ours: it judges in the
  sandbox, in a process per verdict, and where there is no sandbox it cannot tell.
- code: the way of the public harnesses, tests and program in one process, in another sandbox, with listed tests in the
  opposite order. It finds what our proxies may hide, and what depends on the order; it cannot find weak tests.
- exact: floating point, or text without space and case, in place of exact values and text.
- reasoning_gym: the task's own answer, where that is a number; other tasks have many right answers.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.rewards.base import Judge
from restem.rewards.code import CodeJudge
from restem.rewards.exact import ExactJudge
from restem.rewards.math import MathJudge
from restem.rewards.reasoning_gym import ReasoningGymJudge
from restem.rewards.scoring import SingleReward, open_single
from restem.rewards.verdicts import Answer, Doubtful, Gold, Verdict, correct, refused

_ROUNDING = 1e-9  # relative, of floating point
_WHY_NOT = {
    "format": "the form is all that it asks for",
    "judge": "a model's opinion; read some of its verdicts",
    "majority": "there is no ground truth; read some of its verdicts",
    "reward_model": "a model's opinion; read some of its verdicts",
}


def why_no_second(name: str) -> str | None:
    """Return why a reward has no second verifier; None if it has one."""
    return None if name in _KINDS else _WHY_NOT.get(name, "only you know what your own function accepts")


def load_second(name: str, *, timeout_s: float, workers: int, **options: Any) -> SingleReward:
    """Return the second verifier of a reward, as a reward.

    Args:
        name: One that has a second verifier.
        timeout_s: As of the reward.
        workers: As of the reward.
        options: As of the reward.
    """
    limit = {"timeout_s": timeout_s} if _KINDS[name].judge.holds_limit else {}
    path = f"{SecondVerifier.__module__}:{SecondVerifier.__name__}"
    return open_single(f"second {name}", path, {"of": name, **options, **limit}, timeout_s=timeout_s, workers=workers)


class SecondVerifier(Judge):
    """What a reward is, but for its judgement."""

    def __init__(self, *, of: str, **options: Any) -> None:
        """Take the reward's name and its options."""
        self._kind = _KINDS[of]
        self._first = self._kind.judge(**options)
        self.libraries = (*self._first.libraries, *self._kind.libraries)
        self.memory_bytes = self._first.memory_bytes
        self.sources = (*self._first.sources, Path(__file__))
        self.sandbox = "wanted" if self._kind.sees_completion else ""
        self.holds_limit = self._first.holds_limit
        self._is_open = False

    def patience_s(self, subject: Mapping[str, Any]) -> float:
        """Return what the reward says."""
        return self._first.patience_s(subject)

    def left_open(self, why: str) -> None:
        """Take note that there is no sandbox."""
        self._is_open = True

    def needs_fresh(self, subject: Mapping[str, Any], answer: str) -> bool:
        """Return true: what a library of others makes of a completion is not known here."""
        return True

    def prepare(self) -> None:
        """Import what the reward needs, and so what this needs."""
        self._first.prepare()
        self._kind.prepare()

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the answer that the reward finds; or the completion, where its extraction is in question too."""
        return Answer(completion) if self._kind.sees_completion else self._first.answer_of(gold, completion)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict | Doubtful:
        """Return whether the answer is right, seen in another way."""
        if self._is_open:
            return refused("unparseable_answer", None)
        return self._kind.look(self._first, subject, answer)


def _prepare_math() -> None:
    """Import math-verify and parse once: its grammar builds its tables on first use."""
    import logging

    from math_verify import parse

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    parse("$x+1$")


def _second_math(first: MathJudge, subject: Mapping[str, Any], completion: str) -> Verdict:
    from math_verify import parse, verify

    text = str(subject.get("answer", ""))
    gold = parse(text if "$" in text or "\\boxed" in text else f"${text}$")
    found = parse(completion)
    if not gold:
        return refused("unparseable_gold", None)
    if not found:
        return refused("unparseable_answer", None)
    return correct(str(found[-1])) if verify(gold, found) else refused("wrong", str(found[-1]))


def _second_code(first: CodeJudge, subject: Mapping[str, Any], program: str) -> Verdict | Doubtful:
    backwards = {name: list(reversed(subject[name])) for name in ("call_tests", "stdin_tests") if subject.get(name)}
    return first.judge({**subject, **backwards, "in_process": True}, program)


def _second_exact(first: ExactJudge, subject: Mapping[str, Any], answer: str) -> Verdict:
    expected, kind = str(subject.get("answer", "")), subject.get("kind", first.kind)
    if kind == "number":
        left, right = _float(expected), _float(answer)
        if left is None or right is None:
            return refused("unparseable_answer", answer)
        nearly = float(first.tolerance) * (1 + _ROUNDING)
        is_same = math.isclose(left, right, rel_tol=_ROUNDING, abs_tol=nearly)
    elif kind == "regex":
        is_same = re.search(rf"\A(?:{expected})\Z", answer, first.flags) is not None
    elif kind == "choice":
        is_same = _first_letter(expected) == _first_letter(answer)
    else:
        is_same = _folded(expected) == _folded(answer)
    return correct(answer) if is_same else refused("wrong", answer)


def _second_reasoning_gym(first: ReasoningGymJudge, subject: Mapping[str, Any], answer: str) -> Verdict:
    expected = str(subject.get("answer", ""))
    if _folded(expected) == _folded(answer):
        return correct(answer)
    value, found = _float(expected), _float(answer)
    if value is None:
        return refused("unparseable_gold", answer)  # one right answer of many
    is_same = found is not None and math.isclose(value, found, rel_tol=_ROUNDING)
    return correct(answer) if is_same else refused("wrong", answer)


class _Kind(NamedTuple):
    judge: type[Judge]
    look: Callable[[Any, Mapping[str, Any], str], Verdict | Doubtful]
    sees_completion: bool = False  # and not only the answer that the reward found
    libraries: tuple[str, ...] = ()  # besides the reward's own
    prepare: Callable[[], None] = lambda: None  # imports them


_KINDS = {
    "math": _Kind(
        MathJudge,
        _second_math,
        sees_completion=True,
        libraries=("math-verify", "latex2sympy2_extended", "sympy"),
        prepare=_prepare_math,
    ),
    "code": _Kind(CodeJudge, _second_code),
    "exact": _Kind(ExactJudge, _second_exact),
    "reasoning_gym": _Kind(ReasoningGymJudge, _second_reasoning_gym),
}


def _float(text: str) -> float | None:
    """Return the value of a number or of a fraction, in floating point."""
    parts = [part.strip().replace(",", "").removesuffix("%").replace("$", "") for part in text.split("/")]
    try:
        values = [float(part) for part in parts]
        return values[0] / math.prod(values[1:])
    except (ValueError, ZeroDivisionError):
        return None


def _first_letter(text: str) -> str:
    return next((character.upper() for character in text if character.isalpha()), "")


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
