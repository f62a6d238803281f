"""The runs of an experiment in MLflow: one parent, a child per iteration; what was superseded is kept and marked."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from restem import suggestions
from restem.parameters import Parameters
from restem.store.records import record_id
from restem.tracking import tags
from restem.tracking.attempts import attempt_of, this_process
from restem.tracking.datasets import DatasetName
from restem.tracking.models import supersede_models
from restem.tracking.spool import Begun

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PARAMETERS_PER_CALL = 100  # limits of the tracking server's REST interface
_METRICS_PER_CALL = 1000
_MAX_PARAMETER_CHARACTERS = 6000
_KIND = "mlflow.experimentKind"
_PARENT = "mlflow.parentRunId"
_SUPERSEDED = " (superseded)"
CURVE = "training_curve/"  # metrics of a child run whose step is the optimizer's
LIVE = "live/"  # likewise; what was told while it was made, whose step counts samples
SYSTEM = "system/"  # likewise; of MLflow's own monitor
ORDER = "iteration"  # metric of a child run: its iteration, a column that sorts as a number


class Point(NamedTuple):
    """A number of a run at a step: the iteration, or the optimizer's step."""

    name: str
    value: float
    step: int
    model_id: str | None = None  # of the logged model that it was measured of
    dataset: DatasetName | None = None  # that it was measured on
    time_ms: int | None = None  # since the epoch; None is now. One that is logged twice with one time is logged once


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

    parent: "Run"
    logged: "dict[int, Run]"  # iteration -> child run that holds what its record says now
    begun: "dict[int, Run]"  # iteration -> child run that does not hold all of it yet, or has no record


def ensure_runs(
    session: TrackingSession,
    records: Mapping[int, Mapping[str, Any]],
    contradicts: "Callable[[Run, int], bool]" = lambda run, i: False,
) -> Runs:
    """Return the experiment's runs in MLflow, the parent made where it is missing.

    MLflow cannot take back a metric. So where an iteration was made anew in another way, the parent is superseded by a
    fresh one, to which the child runs that still hold are moved.

    Args:
        session: Where the experiment is logged.
        records: By iteration.
        contradicts: Whether a run of an unfinished logging says something else than the iteration's record.
    """
    parents, children = _parents(session), _children(session)
    ids = {i: record_id(record) for i, record in records.items()}
    logged, begun, outdated = {}, {}, []
    for run in children:
        i = int(run.data.tags[tags.ITERATION])
        if _holds(run, ids):
            logged[i] = run
        elif _is_begun(run, records.get(i)) and not contradicts(run, i):
            begun[i] = run
        else:
            outdated.append(run)
    if outdated and parents:
        for run in [*parents, *outdated]:
            supersede(session, run)
        parents = []
    parent = parents[0] if parents else create_parent(session)
    for i in sorted(logged):
        if logged[i].data.tags.get(_PARENT) != parent.info.run_id:
            _adopt(session.client, parent.info.run_id, logged[i], i)
    for run in begun.values():
        session.client.set_tag(run.info.run_id, _PARENT, parent.info.run_id)
    return Runs(parent, logged, {i: run for i, run in begun.items() if i not in logged})


def _parents(session: TrackingSession) -> "list[Run]":
    """Return the experiment's run, or nothing; one that a lost answer of the server has doubled is deleted."""
    first, *others = _of_experiment(session, "experiment") or [None]
    for run in others:
        session.client.delete_run(run.info.run_id)
    return [] if first is None else [first]


def _children(session: TrackingSession) -> "list[Run]":
    """Return the child runs that were not superseded, those that were doubled but once."""
    kept: dict[tuple[str, ...], Run] = {}
    for run in _of_experiment(session, "iteration"):
        named = run.data.tags
        key = (named[tags.ITERATION], named.get(tags.ATTEMPT, run.info.run_id))
        if key not in kept:
            kept[key] = run
        elif tags.RECORD in named:
            session.client.delete_run(kept[key].info.run_id)
            kept[key] = run
        else:
            session.client.delete_run(run.info.run_id)
    return list(kept.values())


def begin_child(session: TrackingSession, begun: Begun, card: "ChildCard") -> Runs:
    """Return the experiment's run and the child run of an iteration that is being made, both running.

    A child run of the same attempt is gone on with. One of another attempt is superseded, unless that has a record:
    then a synchronisation sees to it.
    """
    client, i = session.client, begun.iteration
    parents = _parents(session)
    parent = parents[0] if parents else create_parent(session)
    same = None
    for run in _children(session):
        if int(run.data.tags[tags.ITERATION]) == i and tags.RECORD not in run.data.tags:
            attempt = run.data.tags.get(tags.ATTEMPT)
            if attempt == begun.attempt:
                same = run
            elif attempt != card.recorded:
                supersede(session, run)
    child = same or create_child(session, parent.info.run_id, i, card.tags, begun.started_ms)
    for run in (parent, child):
        mark_running(client, run)
        log_missing_parameters(client, run.info.run_id, card.parameters)
    return Runs(parent, {}, {i: child})


