"""A data set of any layout -> rows of questions: its columns mapped, its golds extracted, its splits dealt.

What the sources file and hub have in common. A question in whose gold nothing is found where `extract`
says keeps its place with an empty answer, which no reward can judge: it is quarantined and counted with the others.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from restem.errors import QuestionsError, first_few
from restem.parameters import QuestionsParameters
from restem.parameters.sources import ColumnOptions
from restem.questions.columns import ABSENT, FIELDS, GOLD, has, is_chat, paths_of, value_at
from restem.questions.dealing import deal_what_there_is
from restem.questions.extracting import extractor
from restem.questions.golds import gold_as_dict
from restem.questions.guesses import advice, likely_extract
from restem.questions.options import PREFIX
from restem.questions.places import FILE, Records
from restem.questions.public import Row
from restem.questions.reading import PLACE, Record, as_text
from restem.questions.turns import conversation
from restem.schemas import SPLITS

_logger = logging.getLogger(__name__)

_ENOUGH = 0.5  # of the golds in which `extract` must find an answer, or it is the wrong one; ours
_SHOWN = 80  # characters of what is wrong
_NO_ANSWER = {"answer": ""}  # which no reward can judge
_UNREAD = "unread"  # the part of a gold in which `extract` found no answer


class DataSet(NamedTuple):
    """What was read."""

    name: str  # for messages
    records: Records
    defaults: Mapping[str, str]  # of fields that have no column: source, licence
    is_ours: bool  # to mend: a gap in a file is an error, one in a public set a question that is set aside


def rows_of(dataset: DataSet, options: ColumnOptions, parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the questions of a data set, in the splits of the experiment.

    Raises:
        QuestionsError: If a column is missing or of another type, golds are missing, or splits are too small.
    """
    records = [record for of_split in dataset.records.values() for record in of_split]
    paths = _paths(records, options, dataset)
    says_splits = "split" in paths and ("split" in options.columns or list(dataset.records) == [""])
    if not says_splits:
        paths.pop("split", None)
    by_split = {
        split: [_row(record, paths, options, dataset) for record in of_split]
        for split, of_split in dataset.records.items()
    }
    for split, of_split in by_split.items():
        _check_golds(of_split, split, options, dataset)
    rows = _with_text(
        (row if says_splits else {**row, "split": split} for split, of_split in by_split.items() for row in of_split),
        dataset,
    )
    yield from rows if says_splits else deal_what_there_is(rows, parameters)


def _paths(records: list[Record], options: ColumnOptions, dataset: DataSet) -> dict[str, str]:
    """Return the column of every field that has one: as the user says, else the one of the field's name.

    Raises:
        QuestionsError: If one is not there that is needed or named, with the columns found and what to write.
    """
    said = paths_of(options.columns)
    missing = [f"{path} (columns.{field})" for field, path in said.items() if not has(records, path)]
    has_gold = any(field.partition(".")[0] == GOLD for field in said)
    passed_over = {"messages", *({"text"} if "messages" in said else ()), *({GOLD} if has_gold else ())}
    passed_over |= {field for field, path in options.columns.items() if path is None}
    if not dataset.is_ours:
        passed_over.add("reward")  # which elsewhere is a number more often than the name of a judge
    own = {field: field for field in FIELDS if field not in {*said, *passed_over} and has(records, field)}
    paths = said | own
    if "messages" not in paths:
        missing += [field for field in ("text", GOLD) if field not in paths and not (field == GOLD and has_gold)]
    if missing:
        raise QuestionsError(f"{dataset.name} lacks column {', '.join(missing)}; {advice(records)}")
    unread = [name for name in _names(records) if not _is_read(name, paths)]
    if unread:
        level = logging.INFO if options.columns else logging.WARNING
        _logger.log(level, "%s: nothing reads column %s", dataset.name, ", ".join(unread))
    return paths


def _names(records: list[Record]) -> list[str]:
    return list(dict.fromkeys(str(name) for record in records for name in record if not name.startswith("restem_")))


