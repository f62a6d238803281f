"""Questions from a data set of the Hugging Face hub, of any columns, read by `datasets`; no code of it is run.

Options: restem.parameters.sources.HubOptions. Splits of the names train, validation and test are taken as they are, a
set of one split is dealt out by `questions.seed`, and `splits` names others. Every question says in `source` of which
commit it is, and its licence is the one of the card. A file on the hub is read with the type that `datasets` gives each
column: where 5 and 5.50 are golds of a JSONL file there, download the file and read it with questions.source=file.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.parameters.sources import HubOptions
from restem.questions.dealing import rows_wanted
from restem.questions.guesses import as_yaml
from restem.questions.hub_access import Found, explained, look_up
from restem.questions.options import PREFIX, checked
from restem.questions.places import FILE, Records
from restem.questions.public import Row
from restem.questions.reading import PLACE, Record, records_of
from restem.questions.rows import DataSet, rows_of

_OURS = ("train", "validation", "test")
_BATCH = 1000  # rows that are turned into Python at a time
_BEGINNINGS = {"train": "train", "validation": "val", "test": "test"}  # of the names that splits have elsewhere


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the questions of the data set.

    Raises:
        QuestionsError: If the hub does not give it, it lacks a split or a column, or its golds cannot be found.
    """
    options = checked(parameters.options, HubOptions)
    found, records = read_hub(options, numbers=rows_wanted(parameters))
    commit = f"@{found.commit[:12]}" if found.commit else ""
    defaults = {"source": f"{options.dataset}{commit}", "licence": found.licence}
    yield from rows_of(DataSet(options.dataset, records, defaults, is_ours=False), options, parameters)


def read_hub(options: HubOptions, *, numbers: Mapping[str, int | None]) -> tuple[Found, Records]:
    """Return what the hub says of a data set, and its records by split.

    Args:
        options: Which, and how.
        numbers: Rows of each split of an experiment that are asked for, None for all; what streaming reads.

    Raises:
        QuestionsError: If it cannot be had, or has other splits.
    """
    instead = "Without the hub, download its files elsewhere and read them: questions.source=file"
    asked = explained(options.dataset, revision=options.revision, revision_option=f"{PREFIX}.revision", instead=instead)
    with asked:
        found = look_up(options.dataset, options.revision)
        splits = _splits(options, found)
        return found, {
            split: list(
                islice(_records(dataset, split), _rows_of(split, splits, numbers) if options.streaming else None)
            )
            for split, dataset in splits.items()
        }


def _splits(options: HubOptions, found: Found) -> dict[str, Any]:
    """Return the data sets of the splits; "" is the one of a set in one piece."""
    wanted = {ours: theirs for ours, theirs in (options.splits or {}).items() if theirs}
    if wanted:
        return {ours: _loaded(options, found, split=theirs) for ours, theirs in wanted.items()}
    datasets = _loaded(options, found)
    names = list(datasets)
    if len(names) == 1:
        return {"": datasets[names[0]]}
    if "train" not in names:
        raise QuestionsError(_other_splits(names, options))
    return {split: datasets[split] for split in _OURS if split in names}


def _other_splits(names: list[str], options: HubOptions) -> str:
    likely = {
        ours: next((name for name in names if name.startswith(begin)), None) for ours, begin in _BEGINNINGS.items()
    }
    splits = {ours: name for ours, name in likely.items() if name} or {"train": names[0], "test": names[-1]}
    return (
        f"{options.dataset} has the splits {', '.join(names)} and none that is called train; say which is which, as "
        f"under {PREFIX}:\n{as_yaml({'splits': splits}, indent=2)}"
    )


def _loaded(options: HubOptions, found: Found, split: str | None = None) -> Any:
    from datasets import get_dataset_config_names, load_dataset

    revision = found.commit or options.revision
    names = get_dataset_config_names(options.dataset, revision=revision)
    if len(names) > 1 and options.configuration not in names and (options.configuration or "default" not in names):
        asked = f"no configuration {options.configuration}" if options.configuration else "several configurations"
        raise QuestionsError(
            f"{options.dataset} has {asked}; choose one with {PREFIX}.configuration: {', '.join(names)}"
        )
    return load_dataset(
        options.dataset, name=options.configuration, split=split, revision=revision, streaming=options.streaming
    )


def _records(dataset: Any, split: str) -> Iterator[Record]:
    """Yield the rows as Arrow has them: numbers in their own width, and pictures as bytes that nothing decodes."""
    numbered = 0
    for batch in dataset.with_format("arrow").iter(batch_size=_BATCH):
        for record in records_of(batch):
            numbered += 1
            yield {**record, FILE: split, PLACE: f"{split or dataset.split or 'the set'}, row {numbered}"}


def _rows_of(split: str, splits: Iterable[str], numbers: Mapping[str, int | None]) -> int | None:
    """Return how many rows of a split are needed: of those to train on also for the splits carved from them."""
    carved = [name for name in numbers if name not in splits] if split in ("", "train") else []
    needed = [numbers[name] for name in dict.fromkeys([*carved, *([split] if split else [])])]
    return None if None in needed else sum(filter(None, needed))
