"""Questions of one's own: a JSONL, JSON, CSV (these also as .gz) or Parquet file with the columns of `questions`.

Options: `path`, and `reward` for rows that name none. Columns `text`, `gold` and `split` are needed. `gold` is
a JSON object, or a bare answer. Everything is read as it is written: a gold 5 stays 5 beside a 5.50, and NA is a text.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.reading import PLACE, Record, as_text, read_json_text, read_records

_logger = logging.getLogger(__name__)

_NEEDED = ("text", "gold", "split")
_READ = (*_NEEDED, "question_id", "reward", "level", "source", "licence", PLACE)


def load(parameters: QuestionsParameters) -> Iterator[dict[str, Any]]:
    """Yield a row per line of the file.

    Raises:
        QuestionsError: If the file is missing, empty, of another format, or lacks a column.
    """
    options = dict(parameters.options)
    path, reward = options.pop("path", None), options.pop("reward", "exact")
    if options:
        raise QuestionsError(f"questions.options.{next(iter(options))} is not an option of questions.source=file")
    if not path:
        raise QuestionsError("questions.options.path must name a .jsonl, .json, .csv or .parquet file")
    file = Path(path).expanduser()
    records = read_records(file)
    _check_columns(file, records)
    for record in records:
        fields = {name: as_text(value) for name, value in record.items() if name in _READ and name != "gold"}
        fields = {name: text for name, text in fields.items() if text is not None}
        place = f"{file.name}, {record[PLACE]}"
        yield {
            "reward": reward,
            "source": file.name,
            **fields,
            PLACE: place,
            "gold": gold_as_dict(place, record.get("gold")),
        }


def _check_columns(file: Path, records: list[Record]) -> None:
    columns = dict.fromkeys(str(name) for record in records for name in record if name != PLACE)
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise QuestionsError(f"{file} lacks column {', '.join(missing)}; it has {', '.join(columns)}")
    unread = [name for name in columns if name not in _READ]
    if unread:
        _logger.warning("%s: nothing reads column %s", file.name, ", ".join(unread))


def gold_as_dict(place: str, value: Any) -> Any:
    """Return the gold as a dict, with its answer in the characters of the file; None if there is none.

    Args:
        place: Where it stands, for the error.
        value: A dict, the JSON of one, or a bare answer.

    Raises:
        QuestionsError: If it begins like JSON and is none.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = read_json_text(value)
        except ValueError as error:
            raise QuestionsError(f"{place}: gold is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        text = as_text(value)
        return {"answer": text} if text and text.strip() else None
    gold = {name: part for name, part in value.items() if part is not None}  # Parquet gives every row every key
    return gold | {name: as_text(gold[name]) for name in ("answer", "solution") if name in gold}
