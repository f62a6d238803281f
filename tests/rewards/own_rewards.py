"""Rewards of a user's own, as the tests name them: "own_rewards:exact_text"."""

import os
import signal
import time
from pathlib import Path
from typing import Any


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
