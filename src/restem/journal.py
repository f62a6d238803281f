"""The journal: what an expensive operation has done so far, named by all that determines its result.

A folder `<operation>-<fingerprint>` holds finished parts. A part is whole or absent: it is written beside
its place, flushed to disk and renamed. A run that was killed and started again finds the parts and goes
on; a run with any other parameter has another fingerprint and finds nothing.
"""

import fcntl
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from restem.errors import ExperimentError
from restem.fingerprints import fingerprint

_PARTIAL = ".partial"


class Journal:
    """A folder of journal entries."""

    def __init__(self, root: str | Path) -> None:
        """Use the folder, which is made when the first entry is opened."""
        self.root = Path(root)

    def open(self, operation: str, **determined_by: Any) -> "JournalEntry":
        """Return the entry of an operation whose result these values determine, new or resumed.

        Args:
            operation: A short word, for people who look at the folder.
            determined_by: JSON-like values; all of them, or a stale result will be reused.
        """
        folder = self._folder(operation, determined_by)
        folder.mkdir(parents=True, exist_ok=True)
        entry = JournalEntry(folder)
        if not entry.has("determined_by.json"):
            entry.write_text("determined_by.json", json.dumps(determined_by, indent=1, sort_keys=True))
        return entry

    def find(self, operation: str, **determined_by: Any) -> "JournalEntry | None":
        """Return the entry that `open` would, unless it would be new."""
        folder = self._folder(operation, determined_by)
        return JournalEntry(folder) if folder.exists() else None

    def _folder(self, operation: str, determined_by: Mapping[str, Any]) -> Path:
        return self.root / f"{operation}-{fingerprint(determined_by)}"

    @contextmanager
    def lock(self, experiment: str) -> Iterator[None]:
        """Hold the experiment for this process; the kernel lets go when the process ends, however.

        Raises:
            ExperimentError: If another process holds it, or nothing can be written there.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            opened = (self.root / f".{experiment}.lock").open("a+")
        except PermissionError as error:
            raise ExperimentError(
                f"{error.filename} cannot be written by user {os.geteuid()}: the journal is in {self.root}, which the "
                "user who runs restem must own"
            ) from error
        with opened as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                stream.seek(0)
                raise ExperimentError(
                    f"experiment {experiment!r} is being run by process {stream.read().strip() or '?'}; "
                    "wait for it to end, or give this run another name with --params=experiment=NAME"
                ) from error
            stream.truncate(0)
            stream.write(f"{os.getpid()} on {socket.gethostname()}")
            stream.flush()
            yield

    @contextmanager
    def lock_all(self) -> Iterator[None]:
        """Hold every experiment that ever used the journal.

        Raises:
            ExperimentError: If another process holds one of them.
        """
        with ExitStack() as held:
            for file in sorted(self.root.glob(".*.lock")):
                held.enter_context(self.lock(file.name.removeprefix(".").removesuffix(".lock")))
            yield


class JournalEntry:
    """One operation's folder: finished parts by name."""

    def __init__(self, folder: Path) -> None:
        """Use the folder, which exists."""
        self.folder = folder

    def path(self, name: str) -> Path:
        """Return where a part is, or will be."""
        return self.folder / name

    def names(self) -> set[str]:
        """Return the names of all finished parts, at the cost of one look at the folder."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    def has(self, name: str) -> bool:
        """Return whether a part is finished."""
        return self.path(name).exists()

    def write(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the finished part, a file or a folder, made whole by `make(path)` and then named.

        Whatever an interrupted attempt left behind is removed first.
        """
        partial = self.folder / f".{name}{_PARTIAL}"
        if partial.is_dir():
            shutil.rmtree(partial)
        make(partial)
        _flush(partial)
        partial.replace(self.path(name))
        _flush(self.folder, deep=False)
        return self.path(name)

    def write_text(self, name: str, text: str) -> Path:
        """Return the finished part, a text file."""

        def make(path: Path) -> None:
            path.write_text(text, encoding="utf-8")

        return self.write(name, make)


def _flush(path: Path, *, deep: bool = True) -> None:
    """Force a file, or a folder and what it holds, to disk: a rename may otherwise outlive the content."""
    inside = [file for file in path.rglob("*") if file.is_file()] if deep and path.is_dir() else []
    for target in [*inside, path]:
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a finished file a second name, so that a journal and what is made from it share their bytes."""
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
