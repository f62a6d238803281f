"""Questions of one's own, or of anyone's: JSONL, JSON, CSV (these also as .gz) and Parquet files of any columns.

Options: restem.parameters.sources.FileOptions. Without `columns`, text, gold and, where the files are in one piece,
split are the columns of these names; without a column split, questions are dealt by `questions.seed`. `gold` is a JSON
object, or a bare answer. Everything is read as it is written: a gold 5 stays 5 beside a 5.50, and NA is a text.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from restem.errors import first_few
from restem.parameters import QuestionsParameters
from restem.parameters.sources import FileOptions
from restem.questions.options import checked
from restem.questions.places import read_paths
from restem.questions.public import Row
from restem.questions.rows import DataSet, rows_of


def load(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the questions of the files.

    Raises:
        QuestionsError: If a file is missing, empty, of another format, or lacks a column.
    """
    options = checked(parameters.options, FileOptions)
    records = read_paths(options.path, name="question")
    yield from rows_of(DataSet(shown_path(options.path), records, {}, is_ours=True), options, parameters)


def shown_path(path: Any) -> str:
    """Return the option `path` for a message."""
    paths = path.values() if isinstance(path, Mapping) else path if isinstance(path, list) else [path]
    return first_few(str(one) for one in paths if one)
