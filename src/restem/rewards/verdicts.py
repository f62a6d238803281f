"""What a reward says about a completion, and what a reward must know to say it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from restem.schemas import CORRECT

Question = Mapping[str, Any]  # one row of the table `questions`; its gold a dict or a JSON string
Gold = Mapping[str, Any]  # what the gold says, as a dict


class Verdict(NamedTuple):
    """A reward and the reason for it."""

    reward: float  # in [0, 1]
    reason: str  # one of restem.schemas.REASONS
    answer: str | None  # as extracted from the completion
    seconds: float = 0.0  # wall clock, rounded down to whole seconds: the same in a rerun
    found_by: str | None = None  # how the answer was found, as "box" or "last line"


class Answer(NamedTuple):
    """What a completion answers."""

    text: str
    found_by: str | None = None  # where it stood


class Doubtful(NamedTuple):
    """A verdict that the state of the machine may have decided: it is had again, with nothing else running."""

    verdict: Verdict


def correct(answer: str) -> Verdict:
    """Return the verdict on a right answer."""
    return Verdict(CORRECT, "correct", answer)


def refused(reason: str, answer: str | None) -> Verdict:
    """Return the verdict that earns nothing, for this reason."""
    return Verdict(0.0, reason, answer)


def gold_of(question: Question) -> dict[str, Any] | None:
    """Return the question's gold as a dict, or None if it is not one."""
    gold = question.get("gold")
    if isinstance(gold, str):
        try:
            gold = json.loads(gold)
        except (ValueError, RecursionError):
            return None
    return dict(gold) if isinstance(gold, Mapping) else None
