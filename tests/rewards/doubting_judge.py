"""A judge that doubts its first verdict on some answers, and writes down when it was at work."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restem.rewards.base import Judge
from restem.rewards.verdicts import Answer, Doubtful, Verdict, correct, refused


class DoubtingJudge(Judge):
    """Doubts what begins with "doubt"; with patience, hangs over "hang"."""

    def __init__(self, *, log: str) -> None:
        self._log = Path(log)

    def answer_of(self, gold: Mapping[str, Any], completion: str) -> Answer | None:
        return Answer(completion)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict | Doubtful:
        start, seen = time.monotonic(), self._log.read_text().count(f" {answer} ")
        while answer == "hang":
            time.sleep(1)
        time.sleep(0.02)
        with self._log.open("a") as stream:
            stream.write(f"{start} {time.monotonic()} {answer} \n")
        if answer.startswith("doubt"):
            return Doubtful(refused("timeout", answer) if not seen or answer == "doubtless" else correct(answer))
        return correct(answer)
