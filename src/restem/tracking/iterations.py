"""One iteration as a child run: what it read, what it made, how it did; from the catalog alone."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.evaluation.sentinels import SIGNS
from restem.experiment import Catalog
from restem.store.names import namespace_of
from restem.store.plain import flat
from restem.store.records import record_id
from restem.tracking import tags
from restem.tracking.datasets import Inputs, dataset_inputs, newest_version
from restem.tracking.models import PolicyCard, create_model, finish_model
from restem.tracking.runs import CURVE, ORDER, Point, TrackingSession, log_missing_parameters, log_points
from restem.tracking.tables import logged_tables

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Span(NamedTuple):
    """When an iteration was made, in milliseconds since the epoch."""

    start_ms: int
    end_ms: int


def span_of(catalog: Catalog, i: int) -> Span:
    """Return the end of an iteration, by its record, and the time before it that its nodes took."""
    record = newest_version(catalog, f"record_{i}")
    end = record.stat().st_mtime if record.exists() else time.time()  # an object store tells no time; it was just now
    return Span(int(1000 * (end - sum(_wall_seconds(catalog, i).values()))), int(1000 * end))


def log_iteration(
    session: TrackingSession, parent: str, catalog: Catalog, record: dict[str, Any], runs: Mapping[int, str]
) -> str:
    """Return the child run in which an iteration was logged, whole; runs are those of the iterations before."""
    client, i, name = session.client, record["iteration"], session.parameters.experiment
    span, inputs = span_of(catalog, i), dataset_inputs(catalog, record)
    named = _tags(record, name) | {tags.SUITES: ", ".join(inputs.by_suite), "mlflow.note.content": _note(record)}
    created = client.create_run(
        session.experiment_id,
        tags=named | {"mlflow.parentRunId": parent},
        run_name=f"{name} iteration {i}",
        start_time=span.start_ms,
    )
    run = str(created.info.run_id)
    for target in (run, parent):
        _log_parameters(client, target, record)
    client.log_inputs(run, inputs.logged)
    card = PolicyCard(catalog.load(f"policy_{i}"), name, named, _models_read(client, record, runs))
    model = create_model(client, run, card)
    points = [Point(metric, value, i) for metric, value in (_metrics(record) | _wall_seconds(catalog, i)).items()]
    measured = [_of_model(point, model, inputs) for point in points]
    log_points(client, run, [Point(ORDER, i, i), *measured, *_training_curve(catalog, i)])
    log_points(client, parent, points)
    client.log_dict(run, record, "record.json")
    for table in logged_tables(catalog, i, max_rows=session.parameters.tracking.max_table_rows):
        client.log_table(run, table.rows, table.file)
    finish_model(client, model)
    # The tag is last: a run that was cut short is found without it.
    client.set_tag(run, tags.RECORD, record_id(record))
    client.set_terminated(run, end_time=span.end_ms)
    return run


def _tags(record: Mapping[str, Any], experiment: str) -> dict[str, str]:
    return {
        "mlflow.source.name": "restem",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": record["git_commit"],
        tags.KIND: "iteration",
        tags.EXPERIMENT: experiment,
        tags.METHOD: record["parameters"]["method"],
        tags.ITERATION: str(record["iteration"]),
        tags.POLICY: record["policy"],
        tags.PARENT: str(record["parent"]),
        tags.BASE: record["model"],
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


def _models_read(client: "MlflowClient", record: Mapping[str, Any], runs: Mapping[int, str]) -> list[str]:
    """Return the logged models that an iteration sampled from and started its training from."""
    before = {} if record["iteration"] == 0 else {0: runs[0], record["iteration"] - 1: runs[record["iteration"] - 1]}
    return [client.get_run(run).data.tags[tags.MODEL] for run in before.values()]


def _of_model(point: Point, model: str, inputs: Inputs) -> Point:
    """Return the point as one of the logged model, if it was measured on a suite."""
    suite = point.name.partition("/")[0]
    return point._replace(model_id=model, dataset=inputs.by_suite[suite]) if suite in inputs.by_suite else point


def _metrics(record: Mapping[str, Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for name, measured in record["metrics"].items():
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


def _training_curve(catalog: Catalog, i: int) -> Iterator[Point]:
    """Yield what was measured during a training, by optimizer step."""
    if i == 0:
        return
    for row in catalog.load(f"training_log_{i}").to_dict("records"):
        step = int(row.pop("step"))
        yield from (Point(f"{CURVE}{name}", float(value), step) for name, value in row.items())
