"""One iteration as a child run: what it read, what it made, how it did; from the catalog alone."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.evaluation.sentinels import SIGNS
from restem.experiment import Catalog
from restem.store.names import namespace_of
from restem.store.plain import flat
from restem.store.records import record_id
from restem.tracking import tags
from restem.tracking.attempts import attempt_of
from restem.tracking.datasets import Inputs, dataset_inputs, newest_version
from restem.tracking.models import PolicyCard, create_model, finish_model
from restem.tracking.runs import (
    CURVE,
    Point,
    Runs,
    TrackingSession,
    create_child,
    log_missing_parameters,
    log_points,
    values_in,
)
from restem.tracking.spool import read_points
from restem.tracking.tables import LoggedTable, logged_tables

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_VERSION = "%Y-%m-%dT%H.%M.%S"  # of datasets, in UTC
_AS_GOOD_AS_EQUAL = 1e-6  # of two numbers, relative: a table in a text file rounds


class Span(NamedTuple):
    """When an iteration was made, in milliseconds since the epoch."""

    start_ms: int
    end_ms: int


def span_of(catalog: Catalog, i: int) -> Span:
    """Return the end of an iteration, by its record, and the time before it that its nodes took."""
    record = newest_version(catalog, f"record_{i}")
    end = record.stat().st_mtime if record.exists() else _dated(record)
    return Span(int(1000 * (end - sum(_wall_seconds(catalog, i).values()))), int(1000 * end))


def _dated(version: Path) -> float:
    """Return the time in a version's name, which is that of the run that made it: an object store tells no other."""
    for part in version.parts[::-1]:
        try:
            return datetime.strptime(part.rpartition(".")[0], _VERSION).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return time.time()


def log_iteration(session: TrackingSession, runs: Runs, catalog: Catalog, record: dict[str, Any], spool: Path) -> "Run":
    """Return the child run in which an iteration was logged, whole.

    Whatever it holds already, of an iteration that was followed live or of a logging that was cut short, is not logged
    again.

    Args:
        session: Where the experiment is logged.
        runs: The experiment's, with those of the iterations before.
        catalog: The experiment's.
        record: Of the iteration.
        spool: The file of what was measured while it was made; it may be missing.
    """
    client, i, name = session.client, record["iteration"], session.parameters.experiment
    span, inputs, parent = span_of(catalog, i), dataset_inputs(catalog, record), runs.parent.info.run_id
    named = _tags(record, name) | {tags.SUITES: ", ".join(inputs.by_suite), "mlflow.note.content": _note(record)}
    child = runs.begun.get(i) or create_child(
        session, parent, i, {**named, tags.ATTEMPT: attempt_of(record)}, span.start_ms
    )
    run = str(child.info.run_id)
    _set_tags(client, run, named)
    for target in (run, parent):
        _log_parameters(client, target, record)
    client.log_inputs(run, inputs.logged)
    card = PolicyCard(catalog.load(f"policy_{i}"), name, named, _models_read(client, record, runs))
    model = create_model(client, run, card)
    points = _final_points(catalog, record, span)
    measured = [_of_model(point, model, inputs) for point in points]
    _log_missing_points(client, child, [*_spooled(spool), *measured, *_training_curve(catalog, i, span)])
    log_points(client, parent, points)
    client.log_dict(run, record, "record.json")
    log_tables(client, run, logged_tables(catalog, i, max_rows=session.parameters.tracking.max_table_rows))
    finish_model(client, model)
    # The tag is last: a run that was cut short is found without it.
    client.set_tag(run, tags.RECORD, record_id(record))
    worked_ms = span.end_ms - span.start_ms
    client.set_terminated(run, end_time=child.info.start_time + worked_ms)
    return client.get_run(run)


def contradicts(client: "MlflowClient", run: "Run", catalog: Catalog, record: Mapping[str, Any]) -> bool:
    """Return whether a child run says something else than what its iteration came to, as after a kill elsewhere."""
    span = span_of(catalog, record["iteration"])
    final = [*_final_points(catalog, record, span), *_training_curve(catalog, record["iteration"], span)]
    there = values_in(client, run.info.run_id)
    pairs = ((there.get((point.name, point.step), point.value), point.value) for point in final)
    return any(not math.isclose(a, b, rel_tol=_AS_GOOD_AS_EQUAL, abs_tol=1e-12) for a, b in pairs if math.isfinite(b))


def _final_points(catalog: Catalog, record: Mapping[str, Any], span: Span) -> list[Point]:
    """Return what an iteration came to, at its step."""
    i = record["iteration"]
    values = metrics_of(record) | _wall_seconds(catalog, i)
    return [Point(name, value, i, time_ms=span.end_ms) for name, value in values.items()]


def _spooled(spool: Path) -> Iterator[Point]:
    return (Point(point.name, point.value, point.step, time_ms=point.time_ms) for point in read_points(spool).points)


