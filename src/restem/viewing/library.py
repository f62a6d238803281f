"""What is asked of the index: which questions, a page of them, one of them with its answers."""

import json
import sqlite3
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import LineageError
from restem.viewing.filters import Condition, checked, of_questions, of_samples

PAGE = 50  # questions
SHOWN = 12  # samples of a column at a time
_REMEMBERED = 8  # lists of matches
_COLUMN = ("experiment", "iteration", "stage")


class Matches(NamedTuple):
    """The questions that are left by filters, in order, and how many samples of each."""

    numbers: list[int]
    counts: list[int]


class Library:
    """An index that is open for reading, by several threads in turn."""

    def __init__(self, file: Path) -> None:
        """Open the index; it stays open if another takes its place."""
        self._connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript("PRAGMA mmap_size=1073741824; PRAGMA cache_size=-32768; PRAGMA query_only=1;")
        self._turn = threading.Lock()
        self._known: OrderedDict[str, Matches] = OrderedDict()
        self._marked: dict[str, list[int]] = {}
        self.about: dict[str, Any] = json.loads(self._rows("SELECT content FROM about")[0]["content"])

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()

    def use_marks(self, marked: Mapping[str, Iterable[str]]) -> None:
        """Set which questions, by their ids, have samples of which somebody said what."""
        numbers = {name: [self._number(one) for one in sorted(set(ids))] for name, ids in marked.items()}
        with self._turn:
            self._marked = {name: [number for number in found if number] for name, found in numbers.items()}
            self._known.clear()

    def page(self, asked: Mapping[str, str], *, offset: int, limit: int = PAGE) -> dict[str, Any]:
        """Return some of the questions that filters leave, and how many there are.

        Raises:
            SelectionError: If a filter is not known.
        """
        found = self.matches(checked(asked))
        numbers = found.numbers[offset : offset + limit]
        counts = dict(zip(numbers, found.counts[offset : offset + limit], strict=True))
        rows = self._rows(
            f"""SELECT number, question_id, split, level, source, substr(text, 1, 200) AS text, n, n_accepted,
                (SELECT group_concat(DISTINCT change) FROM changes WHERE question = number) AS changes
                FROM questions WHERE number IN ({_listed(numbers)}) ORDER BY number"""
        )
        listed = [{**dict(row), "n_matching": counts[row["number"]]} for row in rows]
        return {"total": len(found.numbers), "n_samples": sum(found.counts), "offset": offset, "questions": listed}

    def matches(self, filters: Mapping[str, str]) -> Matches:
        """Return the questions that filters leave."""
        key = json.dumps(filters, sort_keys=True)
        with self._turn:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
            marked = self._marked
        rows = self._values(*_found(filters, marked))
        found = Matches([number for number, _ in rows], [n for _, n in rows])
        with self._turn:
            self._known[key] = found
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    def question(self, question_id: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """Return a question with its prompts, and of every policy's answers the first, those that match before others.

        Raises:
            LineageError: If there is no such question.
            SelectionError: If a filter is not known.
        """
        filters = checked(asked)
        number = self._number(question_id)
        if number is None:
            raise LineageError(f"there is no question {question_id!r} among the {self.about['n_questions']:,} here")
        question = dict(self._rows("SELECT * FROM questions WHERE number = ?", number)[0])
        columns = self._columns(number, of_samples(filters) or Condition("1", ()))
        return {
            **question,
            "asked": [dict(row) for row in self._rows("SELECT * FROM asked WHERE question = ?", number)],
            "changes": [dict(row) for row in self._rows("SELECT * FROM changes WHERE question = ?", number)],
            "columns": [{**column, "samples": self.samples(question_id, column, filters)} for column in columns],
            **self._beside(number, filters),
        }

    def samples(
        self, question_id: str, column: Mapping[str, Any], asked: Mapping[str, str], *, offset: int = 0
    ) -> list[dict[str, Any]]:
        """Return some samples of a question: of one experiment, iteration and stage, those that match before others."""
        wanted = of_samples(checked(asked)) or Condition("1", ())
        rows = self._rows(
            f"""SELECT rowid AS number, *, ({wanted.sql}) IS 1 AS matching FROM samples
                WHERE question = ? AND experiment = ? AND iteration = ? AND stage = ?
                ORDER BY matching DESC, decoding = 'greedy' DESC, suite, decoding, sample_index, policy_id
                LIMIT {SHOWN} OFFSET ?""",
            *wanted.values,
            self._number(question_id),
            *(column[name] for name in _COLUMN),
            offset,
        )
        return [dict(row) for row in rows]

    def whole_questions(self, *, first: str | None, marked: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the questions with all of their samples: this one, marked ones, changed ones, and then the others."""
        wanted = [self._number(name) for name in ([first] if first else []) + sorted(marked)]
        changed = [row["question"] for row in self._rows("SELECT DISTINCT question FROM changes ORDER BY 1")]
        everything = [row["number"] for row in self._rows("SELECT number FROM questions ORDER BY 1")]
        for number in dict.fromkeys([*(number for number in wanted if number), *changed, *everything]):
            question = dict(self._rows("SELECT * FROM questions WHERE number = ?", number)[0])
            parts = {
                name: [
                    dict(row) for row in self._rows(f"SELECT {columns} FROM {name} WHERE question = ? {order}", number)
                ]
                for name, columns, order in (
                    ("asked", "*", ""),
                    ("changes", "*", ""),
                    ("alike", "*", ""),
                    ("samples", "rowid AS number, *", "ORDER BY experiment, iteration, stage, rowid"),
                )
            }
            yield {**question, **parts}

    def sample(self, question_id: str, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the sample of a question that has these values, the first if there are several."""
        condition = " AND ".join(f"{name} IS ?" for name in key)
        sql = f"SELECT rowid AS number, * FROM samples WHERE question = ? AND {condition} LIMIT 1"
        rows = self._rows(sql, self._number(question_id), *key.values())
        return dict(rows[0]) if rows else None

    def _columns(self, number: int, wanted: Condition) -> list[dict[str, Any]]:
        """Return by whom a question was answered, and when: evaluated policies in order, then samples to learn from."""
        rows = self._rows(
            f"""SELECT experiment, iteration, stage, sum(n) AS n, sum(iif(verdict = 'accepted', n, 0)) AS n_accepted,
                sum(iif(fate = 'kept', n, 0)) AS n_kept, sum(iif({wanted.sql}, n, 0)) AS n_matching
                FROM alike WHERE question = ? GROUP BY 1, 2, 3 ORDER BY stage, iteration, experiment""",
            *wanted.values,
            number,
        )
        return [dict(row) for row in rows]

    def _beside(self, number: int, filters: Mapping[str, str]) -> dict[str, Any]:
        """Return the place of a question among those that filters leave, and its neighbours there."""
        numbers = self.matches(filters).numbers
        place = bisect_left(numbers, number)
        is_among = place < len(numbers) and numbers[place] == number
        after = place + 1 if is_among else place
        return {
            "place": place if is_among else None,
            "total": len(numbers),
            "previous": self._id(numbers[place - 1]) if place else None,
            "next": self._id(numbers[after]) if after < len(numbers) else None,
        }

    def _number(self, question_id: str) -> int | None:
        rows = self._rows("SELECT number FROM questions WHERE question_id = ?", question_id)
        return rows[0]["number"] if rows else None

    def _id(self, number: int) -> str:
        return str(self._rows("SELECT question_id FROM questions WHERE number = ?", number)[0]["question_id"])

    def _rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._turn:
            return self._connection.execute(sql, values).fetchall()

    def _values(self, sql: str, values: Iterable[Any]) -> list[Any]:
        with self._turn:
            cursor = self._connection.cursor()
            cursor.row_factory = None  # tuples, which hundred thousands of them need
            return cursor.execute(sql, tuple(values)).fetchall()


def _found(filters: Mapping[str, str], marked: Mapping[str, list[int]]) -> Condition:
    question, sample = of_questions(filters, marked), of_samples(filters)
    if sample is None:
        return Condition(f"SELECT number, n FROM questions WHERE {question.sql} ORDER BY number", question.values)
    found = f"SELECT question, sum(n) AS n FROM alike WHERE {sample.sql} GROUP BY question"
    if question.sql == "1":
        return Condition(f"{found} ORDER BY question", sample.values)
    sql = f"SELECT number, f.n FROM ({found}) AS f JOIN questions ON number = question WHERE {question.sql} ORDER BY 1"
    return Condition(sql, (*sample.values, *question.values))


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
