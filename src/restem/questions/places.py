"""Where files of questions are: a path, a folder, a glob, several of these, or a URL that fsspec reads.

JSONL, JSON, CSV (these also as .gz) and Parquet. What files say of splits is by name: a folder train/, a file
test.jsonl, train-00000-of-00001.parquet.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restem.errors import QuestionsError
from restem.questions.reading import PLACE, SUFFIXES, Record, read_records, suffix_of

Records = dict[str, list[Record]]  # by the split that the set gives them; "" if it gives none
FolderReader = Callable[[Path], list[Record]]

FILE = "restem_file"  # the column that says which file a record came from
_SPLITS = ("train", "validation", "test")
_ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")  # what `datasets` says of a set
_PARAMETER = "questions.options.path"


def read_paths(path: Any, *, name: str, read_folder: FolderReader | None = None) -> Records:
    """Return all records of the files, by split.

    Args:
        path: A file, folder, glob or URL, several in a list, or one of these per split: {train: ..., test: ...}.
        name: What is looked for, for messages.
        read_folder: Reads a folder whose records are not files of rows.

    Raises:
        QuestionsError: If nothing is there, or it cannot be read.
    """
    if isinstance(path, Mapping):
        unknown = set(path) - set(_SPLITS)
        if unknown:
            raise QuestionsError(f"{_PARAMETER}.{min(unknown)}: a split is one of {', '.join(_SPLITS)}")
        return {split: _of_all(of_split, read_folder) for split, of_split in path.items() if of_split}
    paths = _listed(path)
    if len(paths) > 1:
        return {"": _of_all(paths, read_folder)}
    with _told_of(paths[0]):
        place = place_of(paths[0])
        return _by_split(place, name, read_folder) if place.is_dir() else {"": _of_all(paths, read_folder)}


def read_file(path: Path) -> list[Record]:
    """Return the records of one file, each with the file's name and its place in it.

    Raises:
        QuestionsError: If it is missing, empty or cannot be read.
    """
    return [{**record, FILE: path.name, PLACE: f"{path.name}, {record[PLACE]}"} for record in read_records(path)]


def place_of(path: str) -> Path:
    """Return the place of a path, or of a URL such as s3://bucket/file.jsonl."""
    if not is_url(path):
        return Path(path).expanduser()
    from upath import UPath

    place: Any = UPath(path)
    return place  # type: ignore[no-any-return]


def is_url(path: str) -> bool:
    """Return whether fsspec is to read it."""
    return "://" in path


@contextmanager
def _told_of(path: str) -> Iterator[None]:
    """Say what was asked for where fsspec, or what it asks, cannot read a URL; each raises errors of its own."""
    try:
        yield
    except QuestionsError:
        raise
    except Exception as error:
        if not is_url(path):
            raise
        detail = str(error).splitlines()[0] if str(error) else "no detail"
        raise QuestionsError(
            f"{_PARAMETER}={path} could not be read ({type(error).__name__}: {detail}); check the URL, the rights and "
            "the package that reads it, or give a file on this disk"
        ) from error


def _listed(path: Any) -> list[str]:
    paths = path if isinstance(path, list | tuple) else [path]
    if not paths or not all(isinstance(one, str | Path) and str(one) for one in paths):
        raise QuestionsError(f"{_PARAMETER} must name a file, a folder, a glob or a URL, or several, got {path!r}")
    return [str(one) for one in paths]


def _of_all(path: Any, read_folder: FolderReader | None) -> list[Record]:
    records: list[Record] = []
    for one in _listed(path):
        with _told_of(one):
            records += [record for place in _matches(one) for record in _read_place(place, read_folder)]
    return records


def _matches(path: str) -> list[Path]:
    """Return the places that a path names: one, or those that match it as a glob."""
    place = place_of(path)
    is_asked = path.startswith(("http://", "https://"))  # whose ? begins a query, and which list nothing
    if is_asked or not any(mark in path for mark in "*?[") or place.exists():
        return [place]
    import fsspec

    files, pattern = fsspec.core.url_to_fs(str(place))
    names = files.glob(pattern)
    matches = [place_of(files.unstrip_protocol(name)) if is_url(path) else Path(name) for name in names]
    matches = sorted(match for match in matches if _holds_rows(match))
    if not matches:
        raise QuestionsError(f"{_PARAMETER}={path}: no file whose name ends in {', '.join(SUFFIXES)} matches")
    return matches


def _read_place(place: Path, read_folder: FolderReader | None) -> list[Record]:
    """Return all records under a file or folder."""
    if not place.is_dir():
        return read_file(place)
    if read_folder is not None and not _files(place, "*"):
        return read_folder(place)
    return [record for file in _files(place, "**/*") for record in read_file(file)]


def _by_split(folder: Path, name: str, read_folder: FolderReader | None) -> Records:
    """Return the records of a folder that holds the splits as folders, or as files whose names begin with them."""
    by_split: Records = {}
    for split in _SPLITS:
        folders = sorted(place for place in [folder / split, *folder.glob(f"*/{split}")] if place.is_dir())
        files = [file for pattern in (f"{split}*", f"*/{split}[-.]*") for file in _files(folder, pattern)]
        records = [record for place in folders or files for record in _read_place(place, read_folder)]
        if records:
            by_split[split] = records
    if not by_split:
        by_split[""] = _read_place(folder, read_folder)
    if not any(by_split.values()):
        raise QuestionsError(
            f"{_PARAMETER}: the folder {folder.absolute()} holds no {name} files, whose names end in "
            f"{', '.join(SUFFIXES)}"
        )
    return by_split


def _holds_rows(file: Path) -> bool:
    return suffix_of(file) in SUFFIXES and file.name not in _ABOUT and file.name[:1] != "." and file.is_file()


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if _holds_rows(file))
