"""The journal: what an expensive operation has done so far, named by all that decides its result.

A folder `<operation>-<fingerprint>` holds finished parts. A part is whole or absent: it is written beside
its place, flushed to disk and renamed. A run that was killed and started again finds the parts and goes
on; a run with any other parameter has another fingerprint and finds nothing.

Runs may share a journal. What one of them makes, others wait for and then use: `making` holds a lock of the kernel
over the parts. What one of them uses, nobody deletes: a `Journal` holds every entry that it opened or found until it
is gone itself, which in a run is when the outputs of the node are saved. A part that is not what was written is made
again.
"""

import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from restem import suggestions
from restem.errors import DamageError, ExperimentError
from restem.store.digests import digests, digests_file, part_faults, record_digests, sealed, unsealed
from restem.store.fingerprints import fingerprint
from restem.store.locks import acquire, holder, locked
from restem.store.partials import appearing, flush, partial_of, remove, remove_partials
from restem.store.storage import writing
from restem.store.tables import Table, write_shard

_logger = logging.getLogger(__name__)
DECIDED_BY = "decided_by.json"  # of every entry: what its name stands for
_LOCKS = ".locks"  # a folder, beside the entries: what an entry's folder holds is deleted with it


class Journal:
    """A folder of journal entries."""

    def __init__(self, root: str | Path) -> None:
        """Use the folder, which is made when the first entry is opened."""
        self.root = Path(root)
        self._in_use: dict[str, IO[str]] = {}  # locks that deletion respects, by entry

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy in memory or in another process is made from: it holds its own entries."""
        return type(self), (self.root,)

    def open(self, operation: str, **decided_by: Any) -> "JournalEntry":
        """Return the entry of an operation whose result these values decide, new or resumed.

        Args:
            operation: A short word, for people who look at the folder.
            decided_by: JSON-like values; all of them, or a stale result will be reused.
        """
        folder = self._folder(operation, decided_by)
        self._use(folder.name)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        entry = JournalEntry(folder, self)
        if not entry.has(DECIDED_BY):
            entry.write_text(DECIDED_BY, json.dumps(decided_by, indent=1, sort_keys=True))
        return entry

    def find(self, operation: str, **decided_by: Any) -> "JournalEntry | None":
        """Return the entry that `open` would, unless it would be new."""
        folder = self._folder(operation, decided_by)
        if not folder.exists():
            return None
        self._use(folder.name)
        return JournalEntry(folder, self) if folder.exists() else None

    @contextmanager
    def deleting(self, name: str) -> Iterator[bool]:
        """Return a context that says whether the entry may be deleted in it: nobody else makes or uses it."""
        mine = self._in_use.pop(name, None)
        if mine is not None:
            mine.close()
        lock = acquire(self._lock_file(name))
        try:
            yield lock is not None
        finally:
            if lock is not None:
                for file in [*self._lock_file(name).parent.glob(f"{name}.*"), self._lock_file(name)]:
                    file.unlink(missing_ok=True)
                lock.close()

    def delete(self, name: str) -> bool:
        """Return whether an entry is deleted now; it stays while anybody else makes or uses it."""
        with self.deleting(name) as may:
            if may and (self.root / name).exists():
                # A kill in mid-deletion must not leave an entry that looks whole.
                doomed = partial_of(self.root / name)
                (self.root / name).rename(doomed)
                shutil.rmtree(doomed)
            return may

    def delete_leftovers(self) -> None:
        """Delete what killed processes left behind, but for entries that somebody makes or uses."""
        for path in self.root.glob(".*.*.*.partial"):
            remove(path)
        for folder in self.root.glob("[!.]*-*"):
            with self.deleting(folder.name) as may:
                for path in folder.glob(".*.partial") if may else ():
                    remove(path)

    def _use(self, name: str) -> None:
        if name not in self._in_use:
            stream = acquire(self._lock_file(name), shared=True, wait_for=f"deletes {name}")
            if stream is not None:
                self._in_use[name] = stream

    def _lock_file(self, name: str) -> Path:
        return self.root / _LOCKS / name

    def _folder(self, operation: str, decided_by: Mapping[str, Any]) -> Path:
        return self.root / f"{operation}-{fingerprint(decided_by)}"

    @contextmanager
    def lock(self, experiment: str) -> Iterator[None]:
        """Hold the experiment for this process; the kernel lets go when the process ends, however.

        Raises:
            ExperimentError: If another process holds it, or nothing can be written there.
        """
        file = lock_file(self.root, experiment)
        stream = acquire(file)
        if stream is None:
            raise ExperimentError(
                f"experiment {experiment!r} is being run by {holder(file)}; "
                f"wait for it to end, or give this run another name: {suggestions.new_experiment()}"
            )
        with stream:
            yield

    @contextmanager
    def lock_all(self) -> Iterator[None]:
        """Hold every experiment that ever used the journal.

        Raises:
            ExperimentError: If another process holds one of them.
        """
        with ExitStack() as locks:
            for file in sorted(self.root.glob(".*.lock")):
                locks.enter_context(self.lock(file.name.removeprefix(".").removesuffix(".lock")))
            yield


def lock_file(root: Path, experiment: str) -> Path:
    """Return the file whose lock a run of an experiment holds."""
    return root / f".{experiment}.lock"


def state_file(root: Path, experiment: str) -> Path:
    """Return where a run of an experiment says how far it is."""
    return root / f".{experiment}.state"


class JournalEntry:
    """One operation's folder: finished parts by name."""

    def __init__(self, folder: Path, journal: Journal | None = None) -> None:
        """Use the folder, which exists, of a journal that holds it for as long as this object lives."""
        self.folder = folder
        self._journal = journal

    def path(self, name: str) -> Path:
        """Return where a part is, or will be."""
        return self.folder / name

    def names(self) -> set[str]:
        """Return the names of all finished parts, at the cost of one look at the folder."""
        return {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}

    def has(self, name: str) -> bool:
        """Return whether a part is finished."""
        return self.path(name).exists()

    def faults(self, name: str) -> list[str]:
        """Return what is wrong with a finished part, a sentence per file; nothing if it is what was written."""
        return part_faults(self.path(name))

    @contextmanager
    def making(self, names: Collection[str]) -> Iterator[list[str]]:
        """Return a context that gives, in order, the parts that are to be made in it: those that are not whole.

        While it lasts no other process makes the same parts. One that wants them waits, and then finds them. Where
        none is missing nobody waits. A damaged part is removed and counts as missing; the log says so.
        """
        if not self._missing(names):
            yield []
            return
        lock = self.folder.parent / _LOCKS / f"{self.folder.name}.{fingerprint(sorted(names))}"
        with locked(lock, wait_for=f"makes {self.folder.name}"):
            missing = self._missing(names)
            self._clear(missing)
            yield missing

    def part(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return a part, a file or a folder: found, or made whole by `make(path)` while all others wait for it."""
        with self.making([name]) as missing:
            return self.write(name, make) if missing else self.path(name)

    def shard(self, name: str, make: Callable[[], Table]) -> Path:
        """Return a part that is one shard of a table: found, or made while all others wait for it."""
        with self.making([name]) as missing:
            if missing:
                write_shard(make(), self.path(name))
            return self.path(name)

    def write(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the finished part, a file or a folder, made whole by `make(path)` and then named."""
        with appearing(self.path(name)) as partial:
            make(partial)
            flush(partial)
            contents = digests(partial)
            if self.path(name).is_dir():  # no folder takes the name of one that holds something
                self.remove(name)
            record_digests(self.path(name), contents)
            partial.replace(self.path(name))
            flush(self.folder, deep=False)
        return self.path(name)

    def write_text(self, name: str, text: str) -> Path:
        """Return the finished part, a text file."""

        def make(path: Path) -> None:
            path.write_text(text, encoding="utf-8")

        return self.write(name, make)

    def read_text(self, name: str) -> str:
        """Return a part that is a text file.

        Raises:
            DamageError: If it is not what was written.
        """
        damage = self.faults(name)
        if damage:
            raise DamageError(f"{'; '.join(damage)}. {self._again}")
        return self.path(name).read_text(encoding="utf-8")

    def write_first(self, name: str, text: str) -> str:
        """Return the text of a part that is never replaced: this one, unless another worker's was there before.

        Such a part is a folder: where a folder holds something, no other can take its name, on any file system.
        """
        with appearing(self.path(name)) as partial:
            partial.mkdir()
            (partial / "text").write_text(sealed({"text": text}), encoding="utf-8")
            flush(partial)
            try:
                partial.rename(self.path(name))
                flush(self.folder, deep=False)
            except OSError:
                if not self.has(name):
                    raise
                remove(partial)
        return str(self.read_first(name))

    def read_first(self, name: str) -> str | None:
        """Return the text of such a part; None if there is none.

        Raises:
            DamageError: If it is not what was written.
        """
        file = self.path(name) / "text"
        if not self.has(name):
            return None
        content = unsealed(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
        if content is None:
            raise DamageError(f"{file} is damaged: its digest does not fit. {self._again}")
        return str(content["text"])

    def remove(self, name: str) -> None:
        """Remove a part; a kill meanwhile leaves none that looks whole."""
        doomed = partial_of(self.path(name))
        with contextlib.suppress(FileNotFoundError):
            self.path(name).rename(doomed)
        remove(digests_file(self.path(name)))
        remove(doomed)

    @property
    def _again(self) -> str:
        command = suggestions.restem("journal", "prune", "--yes", "--entry", self.folder.name, of="project")
        return f"What the journal held of it is to be made again: remove it with {command}, then run again"

    def _missing(self, names: Collection[str]) -> list[str]:
        finished = self.names()
        return [name for name in names if name not in finished or self.faults(name)]

    def _clear(self, missing: Collection[str]) -> None:
        """Remove what is in the way of making parts; whoever left it unfinished is gone, since the lock was free."""
        for name in missing:
            if self.has(name):
                _logger.warning("the journal is damaged, so this is made again: %s", "; ".join(self.faults(name)))
                self.remove(name)
            remove_partials(self.path(name))
