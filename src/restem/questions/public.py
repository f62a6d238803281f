"""Public sets of questions in the layout in which they are published: a file, a folder, or the hub.

Options that all of them take:

- path: a file, a folder that holds the set as it is published, or a path per split: {train: ..., test: ...}. JSONL,
  JSON, CSV and Parquet are read, the first three also as .gz.
- hub: true to download the set with `datasets`, or the id of another repository in the same layout. A path wins.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.reading import PLACE, SUFFIXES, Record, read_records, suffix_of

Row = dict[str, Any]  # as restem.questions wants it
Records = dict[str, list[Record]]  # by the split that the set gives them; "" if it gives none

FILE = "restem_file"  # the column that says which file a record came from, without its suffixes
_SPLITS = ("train", "validation", "test")


class HubSet(NamedTuple):
    """Where a set is on the Hugging Face hub."""

    repository: str
    splits: tuple[str, ...] = ("train", "test")
    configurations: tuple[str, ...] = ()  # all of them are read; none is the default one
    folders: bool = False  # a configuration is a folder of Parquet files
    revision: str | None = None


class Layout(NamedTuple):
    """What a public set looks like."""

    name: str  # as in questions.source
    columns: tuple[str, ...]  # that every record has
    hub: HubSet
    own_options: tuple[str, ...] = ()
    read_folder: Callable[[Path], list[Record]] | None = None  # where records are not files of rows


def read(parameters: QuestionsParameters, layout: Layout) -> Records:
    """Return the records of a public set by split.

    Raises:
        QuestionsError: If an option is unknown, nothing is there, it has another layout, or the hub does not answer.
    """
    unknown = set(parameters.options) - {"path", "hub", *layout.own_options}
    if unknown:
        known = ", ".join(["path", "hub", *layout.own_options])
        raise QuestionsError(
            f"questions.options.{min(unknown)} is not an option of questions.source={layout.name}, which has {known}"
        )
    path, hub = parameters.options.get("path"), parameters.options.get("hub")
    if path:
        return _from_paths(path, layout)
    if hub:
        repository = hub if isinstance(hub, str) else layout.hub.repository
        return _from_hub(layout._replace(hub=layout.hub._replace(repository=repository)))
    raise QuestionsError(
        f"questions.source={layout.name} needs questions.options.path, a file or folder of the set as it is published "
        f"(or one per split: {{train: ..., test: ...}}), or questions.options.hub=true to download "
        f"{layout.hub.repository}"
    )


def read_file(path: Path) -> list[Record]:
    """Return the records of one file.

    Raises:
        QuestionsError: If it is missing, empty or cannot be read.
    """
    records = read_records(path)
    return [{**record, FILE: path.name.split(".")[0]} for record in records]


def _from_paths(path: Any, layout: Layout) -> Records:
    if isinstance(path, Mapping):
        unknown = set(path) - set(_SPLITS)
        if unknown:
            raise QuestionsError(f"questions.options.path.{min(unknown)}: a split is one of {', '.join(_SPLITS)}")
        places = {split: _read_place(Path(place).expanduser(), layout) for split, place in path.items() if place}
    else:
        place = Path(path).expanduser()
        places = _read_folder(place, layout) if place.is_dir() else {"": _read_place(place, layout)}
    for split, records in places.items():
        check_columns(records, layout, where=str(path if isinstance(path, str) else path[split]))
    return places


def _read_place(place: Path, layout: Layout) -> list[Record]:
    """Return all records under a file or folder."""
    if not place.is_dir():
        return read_file(place)
    if layout.read_folder is not None and not _files(place, "*"):
        return layout.read_folder(place)
    return [record for file in _files(place, "**/*") for record in read_file(file)]


def _read_folder(folder: Path, layout: Layout) -> Records:
    """Return the records of a folder that holds the splits as folders, or as files whose names begin with them."""
    by_split: Records = {}
    for split in _SPLITS:
        folders = sorted(place for place in [folder / split, *folder.glob(f"*/{split}")] if place.is_dir())
        files = [file for pattern in (f"{split}*", f"*/{split}[-.]*") for file in _files(folder, pattern)]
        records = [record for place in folders or files for record in _read_place(place, layout)]
        if records:
            by_split[split] = records
    if not by_split:
        by_split[""] = _read_place(folder, layout)
    if not any(by_split.values()):
        raise QuestionsError(f"questions.options.path: the folder {folder.absolute()} holds no {layout.name} files")
    return by_split


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if file.is_file() and suffix_of(file) in SUFFIXES)


def check_columns(records: list[Record], layout: Layout, *, where: str) -> None:
    """Raise if a record lacks a column that the layout has, or what is in it.

    Raises:
        QuestionsError: With the columns that were looked for and those that were found.
    """
    for number, record in enumerate(records, start=1):
        empty = [column for column in layout.columns if column in record and record[column] is None]
        if empty:
            raise QuestionsError(
                f"{where}: record {number} has no {empty[0]} (it is null), so its answers cannot be judged; "
                "give a split that has it"
            )
        if any(column not in record for column in layout.columns):
            names = ", ".join(column for column in record if column not in {FILE, PLACE})
            raise QuestionsError(
                f"{where} is not in the layout of {layout.name}: looked for columns {', '.join(layout.columns)}; "
                f"record {number} has {names or 'none'}"
            )


def _from_hub(layout: Layout) -> Records:
    hub = layout.hub
    try:
        downloads = {split: list(_downloaded(hub, split)) for split in hub.splits}
    except Exception as error:  # of datasets, of the hub's client, of its HTTP library, of the network
        raise QuestionsError(
            f"{hub.repository} could not be had from the Hugging Face hub ({type(error).__name__}: {error}). "
            f"Without the hub, give a file or folder of {layout.name} as it is published: "
            "--params=questions.options.path=PATH"
        ) from error
    for records in downloads.values():
        check_columns(records, layout, where=hub.repository)
    return downloads


def _downloaded(hub: HubSet, split: str) -> Iterator[Record]:
    from datasets import load_dataset

    for configuration in hub.configurations or (None,):
        place = {"data_dir": configuration} if hub.folders else {"name": configuration}
        for record in load_dataset(hub.repository, split=split, revision=hub.revision, **place):
            yield {**record, FILE: configuration or split}
