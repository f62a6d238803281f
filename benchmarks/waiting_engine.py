"""An engine that waits instead of computing, so that what is measured is what stands around it."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from restem.engines.scripted import ScriptedEngine
from restem.parameters.decides import Harmless


class WaitingEngine:
    """Takes the same time for every shard, and leaves a file named by its process when it begins one."""

    def __init__(self, seconds: float, marks: str) -> None:
        """Wait so long, and leave marks in that folder."""
        self._seconds, self._marks = seconds, Path(marks)
        self._script = ScriptedEngine({}, ["1", "2", "3"])

    def sample(self, prompts: list[str], **arguments: Any) -> Iterator[Any]:
        """Return what the scripted engine answers, after a while."""
        (self._marks / f"{os.getpid()}-{uuid.uuid4().hex}").touch()
        time.sleep(self._seconds)
        return self._script.sample(prompts, **arguments)


@contextmanager
def open_waiting(
    policy_path: str | Path, seconds: Annotated[float, Harmless], marks: Annotated[str, Harmless]
) -> Iterator[WaitingEngine]:
    """Return the engine; the policy is not looked at."""
    yield WaitingEngine(seconds, marks)
