"""What a reward says about a completion, and what a reward must know to say it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

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


class Judge(Protocol):
    """One kind of reward. It is built twice from the same options: here, and in every worker process.

    `answer_of`, `gold_completion` and `wrong_completion` run in the calling process and must take time linear in
    the text; everything that can hang, crash or be attacked belongs in `judge`, which runs in a worker.

    A judge that holds time limits itself, and not by the clock alone, also has patience_s(subject): after so many
    seconds its worker is broken, which is a fault of ours and not of the completion. A judge that waits more than it
    computes has pool(), where its verdicts are made instead, without that limit; one whose verdicts are a model's says
    so in `opinion`. Options that decide no verdict are declared as `Harmless` (restem.parameters.decides) where they
    are taken.

    A judge that hands an answer to code that is not ours has `sandbox`: "required", or "wanted" if it can do without,
    and is then told so by left_open(why). needs_fresh(subject, answer) says whether a verdict needs a process of its
    own, and `shown` names files of its own that it must see in there.
    """

    libraries: tuple[str, ...]  # distributions whose versions decide over verdicts
    memory_bytes: int | None  # most that a worker may allocate; None is no limit
    sees_question: bool  # judge is given the whole question instead of its gold

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return what the completion answers, or None."""

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict | Doubtful:
        """Return the verdict on an answer. An exception means that the reward itself is broken."""

    def prepare(self) -> None:
        """Import what `judge` needs; called once, before workers are forked."""

    def gold_completion(self, gold: Gold) -> str | None:
        """Return a completion that must earn 1, or None if there is no such thing."""

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return a completion that must earn 0, or None if there is no such thing."""


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
