"""Numbers of what is being done, told while it is done to whoever listens; without a listener nothing is kept.

Who does the work says what it is of and how far it is (`report`), who runs a pipeline listens, and neither knows the
other.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

TRAINING = "training"  # a reading's `of`: a row of the training log, by optimizer step
EVERY_S = 2.0  # that work which counts in small steps reports at most; its last state always


class Reading(NamedTuple):
    """Some numbers at one moment."""

    of: str  # what was done, as a path: sampling, evaluation/greedy, training
    step: int  # what it is counted by, rising: samples, optimizer steps
    values: Mapping[str, float]


_listener: Callable[[Reading], None] | None = None


def listen(listener: Callable[[Reading], None] | None) -> None:
    """Have readings told to a listener; None tells nobody."""
    global _listener  # noqa: PLW0603 - one run at a time is listened to in a process
    _listener = listener


def report(of: str, step: int, values: Mapping[str, float]) -> None:
    """Tell whoever listens."""
    if _listener is not None:
        _listener(Reading(of, step, values))
