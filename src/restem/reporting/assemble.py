"""The iterations of an experiment side by side: from the datasets that each handed on, to one page.

Datasets are named NAME_i, i being the iteration; 0 is the base policy.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from restem.evaluation.best_policy import recommend
from restem.evaluation.sentinels import COLUMNS
from restem.reporting import figures
from restem.reporting.report import Report, ReportInputs, build_report
from restem.reporting.results import main_suite
from restem.reporting.table_sections import Tables, curves_of, difficulty_metrics
from restem.scoring.marks import summarise_marks
from restem.spending import Measure
from restem.store.fingerprints import question_seed
from restem.store.records import Record, stale_iterations
from restem.store.tables import RowsByQuestion, ShardedTable, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SVG = ".svg"
_SAMPLE = ["question_id", "sample_index"]
_EXAMPLES_EACH = 3  # kept, and not kept, per iteration


def by_iteration(datasets: Mapping[str, Any], name: str) -> dict[int, Any]:
    """Return the datasets `name_0`, `name_1`, ... by iteration."""
    prefix = f"{name}_"
    numbered = {key.removeprefix(prefix): value for key, value in datasets.items() if key.startswith(prefix)}
    return {int(i): numbered[i] for i in sorted(numbered, key=int)}


def tables_of(records: Mapping[int, Record], name: str) -> dict[int, Table]:
    """Return a table that records hold, of the iterations that have it."""
    return {i: record.table(name) for i, record in records.items() if name in record.tables}


def report(experiment: str, datasets: Mapping[str, Any], *, seed: int, taken: Sequence[Measure] = ()) -> Report:
    """Return the page about the experiment.

    Args:
        experiment: Its name.
        datasets: evaluation_i and record_i from 0; breakdown, pass_at_k, changed_questions and cost; figures; marks.
        seed: Of the bootstrap.
        taken: What all runs together took, of what they may.
    """
    read = by_iteration(datasets, "record")
    stale = stale_iterations(read)
    records = {i: {**record, "stale": i in stale} for i, record in read.items()}
    made = {i: record for i, record in records.items() if i > 0}
    inputs = ReportInputs(
        experiment=experiment,
        metrics={i: record["metrics"] for i, record in records.items()},
        evaluations=by_iteration(datasets, "evaluation"),
        filtering={i: record["filtering"] for i, record in made.items()},
        scoring={i: record["scoring"] for i, record in made.items()},
        records=records,
        examples=_rows_of(tables_of(read, "examples")),
        training_logs=tables_of(read, "training_log"),
        svgs={
            name.removesuffix(_SVG): content.decode()
            for name, content in datasets["figures"].items()
            if name.endswith(_SVG)
        },
        tables=Tables(*(datasets[name] for name in Tables._fields)),
        recommendation=recommend(records),
        marks=summarise_marks(datasets.get("marks", ())),
        seed=seed,
        taken=taken,
    )
    return build_report(inputs)


def _rows_of(tables: Mapping[int, Table]) -> list[Mapping[str, Any]]:
    rows: list[Any] = [row for table in tables.values() for row in table.to_dict("records")]
    return rows


def sentinels_of(records: Mapping[int, Mapping[str, Any]]) -> Table:
    """Return what the sentinels of every iteration said: iteration, sentinel, verdict, evidence."""
    import pandas as pd

    rows = [{"iteration": i, **row} for i, record in records.items() for row in record.get("sentinels", ())]
    return pd.DataFrame(rows, columns=COLUMNS)


def draw_figures(records: Mapping[int, Record], breakdown: Table, pass_at_k: Table) -> dict[str, bytes]:
    """Return the figures as files by name, each as SVG, to be part of a page, and as PNG."""
    drawn = _drawn(records, breakdown, pass_at_k)
    as_svg = {f"{name}{_SVG}": figures.to_svg(figure, name=f"svg_{name}").encode() for name, figure in drawn.items()}
    return as_svg | {f"{name}.png": figures.to_png(figure) for name, figure in drawn.items()}


def _drawn(records: Mapping[int, Record], breakdown: Table, pass_at_k: Table) -> dict[str, "Figure"]:
    metrics = {i: record["metrics"] for i, record in records.items()}
    suite, logs = main_suite(metrics[0]), tables_of(records, "training_log")
    return {
        "pass_at_1": figures.pass_at_1_by_iteration(metrics),
        "train_against_test": figures.train_against_test(metrics),
        "pass_at_k": figures.pass_at_k_of_policies(curves_of(pass_at_k, suite=suite), title=f"pass@k on {suite}"),
        "kept": figures.kept_and_dropped({i: record["filtering"] for i, record in records.items() if i > 0}),
        "training_loss": figures.training_loss(logs),
        "validation": figures.validation_curves(logs),
        "difficulty": figures.by_difficulty(difficulty_metrics(breakdown, suite=suite)),
    }


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
