"""The runs of an experiment in MLflow: one parent, a child per iteration; what was superseded is kept and marked."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from restem import suggestions
from restem.parameters import Parameters
from restem.store.records import record_id
from restem.tracking import tags
from restem.tracking.datasets import DatasetName
from restem.tracking.models import supersede_models

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PARAMETERS_PER_CALL = 100  # limits of the tracking server's REST interface
_METRICS_PER_CALL = 1000
_MAX_PARAMETER_CHARACTERS = 6000
_KIND = "mlflow.experimentKind"
CURVE = "training_curve/"  # metrics of a child run whose step is the optimizer's
ORDER = "iteration"  # metric of a child run: its iteration, a column that sorts as a number


class Point(NamedTuple):
    """A number of a run at a step: the iteration, or the optimizer's step."""

    name: str
    value: float
    step: int
    model_id: str | None = None  # of the logged model that it was measured of
    dataset: DatasetName | None = None  # that it was measured on


class TrackingSession(NamedTuple):
    """Where an experiment is logged."""

    client: "MlflowClient"
    experiment_id: str
    parameters: Parameters
    started_ms: int | None = None  # when the experiment began, in milliseconds since the epoch; None is now


def experiment_id(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    """Return the MLflow experiment of this name, made if there is none.

    Args:
        client: Of the tracking server.
        name: Of the MLflow experiment.
        artifacts: Root of its artifacts if it is made; None lets the server choose.
    """
    known = client.get_experiment_by_name(name)
    if known is not None:
        return str(known.experiment_id)
    # The tag spares the user the question what kind of experiment it is, and shows runs rather than traces.
    return str(client.create_experiment(name, artifact_location=artifacts, tags={_KIND: "custom_model_development"}))


class Runs(NamedTuple):
    """The runs of an experiment that hold."""

    parent: str
    logged: dict[int, str]  # iteration -> child run that holds what its record says now


def ensure_runs(session: TrackingSession, records: Mapping[int, Mapping[str, Any]]) -> Runs:
    """Return the experiment's runs in MLflow, made where they are missing.

    MLflow cannot take back a metric. So where a child run was cut short, or its iteration was made anew, the parent is
    superseded by a fresh one, to which the child runs that still hold are moved.
    """
    client, name = session.client, session.parameters.experiment
    query = f"tags.`{tags.EXPERIMENT}` = '{name}' AND tags.`{tags.KIND}` = "
    parents = [run for run in _search(session, query + "'experiment'") if not _is_superseded(run)]
    if not parents:
        return Runs(_create_parent(session), {})
    parent = parents[0].info.run_id
    children = _search(session, f"tags.`mlflow.parentRunId` = '{parent}'")
    ids = {i: record_id(record) for i, record in records.items()}
    current = {run.info.run_id: int(run.data.tags[tags.ITERATION]) for run in children if _holds(run, ids)}
    outdated = [run for run in children if run.info.run_id not in current]
    if outdated:
        for run in [*parents, *outdated]:
            client.set_tag(run.info.run_id, tags.SUPERSEDED, "true")
            client.set_tag(run.info.run_id, "mlflow.runName", f"{run.info.run_name} (superseded)")
            supersede_models(client, run.info.run_id, experiment_id=session.experiment_id)
        parent = _create_parent(session)
        for run in sorted(current, key=lambda run: current[run]):
            _adopt(client, parent, run, current[run])
    return Runs(parent, {i: run for run, i in current.items()})


def _search(session: TrackingSession, query: str) -> "list[Run]":
    return list(session.client.search_runs([session.experiment_id], query))


def _is_superseded(run: "Run") -> bool:
    return bool(run.data.tags.get(tags.SUPERSEDED) == "true")


def _holds(run: "Run", ids: Mapping[int, str]) -> bool:
    """Return whether a child run was logged whole, and its record is still the iteration's."""
    i = int(run.data.tags[tags.ITERATION])
    return bool(i not in ids or run.data.tags.get(tags.RECORD) == ids[i])


def _create_parent(session: TrackingSession) -> str:
    name, parameters = session.parameters.experiment, session.parameters
    named = {
        tags.KIND: "experiment",
        tags.EXPERIMENT: name,
        tags.METHOD: parameters.method,
        tags.BASE: parameters.policy.model,
        tags.VIEW: suggestions.restem("view", on_page=True),
    }
    run = session.client.create_run(session.experiment_id, tags=named, run_name=name, start_time=session.started_ms)
    session.client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _adopt(client: "MlflowClient", parent: str, child: str, i: int) -> None:
    data = client.get_run(child).data
    client.set_tag(child, "mlflow.parentRunId", parent)
    log_missing_parameters(client, parent, data.params)
    own = {name: value for name, value in data.metrics.items() if name != ORDER and not name.startswith(CURVE)}
    log_points(client, parent, (Point(name, value, i) for name, value in own.items()))


def log_points(client: "MlflowClient", run: str, points: Iterable[Point]) -> None:
    """Log any number of points; MLflow draws finite numbers only, and others are left out."""
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    entities = [
        Metric(
            point.name,
            point.value,
            now,
            point.step,
            model_id=point.model_id,
            dataset_name=point.dataset.name if point.dataset else None,
            dataset_digest=point.dataset.digest if point.dataset else None,
        )
        for point in points
        if math.isfinite(point.value)
    ]
    for start in range(0, len(entities), _METRICS_PER_CALL):
        client.log_batch(run, metrics=entities[start : start + _METRICS_PER_CALL])


def log_missing_parameters(client: "MlflowClient", run: str, parameters: Mapping[str, Any]) -> None:
    """Log what the run does not have; MLflow refuses to change a parameter, and the child runs show differences."""
    from mlflow.entities import Param

    there = client.get_run(run).data.params
    new = [
        Param(name, str(value)[:_MAX_PARAMETER_CHARACTERS]) for name, value in parameters.items() if name not in there
    ]
    for start in range(0, len(new), _PARAMETERS_PER_CALL):
        client.log_batch(run, params=new[start : start + _PARAMETERS_PER_CALL])
