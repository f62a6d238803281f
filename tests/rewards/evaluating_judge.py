"""Judges that evaluate an answer as Python: what a scorer does that no gate stands before."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restem.rewards.base import Judge
from restem.rewards.verdicts import Answer, Verdict, correct, refused

STATE = {"verdict": "wrong"}


class EvaluatingJudge(Judge):
    memory_bytes = 1 << 30
    sandbox = "required"
    shown = (Path(__file__),)

    def needs_fresh(self, subject: Mapping[str, Any], answer: str) -> bool:
        return True

    def answer_of(self, gold: Mapping[str, Any], completion: str) -> Answer | None:
        return Answer(completion)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        value = eval(answer)
        return correct(answer) if value is True or STATE["verdict"] == "correct" else refused("wrong", answer)


def evaluates(question: dict[str, Any], completion: str) -> float:
    """A user's own reward of that kind."""
    return float(eval(completion) is True)