def _is_read(name: str, paths: Mapping[str, str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for path in paths.values())


def _row(record: Record, paths: Mapping[str, str], options: ColumnOptions, dataset: DataSet) -> Row:
    place = record[PLACE]
    values = {field: value_at(record, path) for field, path in paths.items()}
    values = {field: None if value is ABSENT else value for field, value in values.items()}
    plain = (set(FIELDS) - {"text", "messages", GOLD}) & values.keys()
    row: Row = {field: text for field in plain if (text := as_text(values[field])) is not None}
    gold = _gold(values, paths, place, is_named=GOLD in options.columns)
    if row.get("split", SPLITS[0]) not in SPLITS:
        raise QuestionsError(
            f"{place}: split must be one of {', '.join(SPLITS)}, got {row['split']!r}; to deal the questions by "
            f"questions.seed in place of this column, write {PREFIX}.columns.split=null"
        )
    if "messages" in paths:
        if not is_chat(values["messages"]):
            raise QuestionsError(
                f"{place}: columns.messages must be a column of turns, {{role, content}} or {{from, value}}; "
                f"{paths['messages']} holds {_shown(values['messages'])}"
            )
        said = conversation(values["messages"], place=place)
        row |= {"text": said.text, "context": json.dumps(said.context, ensure_ascii=False) if said.context else ""}
        if not any(field.partition(".")[0] == GOLD for field in paths):
            gold = gold_as_dict(place, said.answer)
    else:
        row["text"] = _text(values["text"], paths["text"], place)
    source = dataset.defaults.get("source") or record[FILE]
    if not dataset.is_ours and "source" in row:  # which stays beside the data set and its commit
        row["source"] = f"{source}/{row['source']}"
    return {
        "reward": options.reward,
        **dataset.defaults,
        "source": source,
        **row,
        PLACE: place,
        "gold": _judged(gold, options),
    }


def _text(value: Any, path: str, place: str) -> str:
    """Return the text of a question.

    Raises:
        QuestionsError: If the column holds something else.
    """
    if isinstance(value, Mapping | list | tuple):
        instead = "name it as columns.messages" if is_chat(value) else f"name a part of it, as {path}.{_part(value)}"
        raise QuestionsError(
            f"{place}: columns.text must be a column of texts; {path} holds {_shown(value)}: {instead}"
        )
    return as_text(value) or ""


def _part(value: Any) -> str:
    return str(next(iter(value), "PART")) if isinstance(value, Mapping) else "0"


def _shown(value: Any) -> str:
    return repr(value)[:_SHOWN]


def _gold(values: Mapping[str, Any], paths: Mapping[str, str], place: str, *, is_named: bool) -> dict[str, Any] | None:
    if GOLD in values:
        if is_named and isinstance(values[GOLD], list | tuple):
            raise QuestionsError(
                f"{place}: columns.gold must be a column of answers, and {paths[GOLD]} holds a list, "
                f"{_shown(values[GOLD])}: name one of it, as {paths[GOLD]}.0"
            )
        gold: dict[str, Any] | None = gold_as_dict(place, values[GOLD])
        return gold
    parts = {field.partition(".")[2]: value for field, value in values.items() if field.startswith(f"{GOLD}.")}
    if isinstance(parts.get("tests"), list | tuple):  # one assertion each, as in MBPP
        parts["tests"] = "\n".join(map(str, parts["tests"]))
    return gold_as_dict(place, {name: part for name, part in parts.items() if part is not None}) or None


def _judged(gold: dict[str, Any] | None, options: ColumnOptions) -> dict[str, Any] | None:
    """Return the gold with the answer that `extract` finds in it, and what it was found in as the solution."""
    if options.extract is None or gold is None or not gold.get("answer"):
        return gold
    whole = str(gold["answer"])
    answer = extractor(options.extract)(whole)
    if answer is None:
        return {**gold, **_NO_ANSWER, _UNREAD: whole}
    return {**({} if answer == whole.strip() else {"solution": whole}), **gold, "answer": answer}


def _check_golds(rows: list[Row], split: str, options: ColumnOptions, dataset: DataSet) -> None:
    """Raise if no row of a public set has a gold, or `extract` finds nothing in most; set others aside."""
    none = [] if dataset.is_ours else [row for row in rows if not row["gold"]]
    if none and len(none) == len(rows):
        raise QuestionsError(
            f"{dataset.name}: no row{f' of split {split}' if split else ''} has a gold, so no answer could be judged; "
            f"name another column as {PREFIX}.columns.gold, or other splits"
        )
    for row in none:
        row["gold"] = dict(_NO_ANSWER)
    unread = [row for row in rows if _UNREAD in (row["gold"] or {})]
    if len(unread) > (1 - _ENOUGH) * len(rows):
        example = " ".join(unread[0]["gold"][_UNREAD].split())[-_SHOWN:]
        raise QuestionsError(
            f"{PREFIX}.extract finds an answer in {len(rows) - len(unread)} of {len(rows)} golds of {dataset.name}: "
            f"{unread[0][PLACE]} ends in {example!r}; {likely_extract([row['gold'].get(_UNREAD) for row in unread])}"
        )
    for row in unread:
        del row["gold"][_UNREAD]
    for found, what in ((none, "have no gold"), (unread, "hold no answer where extract looks")):
        if found:
            where = first_few(row[PLACE] for row in found)
            _logger.warning("%s: %d of %d golds %s: %s", dataset.name, len(found), len(rows), what, where)


def _with_text(rows: Iterable[Row], dataset: DataSet) -> list[Row]:
    """Return the rows; of a public set without those that ask nothing, which the log counts."""
    given = list(rows)
    asked = [row for row in given if dataset.is_ours or row["text"].strip()]
    if len(asked) < len(given):
        _logger.warning(
            "%s: %d of %d rows have no text and are left out", dataset.name, len(given) - len(asked), len(given)
        )
    return asked
