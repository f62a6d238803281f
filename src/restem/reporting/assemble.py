"""The iterations of an experiment side by side: from the datasets that each handed on, to one page.

Datasets are named NAME_i, i being the iteration; 0 is the base policy.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from restem.evaluation.best_policy import recommend
from restem.evaluation.sentinels import COLUMNS
from restem.reporting import figures
from restem.reporting.report import Report, ReportInputs, build_report
from restem.reporting.results import main_suite
from restem.reporting.table_sections import Tables, curves_of, difficulty_metrics
from restem.store.fingerprints import question_seed
from restem.store.records import stale_iterations
from restem.store.tables import RowsByQuestion, ShardedTable, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# In the order in which `draw_figures` returns them.
_NAMES = ("pass_at_1", "train_against_test", "pass_at_k", "kept", "training_loss", "validation", "difficulty")
FIGURES = [f"figure_{name}" for name in _NAMES]  # their datasets
SVGS = [f"svg_{name}" for name in _NAMES]  # the same figures, as text
_SAMPLE = ["question_id", "sample_index"]
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
        datasets: evaluation_i and record_i from 0; examples_i and training_log_i from 1; breakdown, pass_at_k,
            changed_questions and cost; svg_NAME of every figure.
        seed: Of the bootstrap.
    """
    records = by_iteration(datasets, "record")
    stale = stale_iterations(records)
    records = {i: record | {"stale": i in stale} for i, record in records.items()}
    made = {i: record for i, record in records.items() if i > 0}
    inputs = ReportInputs(
        experiment=experiment,
        metrics={i: record["metrics"] for i, record in records.items()},
        evaluations=by_iteration(datasets, "evaluation"),
        filtering={i: record["filtering"] for i, record in made.items()},
        scoring={i: record["scoring"] for i, record in made.items()},
        records=records,
        examples=[row for table in by_iteration(datasets, "examples").values() for row in table.to_dict("records")],
        training_logs=by_iteration(datasets, "training_log"),
        svgs={name: datasets[svg] for name, svg in zip(_NAMES, SVGS, strict=True)},
        tables=Tables(*(datasets[name] for name in Tables._fields)),
        recommendation=recommend(records),
        seed=seed,
    )
    return build_report(inputs)


def sentinels_of(records: Mapping[int, Mapping[str, Any]]) -> Table:
    """Return what the sentinels of every iteration said: iteration, sentinel, verdict, evidence."""
    import pandas as pd

    rows = [{"iteration": i, **row} for i, record in records.items() for row in record.get("sentinels", ())]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw_figures(datasets: Mapping[str, Any]) -> tuple["Figure", ...]:
    """Return the figures: pass@1, train against test, pass@k, what was kept, loss, validation, difficulty."""
    records = by_iteration(datasets, "record")
    metrics = {i: record["metrics"] for i, record in records.items()}
    suite = main_suite(metrics[0])
    curves = curves_of(datasets["pass_at_k"], suite=suite)
    return (
        figures.pass_at_1_by_iteration(metrics),
        figures.train_against_test(metrics),
        figures.pass_at_k_of_policies(curves, title=f"pass@k on {suite}"),
        figures.kept_and_dropped({i: record["filtering"] for i, record in records.items() if i > 0}),
        figures.training_loss(by_iteration(datasets, "training_log")),
        figures.validation_curves(by_iteration(datasets, "training_log")),
        figures.by_difficulty(difficulty_metrics(datasets["breakdown"], suite=suite)),
    )


def as_svg(drawn: Iterable["Figure"]) -> tuple[str, ...]:
    """Return the figures as SVG, to be files and parts of a page."""
    return tuple(figures.to_svg(figure, name=name) for name, figure in zip(SVGS, drawn, strict=True))


def choose_examples(
    scored: ShardedTable, training_set: ShardedTable, questions: Table, *, iteration: int, seed: int
) -> Table:
    """Return a few completions to read, chosen by seed: kept ones first, then others, with their verdicts."""
    import pandas as pd

    learned = RowsByQuestion(training_set)
    chosen = pd.DataFrame()
    for shard in scored:
        kept = pd.MultiIndex.from_frame(learned.rows(shard["question_id"]).reindex(columns=_SAMPLE))
        is_kept = pd.MultiIndex.from_frame(shard[_SAMPLE]).isin(kept)
        candidates = pd.concat([chosen, shard.assign(kept=is_kept, order=_shuffled(shard, seed))])
        chosen = candidates.sort_values("order").groupby("kept").head(_EXAMPLES_EACH)
    rows = chosen.sort_values(["kept", "order"], ascending=[False, True], ignore_index=True)
    texts = questions.set_index("question_id")["text"]
    return pd.DataFrame(
        {
            "iteration": iteration,
            "question_id": rows["question_id"],
            "sample_index": rows["sample_index"],
            "question": rows["question_id"].map(texts),
            "completion": rows["completion"],
            "reward": rows["reward"],
            "reason": rows["reason"],
            "answer": rows["answer"],
            "found_by": rows["found_by"],
            "kept": rows["kept"],
        }
    )


def _shuffled(shard: Table, seed: int) -> Any:
    """Return a random number in [0, 1) per row; those of other shards differ."""
    import numpy as np

    return np.random.default_rng(question_seed(seed, "examples", shard["question_id"].iloc[0])).random(len(shard))
