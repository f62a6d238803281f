"""`questions.options` of the sources that read a data set of any layout: file and hub. Pure data, as groups.py.

Both take a data set as it is: `columns` says which column is what, `extract` where in a column the answer stands.
What is chosen here is chosen by the user; nothing has a source in the paper.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Name = Annotated[str, StringConstraints(min_length=1)]
_SPLITS = ("train", "validation", "test")


def _is_extract(value: object) -> object:
    """Return an option `extract` that says where the answer stands."""
    if isinstance(value, Mapping) and list(value) == ["pattern"] and isinstance(value["pattern"], str):
        try:
            re.compile(value["pattern"])
        except re.error as error:
            raise ValueError(f"has a pattern that is no regular expression ({error})") from error
        return value
    if value not in ("boxed", "hashes", None):
        raise ValueError("must be boxed, hashes or {pattern: REGULAR EXPRESSION}")
    return value


def _are_columns(value: object) -> object:
    """Return an option `columns` that maps."""
    if not isinstance(value, Mapping):
        raise ValueError("must say which column is what, as {text: problem, gold: answer}")
    return value


def _is_path(value: object) -> object:
    """Return an option `path` that names files."""
    by_split = value if isinstance(value, Mapping) else {"train": value}
    for split, path in by_split.items():
        if split not in _SPLITS:
            raise ValueError(f"has a split {split!r}, which must be one of {', '.join(_SPLITS)}")
        paths = path if isinstance(path, list | tuple) else [path]
        if not paths or not all((isinstance(one, str) and one) or (one is None and paths == [None]) for one in paths):
            raise ValueError("must name a .jsonl, .json, .csv or .parquet file, a folder, a glob or a URL, or several")
    return value


@dataclass(frozen=True, config=_STRICT)
class Pattern:
    """A regular expression, of whose last match the answer is: its first group, or all of it without one."""

    pattern: Name


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class ColumnOptions:
    """What both have."""

    # What of a question -> its column: text, messages, gold, question_id, split, level, reward, source, licence. A dot
    # leads into what is nested, as {text: problem, gold: answer.value, level: meta.difficulty}; gold may have parts, as
    # {gold: {tests: test_list, solution: code}}. What is not named is read from the column of its name; null: never.
    columns: Annotated[dict[str, Any], BeforeValidator(_are_columns)] = Field(default_factory=dict)
    # Of the gold's column: boxed is what the last \boxed{} or \fbox{} holds, hashes the line after the last ####.
    extract: Annotated[Literal["boxed", "hashes"] | Pattern | None, BeforeValidator(_is_extract)] = None  # None: all
    reward: Name = "exact"  # of questions that name none


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class FileOptions(ColumnOptions):
    """Files of rows: restem.questions.file."""

    # A file, folder, glob or URL that fsspec reads; several in a list; or one of these for each split
    path: Annotated[Any, BeforeValidator(_is_path)]


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class HubOptions(ColumnOptions):
    """A data set of the Hugging Face hub: restem.questions.hub."""

    dataset: Name  # OWNER/NAME, or a folder that `datasets` loads
    configuration: Name | None = None  # None: the one there is, or the default one
    # Ours -> those of the data set, as {train: train_sft, test: "train[:500]"}; None: those of the same names.
    splits: dict[Literal["train", "validation", "test", "exemplar"], Name | None] | None = None
    revision: Name | None = None  # a commit, a tag or a branch; None: main. The commit is recorded with the questions
    streaming: bool = False  # read from the front only as many rows as are asked for, and keep nothing on the disk
