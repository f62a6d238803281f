"""What the journal takes on disk, who needs it, and what can go.

Catalog versions are whole without the journal: what they share with it are hard links. What an entry is good for
is that the same operation, asked for again, is not done again.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from restem.store.journal import DECIDED_BY

_DAY_S = 86_400


class FileKey(NamedTuple):
    """What a file and its hard link, or its copy with the same times, have in common."""

    size: int  # bytes
    modified_ns: int


class CatalogFiles(NamedTuple):
    """The files of an experiment's catalog versions that operations made."""

    current: frozenset[FileKey]  # of the newest versions
    ever: frozenset[FileKey]  # of all versions


class JournalUse(NamedTuple):
    """One journal entry."""

    folder: Path
    kind: str  # samples, scores, training-set, policy
    bytes: int  # sum of file sizes
    freed: int  # bytes that no catalog version shares
    modified: float  # seconds since the epoch, of the newest file
    needed_by: tuple[str, ...]  # experiments whose newest versions were made from it
    used_by: tuple[str, ...]  # experiments of which any version was made from it

    @property
    def name(self) -> str:
        """Return the entry's name."""
        return self.folder.name


class Choice(NamedTuple):
    """Which entries to delete."""

    names: tuple[str, ...] = ()  # these, whoever needs them
    experiment: str | None = None  # those that this experiment used, if no other one needs them
    older_than_days: float = 0.0  # only those that nothing was added to for as long


def file_keys(files: Iterable[Path]) -> frozenset[FileKey]:
    """Return the keys of these files."""
    stats = [file.stat() for file in files if file.is_file()]
    return frozenset(FileKey(stat.st_size, stat.st_mtime_ns) for stat in stats)


def journal_uses(root: Path, experiments: Mapping[str, CatalogFiles]) -> list[JournalUse]:
    """Return what every entry takes, the newest first.

    Args:
        root: The journal's folder.
        experiments: Their files, by name.
    """
    entries = (path for path in root.glob("[!.]*-*") if path.is_dir())
    return sorted((_use(folder, experiments) for folder in entries), key=lambda use: (-use.modified, use.name))


def prunable(uses: Iterable[JournalUse], choice: Choice) -> list[JournalUse]:
    """Return the entries to delete; without names or an experiment, those that no experiment needs now."""
    latest = time.time() - choice.older_than_days * _DAY_S
    return [use for use in uses if use.modified <= latest and _is_chosen(use, choice)]


def _is_chosen(use: JournalUse, choice: Choice) -> bool:
    if choice.names:
        return use.name in choice.names
    if choice.experiment:
        return choice.experiment in use.used_by and set(use.needed_by) <= {choice.experiment}
    return not use.needed_by


def _use(folder: Path, experiments: Mapping[str, CatalogFiles]) -> JournalUse:
    files = {file: file.stat() for file in folder.rglob("*") if file.is_file()}
    stats = files.values()
    keys = file_keys(file for file in files if file.name != DECIDED_BY and not file.name.startswith("."))
    return JournalUse(
        folder=folder,
        kind=_kind(folder.name),
        bytes=sum(stat.st_size for stat in stats),
        freed=sum(stat.st_size for stat in stats if stat.st_nlink == 1),
        modified=max((stat.st_mtime for stat in stats), default=folder.stat().st_mtime),
        needed_by=tuple(sorted(name for name, files in experiments.items() if keys & files.current)),
        used_by=tuple(sorted(name for name, files in experiments.items() if keys & files.ever)),
    )


def _kind(name: str) -> str:
    """Return "samples" for samples-train-1-sampled-0123456789abcdef."""
    operation, _, _ = name.rpartition("-")
    return "samples" if operation.startswith("samples-") else operation
