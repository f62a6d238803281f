"""The iterations of an experiment side by side: from the datasets that each handed on, to one page.

Datasets are named NAME_i, i being the iteration; 0 is the base policy.
"""

from collections.abc import Mapping
from typing import Any

from restem import figures
from restem.fingerprints import question_seed
from restem.records import stale_iterations
from restem.reports import Report, build_report
from restem.tables import ShardedTable, Table

# Their datasets, in the order in which `draw_figures` returns them.
FIGURES = [
    "figure_pass_at_1",
    "figure_train_against_test",
    "figure_pass_at_k",
    "figure_kept",
    "figure_training_loss",
    "figure_validation",
]
_EXAMPLES_EACH = 3  # kept, and not kept, per iteration


def by_iteration(datasets: Mapping[str, Any], name: str) -> dict[int, Any]:
    """Return the datasets `name_0`, `name_1`, ... by iteration."""
    prefix = f"{name}_"
    numbered = {key.removeprefix(prefix): value for key, value in datasets.items() if key.startswith(prefix)}
    return {int(i): numbered[i] for i in sorted(numbered, key=int)}


def report(experiment: str, datasets: Mapping[str, Any], *, seed: int) -> Report:
    """Return the page about the experiment.

    Args:
        experiment: Its name.
        datasets: evaluation_i and record_i from 0; examples_i and training_log_i from 1.
        seed: Of the bootstrap.
    """
    records = by_iteration(datasets, "record")
    stale = stale_iterations(records)
    records = {i: record | {"stale": i in stale} for i, record in records.items()}
    made = {i: record for i, record in records.items() if i > 0}
    return build_report(
        experiment=experiment,
        metrics={i: record["metrics"] for i, record in records.items()},
        evaluations=by_iteration(datasets, "evaluation"),
        filtering={i: record["filtering"] for i, record in made.items()},
        scoring={i: record["scoring"] for i, record in made.items()},
        records=records,
        examples=[row for table in by_iteration(datasets, "examples").values() for row in table.to_dict("records")],
        training_logs=by_iteration(datasets, "training_log"),
        seed=seed,
    )


def draw_figures(datasets: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the figures: pass@1, train against test, pass@k, what was kept, training loss, validation."""
    records = by_iteration(datasets, "record")
    metrics = {i: record["metrics"] for i, record in records.items()}
    return (
        figures.pass_at_1_by_iteration(metrics),
        figures.train_against_test(metrics),
        figures.pass_at_k_curves(metrics),
        figures.kept_and_dropped({i: record["filtering"] for i, record in records.items() if i > 0}),
        figures.training_loss(by_iteration(datasets, "training_log")),
        figures.validation_curves(by_iteration(datasets, "training_log")),
    )


def choose_examples(
    scored: ShardedTable, training_set: ShardedTable, questions: Table, *, iteration: int, seed: int
) -> Table:
    """Return a few completions to read, chosen by seed: kept ones and others, with their verdicts."""
    import pandas as pd

    keys = ["question_id", "sample_index"]
    kept = pd.MultiIndex.from_frame(training_set[keys])
    asked = questions.set_index("question_id")["text"]
    index = scored[keys]
    groups = pd.MultiIndex.from_frame(index).isin(kept)
    chosen = pd.concat(
        [
            index[groups == is_kept]
            .sample(frac=1.0, random_state=question_seed(seed, "examples") % 2**32)
            .head(_EXAMPLES_EACH)
            for is_kept in (True, False)
        ]
    )
    wanted = pd.MultiIndex.from_frame(chosen)
    found = [shard[pd.MultiIndex.from_frame(shard[keys]).isin(wanted)] for shard in scored]
    rows = pd.concat(found, ignore_index=True)
    return pd.DataFrame(
        {
            "iteration": iteration,
            "question_id": rows["question_id"],
            "sample_index": rows["sample_index"],
            "question": rows["question_id"].map(asked),
            "completion": rows["completion"],
            "reward": rows["reward"],
            "reason": rows["reason"],
            "answer": rows["answer"],
            "found_by": rows["found_by"],
            "kept": pd.MultiIndex.from_frame(rows[keys]).isin(kept),
        }
    )
