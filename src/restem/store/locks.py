"""Locks that the kernel keeps: it lets go when the process ends, however it ends.

A lock is a file that is never read for its lock, only held. On a file system without locks nothing is shared.
"""

import errno
import fcntl
import logging
import os
import socket
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from restem.errors import ExperimentError, StorageError
from restem.store.storage import writing

_logger = logging.getLogger(__name__)

# What kernels and network file systems answer where there are no locks: NFS without its lock service, Lustre and FUSE
# without the option, object stores that are mounted.
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_held: "weakref.WeakSet[IO[str]]" = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Close the locks that a fork inherited: a child that outlives a killed holder would hold them on."""
    for stream in list(_held):
        stream.close()


os.register_at_fork(after_in_child=_let_go_in_child)


def acquire(file: Path, *, shared: bool = False, wait_for: str | None = None) -> IO[str] | None:
    """Return the open file whose lock is held until it is closed; None if another process holds it.

    Args:
        file: Made if it is not there.
        shared: Whether others may hold it too, if they share it.
        wait_for: What the holder is doing, for the line that says who is waited for; None does not wait.

    Raises:
        ExperimentError: If the file system has no locks, or the file cannot be written.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        stream = _opened(file)
        try:
            if not _try(stream, kind):
                if wait_for is None:
                    stream.close()
                    return None
                _logger.info("waiting for %s, who %s", holder(file), wait_for)
                _flock(stream, kind)
        except BaseException:
            stream.close()
            raise
        if _is_still(stream, file):
            break
        stream.close()  # whoever deleted what it guards deleted it too
    _held.add(stream)
    if not shared:
        with writing(file):
            stream.truncate(0)
            stream.write(f"{os.getpid()} on {socket.gethostname()}")
            stream.flush()
    return stream


@contextmanager
def locked(file: Path, *, wait_for: str) -> Iterator[None]:
    """Hold a lock for this process alone, when its holder has let go; see `acquire`."""
    stream = acquire(file, wait_for=wait_for)
    try:
        yield
    finally:
        if stream is not None:
            stream.close()


def is_held(file: Path) -> bool:
    """Return whether a process holds a lock for itself alone; the lock is left as it is."""
    try:
        stream = file.open(encoding="utf-8")
    except FileNotFoundError:
        return False
    except IsADirectoryError as error:
        raise _no_lock(file) from error
    with stream:
        return not _try(stream, fcntl.LOCK_SH)


def holder(file: Path) -> str:
    """Return who holds a lock, as they wrote into it."""
    return f"process {file.read_text(encoding='utf-8', errors='replace').strip() or '?'}"


def _opened(file: Path) -> IO[str]:
    try:
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            return file.open("a+", encoding="utf-8")
    except StorageError as error:
        if isinstance(error.__cause__, PermissionError):
            raise ExperimentError(
                f"{error.__cause__.filename} cannot be written by user {os.geteuid()}: the journal is in "
                f"{file.parent}, which the user who runs restem must own"
            ) from error
        if file.is_dir():
            raise _no_lock(file) from error
        raise


def _no_lock(file: Path) -> ExperimentError:
    return ExperimentError(f"{file} should be a lock, and is a folder: remove it")


def _try(stream: IO[str], kind: int) -> bool:
    try:
        _flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _flock(stream: IO[str], kind: int) -> None:
    try:
        fcntl.flock(stream, kind)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            _refuse(Path(stream.name), error)
        raise


def _refuse(file: Path, error: OSError) -> NoReturn:
    raise ExperimentError(
        f"{file.parent} is on a file system without locks (flock: {error.strerror}): runs that share it could take "
        "each other's work there. Put it on a disk, or on a network file system with locks (NFS with its lock "
        "service, Lustre mounted with -o flock)"
    ) from error


def _is_still(stream: IO[str], file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), file.stat())
    except FileNotFoundError:
        return False
