"""What to say when a disk does not take or give a file: the file, the reason, and what mends it, in one sentence."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restem import suggestions
from restem.errors import StorageError

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_IN_THE_WAY = {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}
# Of storage; other OSErrors are those of networks and processes.
_OF_STORAGE = {
    *_FULL,
    *_FORBIDDEN,
    *_IN_THE_WAY,
    errno.EIO,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ESTALE,
    errno.EMFILE,
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one sentence that a path cannot be written, and why; any other failure stays what it is.

    Raises:
        StorageError: If the disk refuses.
    """
    try:
        yield
    except OSError as error:
        if not is_of_storage(error):
            raise
        raise StorageError(refused(path, error)) from error


def is_of_storage(error: OSError) -> bool:
    """Return whether an error says something about a disk."""
    return error.errno in _OF_STORAGE


def refused(path: Path, error: OSError) -> str:
    """Return what to say of a path that cannot be written: the reason, and what to do."""
    reason, remedy = _reason(path, error)
    return f"{path} cannot be written: {reason}. {remedy}, then run again: what was finished is kept, and used"


def _reason(path: Path, error: OSError) -> tuple[str, str]:
    if error.errno in _FULL:
        left = shutil.disk_usage(_existing(path)).free / 1e6
        shown = suggestions.restem("journal", of="project")
        return f"the disk is full ({left:,.1f} MB left)", f"Make room ({shown} shows what can go)"
    at = Path(error.filename) if isinstance(error.filename, str) else path
    if error.errno in _FORBIDDEN:
        return f"{at}: {error.strerror} (user {os.geteuid()})", f"Let this user write to {_existing(at)}"
    if error.errno in _IN_THE_WAY:
        there = next(place for place in [at, *at.parents] if os.path.lexists(place))
        return f"{there} is in the way ({error.strerror})", "Remove that"
    return f"{at}: {error.strerror}", "Mend that"


def _existing(path: Path) -> Path:
    # os.path says no where pathlib raises: below a folder that this user may not look into.
    return next(place for place in [path.absolute(), *path.absolute().parents] if os.path.isdir(place))  # noqa: PTH112
