"""Files and folders that appear whole: written under a name that nobody else uses, flushed, and then named."""

import glob
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restem.store.storage import writing

_PARTIAL = ".partial"


def partial_of(path: Path) -> Path:
    """Return a name beside a path that nobody else uses, to write it under until it is whole."""
    unique = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{unique}{_PARTIAL}")


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """Return a context with the name under which to write a path, which it then has to be given; else nothing stays.

    Raises:
        StorageError: If the disk refuses.
    """
    partial = partial_of(path)
    with writing(path):
        try:
            yield partial
        except BaseException:
            remove(partial)
            raise


def flush(path: Path, *, deep: bool = True) -> None:
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


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_partials(path: Path, *, dead_only: bool = False) -> None:
    """Remove what was left unfinished of a path.

    Args:
        path: That it would have become.
        dead_only: Whether to leave what a process may still be at, here or on another machine.
    """
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        if not dead_only or is_left_over(partial):
            remove(partial)


def is_left_over(partial: Path) -> bool:
    """Return whether the process of this machine that a partial file names is gone; no, where that cannot be told."""
    before, pid, _token, _ = partial.name.rsplit(".", 3)
    if not before.endswith(f".{socket.gethostname()}") or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
