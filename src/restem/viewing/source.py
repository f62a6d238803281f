"""What there is to read of an experiment, from the catalog: questions, prompts, samples with verdicts and fates.

Of an experiment that is still running, the iterations and their parts as far as they are written.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from restem import suggestions
from restem.configuration.check import check_parameters
from restem.errors import ExperimentError
from restem.evaluation.solved_and_lost import changed_questions
from restem.experiment import Catalog
from restem.filtering.fates import fates
from restem.filtering.selection import at_iteration
from restem.lineage import left_out
from restem.parameters import FilteringParameters, Parameters
from restem.questions.likeness import all_asked
from restem.schemas import CORRECT
from restem.scoring.inspection import doubts_of
from restem.store.fingerprints import fingerprint
from restem.store.tables import RowsByQuestion, ShardedTable, Table, with_further_rows

TRAINING, EVALUATION = "training", "evaluation"  # stages: what a sample was drawn for
ACCEPTED, REJECTED, NOT_JUDGED = "accepted", "rejected", "not judged"
SAMPLE_COLUMNS = [
    "question_id",
    "iteration",
    "stage",
    "suite",
    "decoding",
    "sample_index",
    "policy_id",
    "completion",
    "n_tokens",
    "finish_reason",
    "origin",
    "log_probability",
    "verdict",
    "reward",
    "reason",
    "answer",
    "found_by",
    "reward_version",
    "fate",
    "doubtful",
    "doubt",
]
_READ = [
    "policy_id",
    "question_id",
    "suite",
    "decoding",
    "sample_index",
    "completion",
    "n_tokens",
    "finish_reason",
    "origin",
    "log_probability",  # of engines that record it
    "reward",
    "reason",
    "answer",
    "found_by",
    "reward_version",
]
_LEARNED = ["policy_id", "question_id", "sample_index"]


class Policy(NamedTuple):
    """Who answered."""

    name: str  # policy_0, policy_1, ..., teacher
    fingerprint: str


class Source:
    """One experiment, as far as it is."""

    def __init__(self, catalog: Catalog, parameters: Parameters) -> None:
        """Look at what is there; rows are read when they are asked for.

        Raises:
            ExperimentError: If nothing was sampled yet.
        """
        self.name = parameters.experiment
        self._catalog = catalog
        self._filtering = parameters.filtering
        self.iterations = list(itertools.takewhile(self._has_begun, itertools.count()))
        if not self._tables():
            first = "em_iteration" if catalog.exists("questions_summary") else "prepare"
            raise ExperimentError(
                f"experiment {self.name!r} has no samples to read yet; run this first: {suggestions.run(first)}"
            )

    def fingerprint(self) -> str:
        """Return the name of all that is read: the same as long as no table and no rule of the filter changes.

        Raises:
            DamageError: If a shard is not what was written.
        """
        from pandas.util import hash_pandas_object

        plain = [("candidate_questions", self._catalog.load("candidate_questions"))]
        plain += [(name, self._catalog.load(name)) for name in ("questions", "prompts") if self._catalog.exists(name)]
        return fingerprint(
            {
                "shards": {name: table.fingerprints() for name, table in self._tables().items()},
                "plain": {name: int(hash_pandas_object(frame, index=False).sum()) for name, frame in plain},
                "audits": [i for i in self.iterations if self._catalog.exists(f"iteration_{i}.reward_audit")],
                "answers": [i for i in self.iterations if self._catalog.exists(f"greedy_answers_{i}")],
                "filtering": [str(self._filtering_of(i)) for i in self.iterations],
            }
        )

    def questions(self) -> Table:
        """Return every question that was ever meant to be asked, with its prompt, and why it was not asked."""
        table: Table = self._catalog.load("candidate_questions")
        reasons = left_out(self._catalog)
        prompts = {}
        if self._catalog.exists("prompts"):
            asked = self._catalog.load("prompts")
            prompts = dict(zip(asked["question_id"], asked["prompt"], strict=True))
        return table.assign(
            asked=all_asked(table),
            prompt=table["question_id"].map(prompts).astype(object),
            left_out=table["question_id"].map(reasons).astype(object),
        )

    def policies(self) -> list[Policy]:
        """Return the policies that there are."""
        names = [*(f"policy_{i}" for i in self.iterations), "teacher"]
        there = [name for name in names if self._catalog.exists(name)]
        return [Policy(name, str(self._catalog.load(name).fingerprint)) for name in there]

    def samples(self) -> Iterator[Table]:
        """Yield the samples, whole questions of one stage of one iteration at a time, with SAMPLE_COLUMNS."""
        for i in self.iterations:
            for rows in self._drawn(i):
                yield _completed(rows, iteration=i, stage=TRAINING, doubts=self._doubts(i))
            evaluated = self._first(f"iteration_{i}.scored_evaluation_samples", f"iteration_{i}.evaluation_samples")
            for rows in evaluated:
                yield _completed(rows, iteration=i, stage=EVALUATION, doubts={})

    def changes(self) -> Table:
        """Return which question is newly solved or lost in which iteration, by suite."""
        names = {i: f"greedy_answers_{i}" for i in self.iterations}
        answers = {i: self._catalog.load(name) for i, name in names.items() if self._catalog.exists(name)}
        questions = self._catalog.load("candidate_questions")
        found = changed_questions(answers if 0 in answers else {0: questions.iloc[:0]}, questions)
        return found[["iteration", "suite", "change", "question_id"]]

    def _has_begun(self, i: int) -> bool:
        return any(self._catalog.exists(name) for name in (f"policy_{i}", f"iteration_{i}.samples"))

    def _tables(self) -> dict[str, ShardedTable]:
        parts = ("samples", "scored_samples", "follow_up_samples", "training_set", "evaluation_samples")
        names = [f"iteration_{i}.{part}" for i in self.iterations for part in (*parts, "scored_evaluation_samples")]
        return {name: self._catalog.load(name) for name in names if self._catalog.exists(name)}

    def _first(self, *names: str) -> ShardedTable:
        """Return the first of these that is there, or no rows."""
        there = [name for name in names if self._catalog.exists(name)]
        return self._catalog.load(there[0]).narrowed(_READ) if there else ShardedTable([])

    def _drawn(self, i: int) -> Iterator[Table]:
        """Yield the samples of the E-step, with what became of them once that is known."""
        scored = f"iteration_{i}.scored_samples"
        rows = self._first(scored, f"iteration_{i}.samples")
        training_set = f"iteration_{i}.training_set"
        if not (self._catalog.exists(scored) and self._catalog.exists(training_set)):
            yield from rows
            return
        learned = RowsByQuestion(self._catalog.load(training_set).narrowed(_LEARNED))
        parameters = at_iteration(self._filtering_of(i), i)
        for whole in with_further_rows(rows, self._first(f"iteration_{i}.follow_up_samples")):
            yield fates(whole, learned.rows(whole["question_id"]), parameters=parameters)

    def _filtering_of(self, i: int) -> FilteringParameters:
        """Return the rules by which an iteration was filtered; of one that is not over, those of now."""
        if i == 0 or not self._catalog.exists(f"record_{i}"):
            return self._filtering
        return check_parameters(self._catalog.load(f"record_{i}")["parameters"]).filtering

    def _doubts(self, i: int) -> dict[tuple[str, int], str]:
        name = f"iteration_{i}.reward_audit"
        return doubts_of(self._catalog.load(name)) if self._catalog.exists(name) else {}


def _completed(rows: Table, *, iteration: int, stage: str, doubts: dict[tuple[str, int], str]) -> Table:
    """Return the rows with all of SAMPLE_COLUMNS; what is not known is None."""
    keys = zip(rows["question_id"], rows["sample_index"], strict=True)
    doubt: Any = [doubts.get(key) for key in keys] if doubts else None
    is_accepted = rows["reward"] >= CORRECT if "reward" in rows else None
    table = rows.assign(
        iteration=iteration,
        stage=stage,
        doubt=doubt,
        doubtful=[0] * len(rows) if doubt is None else [int(bool(said)) for said in doubt],
        verdict=NOT_JUDGED if is_accepted is None else is_accepted.map({True: ACCEPTED, False: REJECTED}),
    ).reindex(columns=SAMPLE_COLUMNS)
    plain: Table = table.astype(object).where(table.notna(), None)
    return plain
