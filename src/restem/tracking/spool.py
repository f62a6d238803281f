"""What was measured while an iteration was made, in a file: MLflow is told from there, now or later.

The file is the queue between a run and MLflow. The run only appends to it, so a tracking server that is slow or dead
is in nobody's way; a point keeps its time, so that one that is sent twice is the same one; and what was not sent
before the run ended, however it ended, is there for the next one and for `restem mlflow-sync`.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.store.storage import is_of_storage

_logger = logging.getLogger(__name__)


class Begun(NamedTuple):
    """An iteration that was begun."""

    iteration: int
    attempt: str
    started_ms: int  # milliseconds since the epoch
    process: str  # that began it


def begun_now(iteration: int, attempt: str, process: str) -> Begun:
    """Return that an iteration is begun at this moment."""
    return Begun(iteration, attempt, round(1000 * time.time()), process)


class SpooledPoint(NamedTuple):
    """A number, when it was measured, and the step that it is of."""

    name: str
    value: float
    step: int
    time_ms: int


class Unread(NamedTuple):
    """What a file holds behind an offset, and the offset behind that."""

    points: list[SpooledPoint]
    offset: int


def spool_folder(root: Path, experiment: str) -> Path:
    """Return where an experiment's files are.

    Args:
        root: Of the journal.
        experiment: Its name.
    """
    return root / f".{experiment}.live"


class Spool:
    """The file of one iteration, to write to."""

    def __init__(self, folder: Path, begun: Begun) -> None:
        """Go on with the file of this attempt, or begin it; those of earlier attempts at the iteration go."""
        self.file = folder / f"iteration_{begun.iteration}-{begun.attempt}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.glob(f"iteration_{begun.iteration}-*.jsonl"):
            if other != self.file:
                other.unlink()
        self._descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        # A kill may have cut the last line short.
        os.write(self._descriptor, b"\n" if os.fstat(self._descriptor).st_size else b"")
        os.write(self._descriptor, _line(begun._asdict()))  # once per run that works on it

    def note_status(self, status: str) -> None:
        """Say how the run that works on it ended, or is about to."""
        self._append({"status": status})

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append numbers of a step, with the time."""
        self._append([round(1000 * time.time()), step, dict(values)])

    def _append(self, content: Any) -> None:
        """Append a line; where there is no room for it, end the file, and say so."""
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, _line(content))
        except OSError as error:
            if not is_of_storage(error):
                raise
            self.close()
            said = "%s cannot be written (%s): MLflow shows no more of this iteration until its end"
            _logger.warning(said, self.file, error.strerror)

    def close(self) -> None:
        """End it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def spools_in(root: Path, experiment: str) -> dict[tuple[int, str], Path]:
    """Return the files of an experiment, by iteration and attempt."""
    files = sorted(spool_folder(root, experiment).glob("iteration_*.jsonl"))
    found = ((read_begun(file), file) for file in files)
    return {(begun.iteration, begun.attempt): file for begun, file in found if begun is not None}


def read_begun(file: Path) -> Begun | None:
    """Return what a file is of; None if it does not say."""
    return next((Begun(**content) for content in _facts(file) if content.keys() == set(Begun._fields)), None)


def last_process(file: Path) -> str | None:
    """Return which process worked on it last."""
    return next((str(content["process"]) for content in reversed([*_facts(file)]) if "process" in content), None)


def last_status(file: Path) -> str | None:
    """Return how the run that worked on it last ended; None if it did not say."""
    return next((content.get("status") for content in reversed([*_facts(file)])), None)


def _facts(file: Path) -> Iterator[dict[str, Any]]:
    """Yield what a file says about its runs."""
    if file.exists():
        with file.open("rb") as stream:
            yield from (
                content for line in stream if line.startswith(b"{") and isinstance(content := _parsed(line), dict)
            )


def read_points(file: Path, offset: int = 0, *, most: int | None = None) -> Unread:
    """Return the points of whole lines behind an offset.

    Args:
        file: A spool; nothing if it is not there.
        offset: Bytes, as returned before.
        most: Points at which to stop, that of a last line apart; None reads to the end.
    """
    points: list[SpooledPoint] = []
    if not file.exists():
        return Unread(points, offset)
    with file.open("rb") as stream:
        stream.seek(offset)
        while (most is None or len(points) < most) and (line := stream.readline()).endswith(b"\n"):
            offset += len(line)
            content = _parsed(line)
            if isinstance(content, list):
                time_ms, step, values = content
                points += (SpooledPoint(name, float(value), step, time_ms) for name, value in values.items())
    return Unread(points, offset)


def delete_spools(root: Path, experiment: str) -> None:
    """Delete all files of an experiment."""
    shutil.rmtree(spool_folder(root, experiment), ignore_errors=True)


def _line(content: Any) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    """Return what a line says; None for one that a kill cut short."""
    try:
        return json.loads(line)
    except ValueError:
        return None
