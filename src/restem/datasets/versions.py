"""Which version of a dataset is loaded, and how damage to it is seen.

Versions are named by the clock, which can be set back. A version is saved under a later name than all others have, so
that the newest by name is the one that was saved last; a run loads what it saved itself; and a version from the future,
of which neither holds, is refused by name.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DatasetError
from kedro.io.core import VERSION_FORMAT, VersionNotFoundError

from restem.errors import RestemError, StorageError, first_few
from restem.store.digests import digests_file, make_again, part_faults, record_digests
from restem.store.fingerprints import file_fingerprint
from restem.store.partials import remove
from restem.store.storage import is_of_storage, refused

_AHEAD = timedelta(minutes=5)  # by which the clocks of machines that share results may differ
_LAYER = re.compile(r"/\d\d_[a-z_]+/")  # of the data folder


if TYPE_CHECKING:
    _Dataset = AbstractVersionedDataset[Any, Any]
    _Unversioned = AbstractDataset[Any, Any]
else:
    _Unversioned = object
    _Dataset = object  # Kedro gives each of its subclasses a constructor, which would hide that of the next base


class DatasetFault(RestemError):
    """A version that cannot be used: what is wrong and what to do."""


class MendableErrors(_Unversioned):
    """Lets errors that the user can mend out of Kedro's whole. Stands before Kedro's class."""

    def _refuse_missing_pin(self) -> None:
        """Raise if a version was asked for that is not there; what has no versions is never asked for one."""

    @classmethod
    def _load_wrapper(cls, load_func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the loading with Kedro's error handling, out of which an error that the user can mend comes whole."""
        wrapped = super()._load_wrapper(load_func)

        @wraps(wrapped)
        def load(self: Any) -> Any:
            try:
                return wrapped(self)
            except DatasetError as error:
                if isinstance(error.__cause__, RestemError):
                    raise error.__cause__ from None
                raise

        load.__wrapped__ = load_func  # Kedro's own methods look for it
        return load

    @classmethod
    def _save_wrapper(cls, save_func: Callable[..., None]) -> Callable[..., None]:
        """Return the saving with Kedro's error handling, out of which comes whole what the user can mend."""
        wrapped = super()._save_wrapper(save_func)

        @wraps(wrapped)
        def save(self: Any, data: Any) -> None:
            try:
                wrapped(self, data)
            except DatasetError as error:
                cause = error.__cause__
                if isinstance(cause, RestemError):
                    raise cause from None
                if isinstance(cause, OSError) and is_of_storage(cause):
                    raise StorageError(refused(Path(self._filepath), cause)) from error
                raise

        save.__wrapped__ = save_func  # Kedro's own methods look for it
        return save


