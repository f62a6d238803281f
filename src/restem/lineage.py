"""The way of one question through an experiment: prompt, samples, verdicts, training rows, policies, evaluations.

Everything is read from the catalog, and of every shard only the rows of the question.
"""

import difflib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from restem import suggestions
from restem.errors import LineageError, first_few
from restem.experiment import Catalog
from restem.filtering.solutions import HUMAN
from restem.policies.policy import Policy
from restem.schemas import FROM_FILE
from restem.store.journal import DECIDED_BY
from restem.store.journal_usage import file_keys
from restem.store.tables import ShardedTable, Table

_SAMPLE = re.compile(r"(?P<question>.+):(?P<index>\d+)(?:@(?P<policy>.+))?")
_POLICY_NAME = re.compile(r"policy_(\d+)")
_MOST_NEAR = 5  # ids like a misspelt one


class Wanted(NamedTuple):
    """What to follow: a question, or one sample of it."""

    question_id: str
    sample_index: int | None = None
    policy_id: str | None = None  # that drew the sample; None is any


class Origin(NamedTuple):
    """A question, and what was asked of it."""

    question: dict[str, Any]
    left_out: str | None  # why it is not asked
    prompt_id: str | None
    prompt: str | None


class Step(NamedTuple):
    """What an iteration did with the question."""

    iteration: int
    samples: Table  # drawn in the E-step; with verdicts, once they are judged
    learned: Table  # rows of the training set
    policy: Policy | None  # that the iteration made; of iteration 0, the base policy
    answers: Table  # evaluation samples of that policy
    evaluation: Table  # a row per suite
    entries: tuple[str, ...]  # of the journal, that hold these rows or the policy


def find(catalog: Catalog, reference: str) -> Wanted:
    """Return what an id names: QUESTION or QUESTION:INDEX or QUESTION:INDEX@POLICY.

    Question and policy may be cut short where that names one; a policy may be written policy_2.

    Raises:
        LineageError: If the id names nothing, or more than one thing.
    """
    if not catalog.exists("candidate_questions"):
        raise LineageError(f"there are no questions yet; run this first: {suggestions.run('prepare')}")
    known = sorted(set(catalog.load("candidate_questions")["question_id"]))
    sample = _SAMPLE.fullmatch(reference)
    if reference in known or sample is None:
        return Wanted(_the_one(reference, known, "question"))
    policy = None if sample["policy"] is None else _policy_id(catalog, sample["policy"])
    return Wanted(_the_one(sample["question"], known, "question"), int(sample["index"]), policy)


def origin(catalog: Catalog, wanted: Wanted) -> Origin:
    """Return the question and its prompt, or why it was never asked."""
    rows = _of_question(catalog.load("candidate_questions"), wanted)
    prompt = _of_question(catalog.load("prompts"), wanted) if catalog.exists("prompts") else rows.iloc[:0]
    return Origin(
        {str(column): value for column, value in rows.iloc[0].items()},
        left_out(catalog).get(wanted.question_id),
        None if prompt.empty else str(prompt["prompt_id"].iloc[0]),
        None if prompt.empty else str(prompt["prompt"].iloc[0]),
    )


def steps(catalog: Catalog, wanted: Wanted) -> Iterator[Step]:
    """Yield the iterations, from the base policy on, as far as they came.

    Raises:
        LineageError: If a sample is asked for that no iteration drew.
    """
    entries = _entries_by_file(catalog.load("journal").root)
    is_known = False
    for i in itertools.count():
        if not any(catalog.exists(name) for name in (f"policy_{i}", f"iteration_{i}.samples")):
            break
        step = _step(catalog, wanted, i, entries)
        is_known = is_known or any(len(rows) for rows in (step.samples, step.learned, step.answers))
        yield step
    if wanted.sample_index is not None and not is_known:
        of_policy = f" of policy {wanted.policy_id}" if wanted.policy_id else ""
        raise LineageError(
            f"question {wanted.question_id} has no sample {wanted.sample_index}{of_policy}; "
            f"{suggestions.restem('trace', wanted.question_id)} shows what it has"
        )


