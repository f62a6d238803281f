"""Public sets of questions in the layout in which they are published: a file, a folder, or the hub.

Options that all of them take:

- path: a file, a folder that holds the set as it is published, or a path per split: {train: ..., test: ...}; also
  globs and URLs, see restem.questions.places. JSONL, JSON, CSV and Parquet are read, the first three also as .gz.
- hub: true to download the set with `datasets`, or the id of another repository in the same layout. A path wins.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.hub_access import explained
from restem.questions.places import FILE, FolderReader, Records, read_paths
from restem.questions.reading import PLACE, Record

Row = dict[str, Any]  # as restem.questions wants it


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
    read_folder: FolderReader | None = None  # where records are not files of rows


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
        places = read_paths(path, name=layout.name, read_folder=layout.read_folder)
        for split, records in places.items():
            check_columns(records, layout, where=str(path[split] if isinstance(path, Mapping) else path))
        return places
    if hub:
        repository = hub if isinstance(hub, str) else layout.hub.repository
        return _from_hub(layout._replace(hub=layout.hub._replace(repository=repository)))
    raise QuestionsError(
        f"questions.source={layout.name} needs questions.options.path, a file or folder of the set as it is published "
        f"(or one per split: {{train: ..., test: ...}}), or questions.options.hub=true to download "
        f"{layout.hub.repository}"
    )


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
    instead = (
        f"Without the hub, give a file or folder of {layout.name} as it is published: "
        "--params=questions.options.path=PATH"
    )
    with explained(hub.repository, revision=hub.revision, revision_option="questions.options.hub", instead=instead):
        downloads = {split: list(_downloaded(hub, split)) for split in hub.splits}
    for records in downloads.values():
        check_columns(records, layout, where=hub.repository)
    return downloads


def _downloaded(hub: HubSet, split: str) -> Iterator[Record]:
    from datasets import load_dataset

    for configuration in hub.configurations or (None,):
        place = {"data_dir": configuration} if hub.folders else {"name": configuration}
        for record in load_dataset(hub.repository, split=split, revision=hub.revision, **place):
            yield {**record, FILE: configuration or split}
