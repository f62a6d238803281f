"""Which column of a data set is what: the option `columns`, with dotted paths into what is nested."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from restem.errors import QuestionsError
from restem.questions.options import PREFIX
from restem.questions.places import FILE
from restem.questions.reading import PLACE, Record, as_text, read_json_text

GOLD = "gold"
FIELDS = ("text", "messages", GOLD, "question_id", "split", "level", "reward", "source", "licence")
ABSENT = object()  # of a column that a record does not have

_LOOKED_AT = 200  # records, for what is in a column
_DEEPEST = 3
_SHOWN = 60  # characters of an example


class Column(NamedTuple):
    """What is found in a column of a data set, or in a part of one."""

    path: str  # dotted
    kind: str  # in words
    filled: float  # share of the records that have it, 0 to 1
    example: str


def paths_of(columns: Mapping[str, Any]) -> dict[str, str]:
    """Return the option `columns` as a path per field, gold's parts as gold.tests; what it does not name is not there.

    Raises:
        QuestionsError: If it names an unknown field, or something else than columns.
    """
    paths = dict(flat(columns))
    for field, path in paths.items():
        head, _, part = field.partition(".")
        if head not in FIELDS or (part and head != GOLD) or "." in part:
            raise QuestionsError(
                f"{PREFIX}.columns.{field} is not a field of a question: they are {', '.join(FIELDS)}, and parts of "
                "the gold as gold.answer, gold.solution, gold.tests"
            )
        if not isinstance(path, str) or not path:
            raise QuestionsError(f"{PREFIX}.columns.{field} must name a column, got {path!r}")
    if GOLD in paths and any(field.startswith(f"{GOLD}.") for field in paths):
        raise QuestionsError(f"{PREFIX}.columns.gold must be a column or a mapping of parts, and is both")
    if "text" in paths and "messages" in paths:
        raise QuestionsError(f"{PREFIX}.columns: the question is either text or messages, and both are named")
    return paths


def flat(columns: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a nested mapping by their dotted names, each with its column; null is left out."""
    for field, path in columns.items():
        if isinstance(path, Mapping):
            yield from flat(path, f"{before}{field}.")
        elif path is not None:  # an overlay cannot take a key away, but it can set it to null
            yield f"{before}{field}", path


def value_at(record: Any, path: str) -> Any:
    """Return what stands at a dotted path, ABSENT if nothing does.

    A column whose own name has dots wins over what is nested. A number counts the parts of a list from 0, and a path
    leads into a text that holds JSON too.
    """
    if isinstance(record, Mapping) and path in record:
        return record[path]
    if isinstance(record, str):
        record = _parsed(record)
    if isinstance(record, list | tuple):
        index, _, rest = path.partition(".")
        is_there = index.isdecimal() and int(index) < len(record)
        return ABSENT if not is_there else value_at(record[int(index)], rest) if rest else record[int(index)]
    if not isinstance(record, Mapping):
        return ABSENT
    if path in record:
        return record[path]
    dots = [place for place, character in enumerate(path) if character == "."]
    head = next((path[:dot] for dot in reversed(dots) if path[:dot] in record), None)
    return ABSENT if head is None else value_at(record[head], path[len(head) + 1 :])


def has(records: Sequence[Record], path: str) -> bool:
    """Return whether any record has a column."""
    return any(value_at(record, path) is not ABSENT for record in records)


def columns_in(records: Sequence[Record]) -> list[Column]:
    """Return the columns of the first records, each before its parts."""
    looked_at = list(islice(records, _LOOKED_AT))
    names = dict.fromkeys(str(name) for record in looked_at for name in record if name not in {FILE, PLACE})
    return [column for name in names for column in _column(name, [record.get(name) for record in looked_at], 1)]


def _column(path: str, values: Sequence[Any], depth: int) -> Iterator[Column]:
    present = [value for value in values if value is not None and value not in ("", [], {})]
    example = " ".join((as_text(present[0]) or "").split()) if present else ""
    yield Column(path, _kind(present), len(present) / max(len(values), 1), example[:_SHOWN])
    inner = [_parsed(value) if isinstance(value, str) else value for value in values]
    objects = [value for value in inner if isinstance(value, Mapping)]
    if depth < _DEEPEST and objects and len(objects) == len(present):
        for name in dict.fromkeys(str(name) for value in objects for name in value):
            parts = [value.get(name) if isinstance(value, Mapping) else None for value in inner]
            yield from _column(f"{path}.{name}", parts, depth + 1)


def _kind(values: Sequence[Any]) -> str:
    kinds = dict.fromkeys(map(_kind_of, values))
    return " or ".join(kinds) or "empty"


def _kind_of(value: Any) -> str:
    if is_chat(value):
        return "chat messages"
    for kinds, word in ((bool, "true or false"), (int | float, "number"), (str, "text"), (Mapping, "object")):
        if isinstance(value, kinds):
            return word
    if isinstance(value, list | tuple):
        return f"list of {_kind_of(value[0])}" if value else "list"
    return type(value).__name__


def is_chat(value: Any) -> bool:
    """Return whether a value is a list of turns, {role, content} or {from, value}."""
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(
            isinstance(turn, Mapping) and ({"role", "content"} <= set(turn) or {"from", "value"} <= set(turn))
            for turn in value
        )
    )


def _parsed(text: str) -> Any:
    """Return what a text holds as JSON, if that is an object or a list; else the text."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return read_json_text(text)
    except (ValueError, RecursionError):
        return text