def _step(catalog: Catalog, wanted: Wanted, i: int, entries: dict[Any, str]) -> Step:
    files: list[Path] = []

    def rows_of(*names: str) -> Table:
        import pandas as pd

        tables = [catalog.load(name) for name in names if catalog.exists(name)]
        parts = [part for table in tables for part in _rows(table, wanted)]
        files.extend(file for file, _ in parts)
        return pd.concat([rows for _, rows in parts], ignore_index=True) if parts else pd.DataFrame()

    drawn = rows_of(f"iteration_{i}.samples")
    judged = rows_of(f"iteration_{i}.scored_samples", f"iteration_{i}.follow_up_samples")
    learned = rows_of(f"iteration_{i}.training_set")
    answered = rows_of(f"iteration_{i}.evaluation_samples")
    answers = rows_of(f"iteration_{i}.scored_evaluation_samples")
    policy = catalog.load(f"policy_{i}") if catalog.exists(f"policy_{i}") else None
    evaluation = catalog.load(f"evaluation_{i}") if catalog.exists(f"evaluation_{i}") else drawn.iloc[:0]
    if len(learned) and policy is not None:
        files.extend(file for file in policy.folder.rglob("*") if file.is_file())
    holding = [entries[key] for file in files for key in file_keys([file]) if key in entries]
    return Step(
        iteration=i,
        samples=judged if len(judged) else drawn,
        learned=learned,
        policy=policy,
        answers=answers if len(answers) else answered,
        evaluation=_of_question(evaluation, wanted) if len(evaluation) else evaluation,
        entries=tuple(dict.fromkeys(holding)),
    )


def _rows(table: ShardedTable, wanted: Wanted) -> Iterator[tuple[Path, Table]]:
    """Yield the wanted rows of the shards that have any; the others are not read."""
    import pandas as pd

    for file in table.files:
        with file.open("rb") as stream:
            rows = pd.read_parquet(stream, filters=[("question_id", "==", wanted.question_id)])
        if wanted.sample_index is not None:
            rows = rows[rows["sample_index"] == wanted.sample_index]
        if wanted.policy_id is not None:
            rows = rows[rows["policy_id"] == wanted.policy_id]
        if len(rows):
            yield file, rows


def _of_question(table: Table, wanted: Wanted) -> Table:
    return table[table["question_id"] == wanted.question_id]


def left_out(catalog: Catalog) -> dict[str, str]:
    """Return why the questions that are not asked are not, by their ids."""
    if not catalog.exists("questions"):
        return {}
    asked_for = set(catalog.load("questions")["question_id"])
    quarantined, duplicates = catalog.load("quarantined_questions"), catalog.load("near_duplicates")
    reasons = {
        str(name): f"{reason} (quarantined_questions)"
        for name, reason in zip(quarantined["question_id"], quarantined["reason"], strict=True)
    } | {
        str(name): f"it is like {other}, which is evaluated (near_duplicates)"
        for name, other in zip(duplicates["question_id"], duplicates["same_as"], strict=True)
    }
    return {name: why for name, why in reasons.items() if name not in asked_for}


def _entries_by_file(root: Path) -> dict[Any, str]:
    """Return the journal's entry of every file in it, by what the file and its link in the catalog have in common."""
    files = (file for file in root.glob("[!.]*-*/**/*") if file.is_file() and file.name != DECIDED_BY)
    return {key: file.relative_to(root).parts[0] for file in files for key in file_keys([file])}


def _policy_id(catalog: Catalog, reference: str) -> str:
    if reference.startswith(f"{FROM_FILE}:"):  # who wrote what was read from files; no policy of the experiment's
        return reference
    named = _POLICY_NAME.fullmatch(reference)
    if named and catalog.exists(reference):
        return str(catalog.load(reference).fingerprint)
    made = itertools.takewhile(catalog.exists, (f"policy_{i}" for i in itertools.count()))
    others = [name for name in ("teacher",) if catalog.exists(name)]
    known = {str(catalog.load(name).fingerprint) for name in [*made, *others]}
    return _the_one(reference, sorted({*known, HUMAN}), "policy")


def _the_one(reference: str, known: Sequence[str], kind: str) -> str:
    """Return the known id that is meant: it, or the only one that begins with it."""
    if reference in known:
        return reference
    begun = [name for name in known if reference and name.startswith(reference)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise LineageError(
            f"{reference!r} begins the names of {len(begun)} of the experiment's ids: {first_few(begun)}"
        )
    near = difflib.get_close_matches(reference, known, n=_MOST_NEAR, cutoff=0.5)
    hint = f"near it: {first_few(near)}" if near else f"there are {len(known)}: {first_few(known)}"
    raise LineageError(f"the experiment has no {kind} {reference!r}; {hint}")
