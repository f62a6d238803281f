"""What a reader looks for: filters as they are typed, and the questions that they leave.

`matches` in page/data.js means the same by them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from restem.errors import SelectionError
from restem.viewing.words import words

# Facets of a sample: those that are asked for have to be of one and the same sample.
_OF_SAMPLE = ("experiment", "iteration", "stage", "decoding", "suite", "verdict", "reason", "fate", "doubtful")
_OF_QUESTION = ("split", "level", "source")
_NUMBERS = ("iteration", "doubtful")
FILTERS = (*_OF_SAMPLE, *_OF_QUESTION, "change", "mark", "search")
ANY_MARK = "any"
_MOST_DIGITS = 16


class Condition(NamedTuple):
    """A part of an SQL statement, and its values."""

    sql: str
    values: tuple[Any, ...]

    @classmethod
    def all(cls, conditions: "list[Condition]") -> "Condition":
        """Return what holds if all of them do."""
        sql = " AND ".join(f"({condition.sql})" for condition in conditions) or "1"
        return cls(sql, tuple(value for condition in conditions for value in condition.values))


def checked(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the filters that are set.

    Raises:
        SelectionError: If one is unknown or no number where it should be.
    """
    for name, value in asked.items():
        if name not in FILTERS:
            raise SelectionError(f"there is no filter {name!r}; there are: {', '.join(FILTERS)}")
        if name in _NUMBERS and value and not (value.isdecimal() and len(value) < _MOST_DIGITS):
            raise SelectionError(f"the filter {name} is a number, got {value!r}")
    return {name: value for name, value in asked.items() if value}


def of_samples(filters: Mapping[str, str]) -> Condition | None:
    """Return the condition on samples, on either of the tables that have their facets; None if there is none."""
    asked = [name for name in _OF_SAMPLE if name in filters]
    if not asked:
        return None
    return Condition.all(
        [Condition(f"{name} = ?", (int(filters[name]) if name in _NUMBERS else filters[name],)) for name in asked]
    )


def of_questions(filters: Mapping[str, str], marked: Mapping[str, list[int]]) -> Condition:
    """Return the condition on questions, by their `number`.

    Args:
        filters: As checked.
        marked: The numbers of the questions by what readers said of their samples; under ANY_MARK all of them.
    """
    conditions = [Condition(f"{name} = ?", (filters[name],)) for name in _OF_QUESTION if name in filters]
    if "change" in filters:
        where = [Condition("change = ?", (filters["change"],))]
        where += [Condition("iteration = ?", (int(filters["iteration"]),))] if "iteration" in filters else []
        where += [Condition("experiment = ?", (filters["experiment"],))] if "experiment" in filters else []
        sql, values = Condition.all(where)
        conditions.append(Condition(f"number IN (SELECT question FROM changes WHERE {sql})", values))
    if "mark" in filters:
        numbers = ", ".join(map(str, marked.get(filters["mark"], [])))
        conditions.append(Condition(f"number IN ({numbers})", ()))
    if "search" in filters:
        sought = " AND ".join(f'"{word}"*' for word in words(filters["search"]))
        found = "number IN (SELECT rowid FROM search WHERE search MATCH ?)"
        conditions.append(Condition(found, (sought,)) if sought else Condition("0", ()))
    return Condition.all(conditions)
