"""The index of what is read: a file of SQLite, made once for a state of the tables. It finds a page in milliseconds.

Filters are answered from `alike`, which counts the samples of a question that are the same in all that one filters by:
a tenth of the samples, or less. Texts are searched by SQLite's FTS5.
"""

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restem.errors import StorageError
from restem.filtering.fates import KEPT, NOT_LEARNED_FROM
from restem.store.fingerprints import fingerprint
from restem.store.partials import appearing, remove_partials
from restem.store.storage import writing
from restem.viewing.source import SAMPLE_COLUMNS, Source
from restem.viewing.words import words

if TYPE_CHECKING:
    from restem.store.tables import Table

FORMAT = 1  # of the file
FATES = {  # what the page says of them
    KEPT: "learned from",
    NOT_LEARNED_FROM: "filtering.learn_from names no samples of the iteration",
    "over_cap": "over the cap: filtering.max_per_question others of the question were kept",
    "repeated": "a sample of the question before it says the same (filtering.distinct)",
    "truncated": "cut off by max_new_tokens (filtering.keep_truncated)",
    "below_min_reward": "its reward is below filtering.min_reward",
}
FACETS = ["iteration", "stage", "suite", "decoding", "verdict", "reason", "fate", "doubtful"]  # of a sample
_OF_QUESTION = ["split", "level", "source", "reward"]
_SCHEMA = f"""
CREATE TABLE about (content TEXT);  -- JSON: experiments, facets
CREATE TABLE questions (number INTEGER PRIMARY KEY, question_id TEXT UNIQUE, split TEXT, level TEXT, source TEXT,
    reward TEXT, text TEXT, n INTEGER DEFAULT 0, n_accepted INTEGER DEFAULT 0);
CREATE TABLE asked (question INTEGER, experiment TEXT, text TEXT, gold TEXT, prompt TEXT, left_out TEXT,
    PRIMARY KEY (question, experiment)) WITHOUT ROWID;
CREATE TABLE samples (question INTEGER, experiment TEXT, {", ".join(SAMPLE_COLUMNS[1:])});
CREATE TABLE alike (question INTEGER, experiment TEXT, {", ".join(FACETS)}, n INTEGER);
CREATE TABLE changes (question INTEGER, experiment TEXT, iteration INTEGER, suite TEXT, change TEXT);
CREATE VIRTUAL TABLE search USING fts5(words, content='', detail='none', prefix='1 2 3',
    tokenize='unicode61 remove_diacritics 0');
"""
_INDEXES = """
CREATE INDEX samples_of ON samples (question, experiment, iteration, stage);
CREATE INDEX alike_of ON alike (question);
CREATE INDEX changes_of ON changes (question);
ANALYZE;
"""


def index_of(sources: Sequence[Source], folder: Path) -> Path:
    """Return the index of these experiments as they are now, made if it is not there.

    Args:
        sources: The experiments, in the order in which they are shown.
        folder: Where indexes are kept; one of the same experiments in another state is removed.
    """
    names = fingerprint([source.name for source in sources])
    state = fingerprint([FORMAT, *([source.name, source.fingerprint()] for source in sources)])
    file = folder / f"{names}-{state}.sqlite"
    if not _is_readable(file):
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        remove_partials(file, dead_only=True)
        with appearing(file) as partial:
            build_index(sources, partial)
            partial.replace(file)
    for old in folder.glob(f"{names}-*.sqlite"):
        if old != file:
            old.unlink(missing_ok=True)
    return file


def _is_readable(file: Path) -> bool:
    if not file.exists():
        return False
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return bool(connection.execute("SELECT count(*) FROM about").fetchone() == (1,))
    except sqlite3.DatabaseError:  # cut short, or something else
        return False
    finally:
        connection.close()


def build_index(sources: Sequence[Source], file: Path) -> None:
    """Write the index of these experiments to a new file.

    Raises:
        StorageError: If the disk is full or failing.
    """
    connection = sqlite3.connect(file)
    try:
        connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536;")
        connection.executescript(_SCHEMA)
        numbers: dict[str, int] = {}
        for source in sources:
            _add_questions(connection, source, numbers)
        for source in sources:
            _add_samples(connection, source, numbers)
            changes: list[Any] = source.changes().to_dict("records")
            added = [
                (numbers[row["question_id"]], source.name, *(row[name] for name in ("iteration", "suite", "change")))
                for row in changes
            ]
            connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", added)
        connection.executescript(_INDEXES)
        _add_words(connection)
        connection.execute("INSERT INTO about VALUES (?)", [json.dumps(_about(connection, sources))])
        connection.commit()
    except sqlite3.OperationalError as error:
        raise StorageError(f"{file.parent} does not take the index of samples: {error}. Make room there") from error
    finally:
        connection.close()


