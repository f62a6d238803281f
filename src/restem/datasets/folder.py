"""Whole folders, versioned: a version is there entirely, with its manifest, or not at all.

On a disk a folder appears in one rename. An object store has no rename: there the manifest is written last, and without
it nothing counts.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import get_protocol_and_path

from restem.datasets.versions import DatasetFault
from restem.store.digests import faults, make_again, sealed, unsealed
from restem.store.partials import appearing, link_or_copy, remove_partials

FILES_MANIFEST = "files.json"  # of a folder of several files
_UPLOADS = 16  # at the same time: an object store takes tens of milliseconds for each, whatever its size


class Place:
    """Where a dataset's versions are: a disk, or an object store that fsspec knows, as `s3://bucket/folder`."""

    def __init__(self, filepath: str, manifest: str) -> None:
        """Use the place.

        Args:
            filepath: As in the catalog.
            manifest: Name of the file that a whole version has.
        """
        self.protocol, path = get_protocol_and_path(filepath)
        self.path = PurePosixPath(path)
        self._manifest = manifest

    def folder(self, path: PurePosixPath | str) -> Any:
        """Return a folder here as a pathlib.Path, or as its like from universal_pathlib."""
        if self.protocol == "file":
            return Path(path)
        from upath import UPath

        return UPath(f"{self.protocol}://{path}")

    def is_whole(self, path: str) -> bool:
        """Return whether a version is there."""
        return bool((self.folder(path) / self._manifest).is_file())

    def manifest(self, folder: Any) -> dict[str, Any]:
        """Return what the manifest of a whole version says.

        Raises:
            DatasetFault: If it is not what was written.
        """
        file = folder / self._manifest
        content = unsealed(file.read_text(encoding="utf-8", errors="replace"))
        if content is None:
            raise DatasetFault(f"{file} is damaged: its digest does not fit. {make_again(folder.parent)}")
        return content

    def refuse_unless_complete(self, folder: Any, there: set[str], written: set[str]) -> None:
        """Raise if a version does not have the files that it was saved with.

        Args:
            folder: Of the version.
            there: Names of the files that it has now, without the manifest.
            written: Names of those that it was saved with.

        Raises:
            DatasetFault: With their names.
        """
        if there != written:
            raise DatasetFault(
                f"{folder} is damaged: {_named('it lacks', written - there)}"
                f"{_named('it has, and was saved without,', there - written)}. {make_again(folder.parent)}"
            )

    def refuse_if_damaged(self, file: Any, digest: str) -> None:
        """Raise if a file of a version on a disk is not what was written; object stores check what they keep.

        Raises:
            DatasetFault: With the file.
        """
        damage = faults(file, {"": digest}) if self.protocol == "file" else []
        if damage:
            raise DatasetFault(f"{'; '.join(damage)}. {make_again(file.parent.parent)}")

    def glob(self, pattern: str) -> list[str]:
        """Return what is there now, whoever wrote it."""
        import fsspec

        system = fsspec.filesystem(self.protocol)
        system.invalidate_cache()
        return list(system.glob(pattern))

    def publish(self, path: PurePosixPath | str, files: dict[str, Any], content: dict[str, Any]) -> None:
        """Make a version from existing files.

        Args:
            path: The version's folder; must not exist.
            files: Relative name in the folder -> existing file.
            content: What the manifest says, as JSON.
        """
        (_rename if self.protocol == "file" else _upload)(self.folder(path), files, self._manifest, content)


def _rename(folder: Path, files: dict[str, Any], manifest: str, content: dict[str, Any]) -> None:
    """Make the folder beside its place; files are linked where that is possible, so a journal shares their bytes."""
    for version in folder.parent.parent.glob("*"):  # where killed processes left the same dataset unfinished
        remove_partials(version / folder.name, dead_only=True)
    with _without_an_empty_version(folder.parent), appearing(folder) as partial:
        partial.mkdir(parents=True)
        for name, source in files.items():
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(source, Path):
                link_or_copy(source.resolve(), target)
            else:
                copy(source, target)
        with (partial / manifest).open("w", encoding="utf-8") as stream:
            stream.write(sealed(content))
            stream.flush()
            os.fsync(stream.fileno())
        partial.rename(folder)


@contextmanager
def _without_an_empty_version(version: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it was not made, or holds something
            version.rmdir()
        raise


def _upload(folder: Any, files: dict[str, Any], manifest: str, content: dict[str, Any]) -> None:
    with ThreadPoolExecutor(_UPLOADS) as pool:
        for _ in pool.map(lambda name: copy(files[name], folder / name), files):
            pass  # waiting for each raises what went wrong with it
    (folder / manifest).write_text(sealed(content), encoding="utf-8")


def _named(what: str, names: set[str]) -> str:
    return f"{what} {', '.join(sorted(names))} " if names else ""


def copy(source: Any, target: Any) -> None:
    """Copy a file between a disk and an object store, or within one."""
    with source.open("rb") as read, target.open("wb") as write:
        shutil.copyfileobj(read, write)
