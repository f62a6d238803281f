"""An engine that takes its time, leaves a mark for every shard that it begins, and fails or dies where it is told to.

Its module is named by a dotted path, and its workers are other processes: files are how tests see what it does.
"""

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from restem import suggestions
from restem.engines import Completion
from restem.engines.scripted import ScriptedEngine
from restem.errors import EngineError
from restem.parameters.decides import Harmless

ANSWERS = ["1", "2", "a longer answer", "3"]


class SlowEngine:
    def __init__(self, seconds: float, marks: str | None, fails_on: str | None, dies_on: str | None) -> None:
        self._seconds, self._marks, self._fails_on, self._dies_on = seconds, marks, fails_on, dies_on
        self._script = ScriptedEngine({}, ANSWERS)

    def sample(self, prompts: list[str], **arguments: Any) -> Iterator[list[Completion]]:
        if self._marks:
            Path(self._marks, f"{os.getpid()}-{uuid.uuid4().hex}").write_text("\n".join(prompts))
        time.sleep(self._seconds)
        if self._dies_on in prompts:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fails_on in prompts:
            raise RuntimeError(f"cannot answer {self._fails_on}")
        yield from self._script.sample(prompts, **arguments)


@contextmanager
def open_slow(
    policy_path: str | Path,
    seconds: Annotated[float, Harmless] = 0.0,
    marks: Annotated[str | None, Harmless] = None,
    fails_on: Annotated[str | None, Harmless] = None,
    dies_on: Annotated[str | None, Harmless] = None,
) -> Iterator[SlowEngine]:
    yield SlowEngine(seconds, marks, fails_on, dies_on)


@contextmanager
def open_refusing(policy_path: str | Path) -> Iterator[SlowEngine]:
    raise EngineError(f"it cannot be had; try: {suggestions.same_run({'em.seed': 4})}")
    yield