def _add_questions(connection: sqlite3.Connection, source: Source, numbers: dict[str, int]) -> None:
    for row in _plain(source.questions()).to_dict("records"):
        name = str(row["question_id"])
        if name not in numbers:
            numbers[name] = len(numbers) + 1
            connection.execute(
                "INSERT INTO questions VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)",
                [numbers[name], name, *(row[column] for column in _OF_QUESTION), row["asked"]],
            )
        shown = [row["asked"], row["gold"], row["prompt"], row["left_out"]]
        connection.execute("INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?)", [numbers[name], source.name, *shown])


def _add_samples(connection: sqlite3.Connection, source: Source, numbers: dict[str, int]) -> None:
    places = ", ".join("?" * (len(SAMPLE_COLUMNS) + 1))
    for rows in source.samples():
        of_question = [numbers[name] for name in rows["question_id"]]
        columns = [of_question, itertools.repeat(source.name), *(rows[name].tolist() for name in SAMPLE_COLUMNS[1:])]
        connection.executemany(f"INSERT INTO samples VALUES ({places})", zip(*columns, strict=False))
        facets = zip(of_question, *(rows[name].tolist() for name in FACETS), strict=True)
        alike = [(question, source.name, *rest, n) for (question, *rest), n in Counter(facets).items()]
        connection.executemany(f"INSERT INTO alike VALUES (?, ?, {', '.join('?' * len(FACETS))}, ?)", alike)


def _add_words(connection: sqlite3.Connection) -> None:
    """Make every question found by the words of its id, text, gold and completions, and count its samples."""
    texts = connection.execute(
        """SELECT number, question_id || ' ' || questions.text || ' ' || coalesce(group_concat(asked.gold, ' '), '')
           FROM questions LEFT JOIN asked ON question = number GROUP BY number ORDER BY number"""
    )
    answers = connection.execute("SELECT question, completion FROM samples ORDER BY question")
    by_question = itertools.groupby(answers, key=lambda row: row[0])
    number, group = next(by_question, (None, iter(())))
    for question, text in texts.fetchall():
        found = set(words(text))
        if question == number:
            for _, completion in group:
                found.update(words(completion))
            number, group = next(by_question, (None, iter(())))
        connection.execute("INSERT INTO search (rowid, words) VALUES (?, ?)", [question, " ".join(found)])
    connection.execute(
        """UPDATE questions SET n = counted.n, n_accepted = counted.accepted FROM (
               SELECT question, sum(n) AS n, sum(iif(verdict = 'accepted', n, 0)) AS accepted
               FROM alike GROUP BY question) AS counted WHERE counted.question = number"""
    )


def _about(connection: sqlite3.Connection, sources: Sequence[Source]) -> dict[str, Any]:
    """Return what the page says before a question is chosen: experiments, and the values of every filter."""
    one = connection.execute("SELECT count(*), coalesce(sum(n), 0) FROM questions").fetchone()
    return {
        "experiments": [
            {"name": source.name, "policies": [policy._asdict() for policy in source.policies()]} for source in sources
        ],
        "fates": FATES,
        "n_questions": one[0],
        "n_samples": one[1],
        "facets": {
            **{name: _values(connection, "questions", name, "count(*)") for name in ("split", "level", "source")},
            **{name: _values(connection, "alike", name, "sum(n)") for name in FACETS if name != "doubtful"},
            "change": _values(connection, "changes", "change", "count(DISTINCT question)"),
        },
        "n_doubtful": connection.execute("SELECT coalesce(sum(n), 0) FROM alike WHERE doubtful").fetchone()[0],
    }


def _values(connection: sqlite3.Connection, table: str, column: str, count: str) -> list[list[Any]]:
    """Return the values of a column, each with its count."""
    found: Iterator[Any] = connection.execute(
        f"SELECT {column}, {count} FROM {table} WHERE {column} IS NOT NULL AND {column} != '' GROUP BY 1 ORDER BY 1"
    )
    return [list(row) for row in found]


def _plain(table: "Table") -> "Table":
    return table.astype(object).where(table.notna(), None)