def mark_running(client: "MlflowClient", run: "Run") -> None:
    """Say that this process works on what a run shows."""
    client.set_tag(run.info.run_id, tags.PROCESS, this_process())
    client.update_run(run.info.run_id, status="RUNNING")


class ChildCard(NamedTuple):
    """What is said of a child run when it begins."""

    tags: Mapping[str, str]
    parameters: Mapping[str, Any]
    recorded: str = ""  # the attempt that the iteration's record is of, if it has one


def create_child(
    session: TrackingSession, parent: str, i: int, named: Mapping[str, str], start_ms: int | None
) -> "Run":
    """Return a new child run of an iteration, which begins at this time."""
    name = f"{session.parameters.experiment} iteration {i}"
    run = session.client.create_run(
        session.experiment_id, tags={**named, _PARENT: parent}, run_name=name, start_time=start_ms
    )
    log_points(session.client, run.info.run_id, [Point(ORDER, i, i, time_ms=start_ms)])
    return run


def supersede(session: TrackingSession, run: "Run") -> None:
    """Mark a run, and its model: another one took its place, or will."""
    client, name = session.client, str(run.info.run_name).removesuffix(_SUPERSEDED)
    client.set_tag(run.info.run_id, tags.SUPERSEDED, "true")
    client.update_run(run.info.run_id, name=f"{name}{_SUPERSEDED}", status=_over(run.info.status))
    supersede_models(client, run.info.run_id, experiment_id=session.experiment_id)


def _over(status: str) -> str:
    """Return the status of a run that nobody goes on with."""
    return status if status in ("FINISHED", "FAILED") else "KILLED"


def _of_experiment(session: TrackingSession, kind: str) -> "list[Run]":
    """Return the runs of a kind that were not superseded, the oldest first."""
    query = f"tags.`{tags.EXPERIMENT}` = '{session.parameters.experiment}' AND tags.`{tags.KIND}` = '{kind}'"
    found = [run for run in session.client.search_runs([session.experiment_id], query) if not _is_superseded(run)]
    return sorted(found, key=lambda run: (run.info.start_time or 0, run.info.run_id))


def _is_superseded(run: "Run") -> bool:
    return bool(run.data.tags.get(tags.SUPERSEDED) == "true")


def _holds(run: "Run", ids: Mapping[int, str]) -> bool:
    """Return whether a child run was logged whole, and its record is still the iteration's."""
    i, logged = int(run.data.tags[tags.ITERATION]), run.data.tags.get(tags.RECORD)
    return logged is not None and logged == ids.get(i, logged)


def _is_begun(run: "Run", record: Mapping[str, Any] | None) -> bool:
    """Return whether a child run can be gone on with."""
    attempt = run.data.tags.get(tags.ATTEMPT)
    return tags.RECORD not in run.data.tags and attempt is not None and (not record or attempt == attempt_of(record))


def create_parent(session: TrackingSession) -> "Run":
    """Return a new run for the experiment."""
    name, parameters = session.parameters.experiment, session.parameters
    named = {
        tags.KIND: "experiment",
        tags.EXPERIMENT: name,
        tags.METHOD: parameters.method,
        tags.BASE: parameters.policy.model,
        tags.VIEW: suggestions.restem("view", on_page=True),
        "mlflow.source.name": "restem",
        "mlflow.source.type": "LOCAL",
    }
    run = session.client.create_run(session.experiment_id, tags=named, run_name=name, start_time=session.started_ms)
    session.client.update_run(run.info.run_id, status="SCHEDULED")  # until somebody works, or what is made is logged
    return run


def _adopt(client: "MlflowClient", parent: str, child: "Run", i: int) -> None:
    data = client.get_run(child.info.run_id).data
    log_missing_parameters(client, parent, data.params)
    own = {
        name: value
        for name, value in data.metrics.items()
        if name != ORDER and not name.startswith((CURVE, LIVE, SYSTEM))
    }
    time_ms = child.info.end_time
    log_points(client, parent, (Point(name, value, i, time_ms=time_ms) for name, value in own.items()))
    client.set_tag(child.info.run_id, _PARENT, parent)


def values_in(client: "MlflowClient", run: str) -> dict[tuple[str, int], float]:
    """Return what a child run holds, by metric and step; curves are asked for, all else is at its iteration's step."""
    data = client.get_run(run).data
    curves = [name for name in data.metrics if name.startswith((CURVE, LIVE))]
    points = (metric for name in curves for metric in client.get_metric_history(run, name))
    i = int(data.tags[tags.ITERATION])
    others = {(name, i): value for name, value in data.metrics.items() if not name.startswith((CURVE, LIVE, SYSTEM))}
    return others | {(metric.key, metric.step): metric.value for metric in points}


def log_points(client: "MlflowClient", run: str, points: Iterable[Point]) -> None:
    """Log any number of points; MLflow draws finite numbers only, and others are left out."""
    from mlflow.entities import Metric
    from mlflow.utils.time import get_current_time_millis

    now = get_current_time_millis()
    entities = [
        Metric(
            point.name,
            point.value,
            now if point.time_ms is None else point.time_ms,
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