def _log_missing_points(client: "MlflowClient", run: "Run", points: Iterable[Point]) -> None:
    """Log what a run does not hold; of what is given twice the first, of a model's metrics all, which are linked."""
    there = set(values_in(client, run.info.run_id))
    missing = []
    for point in points:
        key = (point.name, point.step)
        if key not in there or point.model_id:
            there.add(key)
            missing.append(point)
    log_points(client, run.info.run_id, missing)


def _set_tags(client: "MlflowClient", run: str, named: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run, tags=[RunTag(name, value) for name, value in named.items()])


def log_tables(client: "MlflowClient", run: str, tables: Iterable[LoggedTable]) -> None:
    """Log tables for the UI, in place of those that are there; MLflow's own `log_table` would add rows to them."""
    from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

    files = []
    for table in tables:
        client.log_text(run, table.rows.to_json(orient="split", index=False, date_format="iso"), table.file)
        files.append({"path": table.file, "type": "table"})
    client.set_tag(run, MLFLOW_LOGGED_ARTIFACTS, json.dumps(files))


def _tags(record: Mapping[str, Any], experiment: str) -> dict[str, str]:
    return tags_at_first(record["iteration"], record["parameters"]["method"], experiment) | {
        "mlflow.source.git.commit": record["git_commit"],
        tags.POLICY: record["policy"],
        tags.PARENT: str(record["parent"]),
        tags.BASE: record["model"],
    }


def tags_at_first(iteration: int, method: str, experiment: str) -> dict[str, str]:
    """Return what is known of a child run when its iteration begins."""
    return {
        "mlflow.source.name": "restem",
        "mlflow.source.type": "LOCAL",
        tags.KIND: "iteration",
        tags.EXPERIMENT: experiment,
        tags.METHOD: method,
        tags.ITERATION: str(iteration),
    }


def _note(record: Mapping[str, Any]) -> str:
    """Return the run's description in the UI."""
    i = record["iteration"]
    if i == 0:
        return f"policy_0, the base policy {record['model']} as it came: what every iteration is measured against."
    start = 0 if record["trained_from"] == record["base"] else i - 1
    return (
        f"policy_{i}: policy_{start} fine-tuned on {record['training']['n_examples']} of "
        f"{record['filtering']['n_samples']} samples, drawn from policy_{i - 1}."
    )


def _models_read(client: "MlflowClient", record: Mapping[str, Any], runs: Runs) -> list[str]:
    """Return the logged models that an iteration sampled from and started its training from."""
    before = dict.fromkeys([0, record["iteration"] - 1]) if record["iteration"] else ()
    return [client.get_run(runs.logged[i].info.run_id).data.tags[tags.MODEL] for i in before]


def _of_model(point: Point, model: str, inputs: Inputs) -> Point:
    """Return the point as one of the logged model, if it was measured on a suite."""
    suite = point.name.partition("/")[0]
    return point._replace(model_id=model, dataset=inputs.by_suite[suite]) if suite in inputs.by_suite else point


def metrics_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a record, or of a part of one, by the names that they have in MLflow."""
    values: dict[str, float] = {}
    for name, measured in record.get("metrics", {}).items():
        suite, slash, metric = name.rpartition("/")
        # The UI draws a section per word before the slash: bounds of their own do not bury the numbers.
        bounds = f"{suite}_interval/{metric}" if slash else f"interval/{metric}"
        values |= {name: measured["value"], f"{bounds}_low": measured["low"], f"{bounds}_high": measured["high"]}
    for stage in ("scoring", "audit", "filtering", "training", "cost"):
        numbers = flat(record.get(stage, {}))
        values |= {
            f"{stage}/{_metric_name(name)}": float(number)
            for name, number in numbers.items()
            if isinstance(number, (int, float))
        }
    values |= {
        f"sentinel/{row['sentinel']}": float(SIGNS.index(row["sign"]))
        for row in record.get("sentinels", ())
        if row["sign"] in SIGNS
    }
    return values


def _wall_seconds(catalog: Catalog, i: int) -> dict[str, float]:
    if not catalog.exists("node_seconds"):
        return {}
    seconds = catalog.load("node_seconds")
    prefix = f"{namespace_of(i)}."
    return {f"wall_seconds/{name.removeprefix(prefix)}": s for name, s in seconds.items() if name.startswith(prefix)}


def _metric_name(name: str) -> str:
    return "".join(character if character.isalnum() or character in "_-. /" else "_" for character in name)


def _log_parameters(client: "MlflowClient", run: str, record: Mapping[str, Any]) -> None:
    versions = {f"version.{name}": version for name, version in record["versions"].items()}
    log_missing_parameters(client, run, flat(record["parameters"]) | versions)


def _training_curve(catalog: Catalog, i: int, span: Span) -> Iterator[Point]:
    """Yield what was measured during a training, by optimizer step."""
    if i == 0:
        return
    for row in catalog.load(f"training_log_{i}").to_dict("records"):
        step = int(row.pop("step"))
        yield from (Point(f"{CURVE}{name}", float(value), step, time_ms=span.end_ms) for name, value in row.items())