class PinnedVersions(MendableErrors, _Dataset):
    """Resolves versions so that a clock that was set back brings up nothing stale. Stands before Kedro's class."""

    _saved: str | None = None  # the version that this object saved, or is about to

    @classmethod
    def _load_wrapper(cls, load_func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the loading as `MendableErrors` has it, once the version that is asked for is there."""
        mended = super()._load_wrapper(load_func)

        @wraps(mended)
        def load(self: Any) -> Any:
            self._refuse_missing_pin()
            return mended(self)

        load.__wrapped__ = load_func  # Kedro's own methods look for it
        return load

    def resolve_save_version(self) -> str | None:
        """Return this run's version; where others are dated later, the name after theirs."""
        own = super().resolve_save_version()
        if own is None or self._saved is not None:
            return self._saved or own
        newest = next(iter(self._versions()), own)
        return _after(newest) if newest > own else own

    def _get_save_path(self) -> PurePosixPath:
        if self._version:
            self._saved = None
            self._saved = self.resolve_save_version()
        return super()._get_save_path()

    def _fetch_latest_load_version(self) -> str:
        """Return the version that this run saved, else the newest.

        Raises:
            DatasetFault: If that is dated in the future.
        """
        for own in (self._saved, self._version.save if self._version else None):
            if own is not None and self._is_whole(str(self._get_versioned_path(own))):
                return own
        newest: str = super()._fetch_latest_load_version()
        if _date(newest) > datetime.now(UTC) + _AHEAD:
            self._cached_load_version = None
            raise DatasetFault(self._from_the_future(newest))
        return newest

    def exists(self) -> bool:
        """Return whether there is a version to load.

        Raises:
            DatasetFault: If the newest is dated in the future.
        """
        try:
            return self._is_whole(str(self._get_load_path()))
        except VersionNotFoundError:
            return False

    def _refuse_missing_pin(self) -> None:
        """Raise if a version was asked for by name that is not there.

        Raises:
            DatasetFault: With those that are.
        """
        wanted = self._version.load if self._version else None
        if wanted is None or self._is_whole(str(self._get_versioned_path(wanted))):
            return
        there = [self._get_version_from_path(path) for path in self._get_versions()]
        raise DatasetFault(
            f"{self._filepath} has no version {wanted!r} (--load-versions); it has {first_few(there) or 'none'}"
        )

    def _get_versions(self) -> list[str]:
        return [path for path in super()._get_versions() if self._is_whole(path)]

    def _is_whole(self, path: str) -> bool:
        """Return whether a version is there, entirely."""
        return bool(self._exists_function(path))

    def _versions(self) -> list[str]:
        """Return the names of the versions that a clock named, the newest first."""
        return [name for name in map(self._get_version_from_path, self._get_versions()) if _date(name) > _NO_DATE]

    def _from_the_future(self, version: str) -> str:
        folder = self._get_versioned_path(version).parent
        now = datetime.now(UTC)
        return (
            f"{folder} is dated in the future: it is {_name(now)} by this machine's clock. Which version is the newest "
            "cannot be told from such dates. If the clock is wrong now, set it right; if it was wrong then, date what "
            f"was saved then anew, oldest first: {_redating(Path(folder), now)}"
        )


class DigestedFile(PinnedVersions):
    """A version that is one file: its digest is written beside it when it is whole, and checked when it is loaded.

    Object stores take a file whole or not at all, and check what they keep themselves.
    """

    def load(self) -> Any:
        """Return the data.

        Raises:
            DatasetFault: If the file is not what was saved.
        """
        self._refuse_if_damaged()
        return super().load()  # type: ignore[safe-super] # of the dataset that this is mixed into

    def save(self, data: Any) -> None:
        """Save the data, then its digest, without which the version does not count."""
        save: Any = super().save  # type: ignore[safe-super] # of the dataset that this is mixed into
        try:
            save.__wrapped__(self, data)  # what Kedro wraps around it is around this method already
            file = self._saved_on_disk()
            if file is not None:
                record_digests(file, {"": file_fingerprint(file)})
        except BaseException:
            begun = self._saved_on_disk()
            if begun is not None:
                remove(begun.parent)
            raise

    def _saved_on_disk(self) -> Path | None:
        """Return the file of the version that is being saved; None if it is in an object store, or has no version."""
        return self._on_disk(str(self._get_versioned_path(self._saved))) if self._saved else None

    def _is_whole(self, path: str) -> bool:
        file = self._on_disk(path) if self._version else None
        return super()._is_whole(path) and (file is None or digests_file(file).exists())

    def _refuse_if_damaged(self) -> None:
        file = self._on_disk(str(self._get_load_path())) if self._version else None
        if file is None:
            return
        damage = part_faults(file)
        if damage:
            raise DatasetFault(f"{'; '.join(damage)}. {make_again(file.parent)}")

    def _on_disk(self, path: str) -> Path | None:
        protocol: str = self._protocol  # type: ignore[attr-defined] # of all datasets that are files
        return Path(path) if protocol == "file" else None


def _redating(folder: Path, now: datetime) -> str:
    """Return the commands that date everything that is from the future, of all datasets, anew and in order."""
    layer = _LAYER.search(folder.as_posix())
    data = Path(folder.as_posix()[: layer.start()]) if layer else folder.parent
    names = sorted({path.name for path in data.rglob("*T*Z") if _date(path.name) > now} | {folder.name})
    return " && ".join(
        f"find {data} -depth -type d -name '{name}' -execdir mv {{}} {_name(now + timedelta(milliseconds=k))} ';'"
        for k, name in enumerate(names)
    )


_NO_DATE = datetime.min.replace(tzinfo=UTC)


def _date(version: str) -> datetime:
    """Return when a version says that it was made; long ago for a name that is no date."""
    try:
        return datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return _NO_DATE


def _name(date: datetime) -> str:
    """Return the version of a date, to the millisecond, as Kedro names it."""
    text = date.strftime(VERSION_FORMAT)
    return text[:-4] + text[-1:]


def _after(version: str) -> str:
    return _name(_date(version) + timedelta(milliseconds=1))
