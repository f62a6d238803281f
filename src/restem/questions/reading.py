"""Files of rows, read exactly as they are written: a 5 stays 5, 5.50 stays 5.50, and NA is a text.

JSONL, JSON, CSV (all also as .gz) and Parquet. No column is given a type by what stands in its other rows.
"""

import csv
import gzip
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from restem.errors import QuestionsError

Record = dict[str, Any]  # as in the file

_GZIP = b"\x1f\x8b"  # the first two bytes, RFC 1952; neither begins a text in UTF-8

PLACE = "restem_place"  # the column that says where a record stands in its file: "line 3"
SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


class Written(float):
    """A number that knows how it was written: str() gives 5.50, where a float gives 5.5."""

    text: str

    def __new__(cls, text: str) -> "Written":
        """Read a number of JSON."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __str__(self) -> str:
        """Return it as written."""
        return self.text

    def __reduce__(self) -> tuple[type["Written"], tuple[str]]:
        """Return how it is copied."""
        return Written, (self.text,)


def read_records(path: Path, *, holding: str = "questions") -> list[Record]:
    """Return the records of one file, each with its place in it; `holding` is what it should hold.

    Raises:
        QuestionsError: If it is missing, empty or cannot be read.
    """
    if not path.is_file():
        raise QuestionsError(f"questions.options.path: there is no file {path.absolute()}")
    suffix = suffix_of(path)
    reader = _READERS.get(suffix)
    if reader is None:
        raise QuestionsError(f"{path} cannot be read: its name must end in {', '.join(SUFFIXES)} or one of them + .gz")
    try:
        records = reader(path)
    except (ValueError, OSError, EOFError, RecursionError, csv.Error) as error:
        raise QuestionsError(f"{path} cannot be read as {suffix}: {error}") from error
    if not records:
        raise QuestionsError(f"{path} holds no {holding}")
    return records


def suffix_of(path: Path) -> str:
    """Return the suffix that says what is in a file; that of a compressed one stands before .gz.

    The query of a URL is no part of it.
    """
    suffixes = PurePosixPath(path.name.partition("?")[0]).suffixes
    return "".join(suffixes[-2:-1] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else suffixes[-1:])


def read_json_text(text: str) -> Any:
    """Return what JSON says, with numbers that know how they were written.

    Raises:
        ValueError: If it is no JSON, or says one thing twice.
    """
    return json.loads(text, parse_float=Written, parse_constant=_refuse_constant, object_pairs_hook=_object)


def as_text(value: Any) -> str | None:
    """Return a value as the text that a file holds or would hold for it; None if it is missing."""
    if value is None or value != value:  # noqa: PLR0124 - NaN, which is missing, is not itself
        return None
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    return str(value)


def _inner(value: Any) -> str:
    """Return a value inside a list or an object, as JSON."""
    text = as_text(value)
    if text is None:
        return "null"
    is_bare = isinstance(value, bool | int | float | Decimal | Mapping | list | tuple)
    return text if is_bare else json.dumps(text, ensure_ascii=False)


_WRITERS: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    (str, str),
    (bytes, lambda value: value.decode("utf-8")),
    (bool, lambda value: "true" if value else "false"),
    (Decimal, lambda value: format(value, "f")),
    (date | time, lambda value: value.isoformat()),
    (Mapping, lambda value: "{" + ", ".join(f"{_inner(name)}: {_inner(part)}" for name, part in value.items()) + "}"),
    (list | tuple, lambda value: "[" + ", ".join(map(_inner, value)) + "]"),
)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; write null for what is missing, or a text")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError(f"one object says {Counter(name for name, _ in pairs).most_common(1)[0][0]!r} twice")
    return fields


def _content(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if raw[:2] == _GZIP else raw).decode("utf-8-sig")


def _read_jsonl(path: Path) -> list[Record]:
    lines = io.StringIO(_content(path))  # which ends lines at line feeds only
    return [_record(line, number) for number, line in enumerate(lines, start=1) if line.strip()]


def _record(line: str, number: int) -> Record:
    try:
        record = read_json_text(line)
    except json.JSONDecodeError as error:  # which counts lines within the text
        raise ValueError(f"line {number}, character {error.pos + 1}: {error.msg}") from error
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is no JSON object")
    return {**record, PLACE: f"line {number}"}


def _read_json(path: Path) -> list[Record]:
    """Return a list of objects, the list that an object holds under "examples", one object, or one per line."""
    text = _content(path)
    try:
        content = read_json_text(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _read_jsonl(path)
        raise
    if isinstance(content, dict):
        content = content["examples"] if isinstance(content.get("examples"), list) else [content]
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise ValueError("it is no list of objects")
    return [{**record, PLACE: f"record {number}"} for number, record in enumerate(content, start=1)]


def _read_csv(path: Path) -> list[Record]:
    csv.field_size_limit(sys.maxsize)  # a column of tests is longer than the 128 KiB that are allowed by default
    rows = csv.reader(io.StringIO(_content(path), newline=""), strict=True)
    header = next(rows, [])
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise ValueError(f"two columns are called {twice[0]!r}")
    records = []
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            raise ValueError(f"line {rows.line_num} has {len(row)} values, and there are {len(header)} columns")
        # CSV has no other way to say that there is nothing.
        fields = {name: value or None for name, value in zip(header, row, strict=True)}
        records.append({**fields, PLACE: f"line {rows.line_num}"})
    return records


def _read_parquet(path: Path) -> list[Record]:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:
        return records_of(pq.read_table(stream))


def records_of(table: Any) -> list[Record]:
    """Return the rows of an Arrow table, each with its place in it."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type) and not pa.types.is_float64(field.type):
            # The shortest text that gives the same number in its own width: 0.1, and not 0.10000000149011612.
            table = table.set_column(index, field.name, pa.array(_shortest(table.column(index)), pa.string()))
    return [{**record, PLACE: f"row {number}"} for number, record in enumerate(table.to_pylist(), start=1)]


def _shortest(column: Any) -> list[str | None]:
    width = column.type.to_pandas_dtype()
    return [None if value is None or value != value else str(width(value)) for value in column.to_pylist()]  # noqa: PLR0124


_READERS: dict[str, Callable[[Path], list[Record]]] = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
