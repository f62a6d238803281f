"""Rewards of a user's own, as the tests name them: "own_rewards:exact_text"."""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from restem.parameters.decides import Harmless
from restem.rewards import Answer, Judge, Verdict, correct, refused


def exact_text(question: dict[str, Any], completion: str) -> float:
    return float(question["gold"]["answer"] == completion)


def misbehaving(question: dict[str, Any], completion: str) -> float:
    if completion == "sleep":
        time.sleep(1000)
    while completion == "loop":
        pass
    if completion == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if completion == "raise":
        raise KeyError("boom")
    return 1.0


def too_generous(question: dict[str, Any], completion: str) -> float:
    return 2.0


def counting(question: dict[str, Any], completion: str, *, log: str) -> float:
    with Path(log).open("a") as stream:
        stream.write(completion + "\n")
    return 1.0


def process_id(question: dict[str, Any], completion: str) -> float:
    return os.getpid() / 1e9


def stopped_once(question: dict[str, Any], completion: str, *, log: str) -> float:
    """Stop, as a machine that sleeps stops a process, at the first time that a completion is seen."""
    mark = Path(log) / completion
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return 1.0


def busy(question: dict[str, Any], completion: str) -> float:
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    return 1.0


class Digits(Judge):
    """Compares the digits of a completion with the gold's, modulo a number."""

    def __init__(self, *, modulus: int = 10, loudness: Annotated[int, Harmless] = 1) -> None:
        if modulus < 1:
            raise ValueError(f"modulus must be at least 1, got {modulus}")
        self._modulus = modulus

    def answer_of(self, gold: Mapping[str, Any], completion: str) -> Answer | None:
        digits = "".join(character for character in completion if character.isdigit())
        return Answer(digits, "digits") if digits else None

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        is_same = (int(answer) - int(subject["answer"])) % self._modulus == 0
        return correct(answer) if is_same else refused("wrong", answer)

    def gold_completion(self, gold: Mapping[str, Any]) -> str:
        return str(gold["answer"])

    @classmethod
    def opinion_of(cls, options: Mapping[str, Any]) -> str:
        return f"what is left modulo {options.get('modulus', 10)}"
