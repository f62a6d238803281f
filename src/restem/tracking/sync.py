"""MLflow shows what the catalog holds: a parent run per experiment, a child run per iteration.

Logging is a synchronisation: it can be repeated, after a crash or for a run made without a server, and adds only
what is missing. kedro-mlflow is not used: it opens one run per `kedro run`, where an experiment needs one parent
over many of them, and its commands import mlflow (seconds) at every start of kedro.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem import suggestions
from restem.experiment import Catalog, records_of
from restem.parameters import Parameters
from restem.store.fingerprints import fingerprint
from restem.store.records import record_id, stale_iterations
from restem.tracking import tags
from restem.tracking.attempts import attempt_of, is_gone, this_process
from restem.tracking.destination import Destination, reaching
from restem.tracking.iterations import contradicts, log_iteration, span_of, tags_at_first
from restem.tracking.runs import (
    Point,
    Runs,
    TrackingSession,
    create_child,
    ensure_runs,
    experiment_id,
    log_points,
    values_in,
)
from restem.tracking.spool import last_process, last_status, read_begun, read_points, spools_in
from restem.tracking.tables import answers_of_all
from restem.tracking.view import ensure_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_REPORTS = {"report_html": "report.html", "report_markdown": "report.md"}  # dataset -> artifact


def sync(catalog: Catalog, parameters: Parameters, *, project: Path) -> list[int]:
    """Return the iterations that were logged now, because MLflow did not have them.

    Args:
        catalog: The experiment's catalog.
        parameters: All parameters.
        project: The project's folder, for its own store.

    Raises:
        TrackingError: If MLflow cannot be reached, with the command that logs later.
    """
    with reaching(parameters, project, later=suggestions.restem("mlflow-sync")) as where:
        session = open_session(catalog, parameters, where)
        return synchronise(session, catalog).logged


class Synced(NamedTuple):
    """What MLflow holds after a synchronisation."""

    runs: Runs
    logged: list[int]  # iterations that were logged by it


def open_session(catalog: Catalog, parameters: Parameters, where: Destination) -> TrackingSession:
    """Return a session in the MLflow experiment, which is made if there is none."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=where.uri)
    holder = experiment_id(client, parameters.tracking.mlflow_experiment, where.artifacts)
    ensure_view(client, holder)
    started = min((span_of(catalog, i).start_ms for i in records_of(catalog)), default=None)
    return TrackingSession(client, holder, parameters, started)


def synchronise(
    session: TrackingSession, catalog: Catalog, *, ended_as: str | None = None, midway: bool = False
) -> Synced:
    """Log what MLflow does not have of an experiment.

    Args:
        session: Where it is logged.
        catalog: The experiment's.
        ended_as: The status of a run that ends with this; None is that of whoever made the experiment last.
        midway: Whether the run goes on, so that there is neither a report yet nor an end.
    """
    client, records = session.client, records_of(catalog)
    root, name = Path(catalog.load("journal").root), session.parameters.experiment
    spools = spools_in(root, name)

    def differs(run: "Run", i: int) -> bool:
        return i in records and contradicts(client, run, catalog, records[i])

    runs = ensure_runs(session, records, differs)
    new = [i for i in records if i not in runs.logged]
    for i in new:
        attempt = attempt_of(records[i])
        runs.logged[i] = log_iteration(session, runs, catalog, records[i], spools.get((i, attempt), root / "no spool"))
    _mark_stale(client, runs, stale_iterations(records))
    if midway:
        return Synced(runs, new)
    unfinished = {key: file for key, file in spools.items() if not _is_done(key, records)}
    is_left = [log_unfinished(session, runs, file) for file in unfinished.values()]
    parent = runs.parent.info.run_id
    _log_report(client, runs.parent, catalog, records)
    status = ended_as or _status_of(client.get_run(parent), is_left=any(is_left))
    if status:
        client.set_terminated(parent, status, end_time=runs.parent.info.start_time + worked_ms(catalog))
    return Synced(runs, new)


def log_unfinished(session: TrackingSession, runs: Runs, file: Path) -> bool:
    """Log what was measured of an iteration that has no record; return whether nobody makes it any more.

    Args:
        session: Where it is logged.
        runs: The experiment's.
        file: What was measured.
    """
    client, begun = session.client, read_begun(file)
    made_by = last_process(file)
    if begun is None or made_by is None or not (made_by == this_process() or is_gone(made_by)):
        return False
    run = runs.begun.get(begun.iteration)
    if run is None or run.data.tags.get(tags.ATTEMPT) != begun.attempt:
        named = tags_at_first(begun.iteration, session.parameters.method, session.parameters.experiment)
        named |= {tags.ATTEMPT: begun.attempt, tags.PROCESS: made_by}
        run = create_child(session, runs.parent.info.run_id, begun.iteration, named, begun.started_ms)
    there, points = set(values_in(client, run.info.run_id)), read_points(file).points
    missing = [point for point in points if (point.name, point.step) not in there]
    log_points(client, run.info.run_id, (Point(p.name, p.value, p.step, time_ms=p.time_ms) for p in missing))
    status = last_status(file) or "KILLED"
    if client.get_run(run.info.run_id).info.status != status:
        end = max((point.time_ms for point in points), default=begun.started_ms)
        client.set_terminated(run.info.run_id, status, end_time=end)
    return True


def _is_done(key: tuple[int, str], records: Mapping[int, Mapping[str, Any]]) -> bool:
    i, attempt = key
    return i in records and attempt_of(records[i]) == attempt


def _mark_stale(client: "MlflowClient", runs: Runs, stale: list[int]) -> None:
    for i, run in runs.logged.items():
        said = str(i in stale).lower()
        if run.data.tags.get(tags.STALE) != said:
            client.set_tag(run.info.run_id, tags.STALE, said)


def _status_of(parent: "Run", *, is_left: bool) -> str | None:
    """Return the status to give the experiment's run; None while another process works on it."""
    status = parent.info.status
    if status == "RUNNING":
        if not is_gone(parent.data.tags.get(tags.PROCESS, "")):
            return None
        return "KILLED" if is_left else "FINISHED"
    return "FINISHED" if status == "SCHEDULED" else status


def worked_ms(catalog: Catalog) -> int:
    """Return how long was worked on an experiment in all its runs, in milliseconds."""
    return int(1000 * sum(catalog.load("node_seconds").values())) if catalog.exists("node_seconds") else 0


def _log_report(client: "MlflowClient", run: "Run", catalog: Catalog, records: Mapping[int, Mapping[str, Any]]) -> None:
    """Log the report and the answers of all policies, unless they are those that were logged."""
    from restem.reporting.results import format_table

    parent = run.info.run_id
    pages = [catalog.load(name) if catalog.exists(name) else None for name in _REPORTS]
    digest = fingerprint([*pages, *map(record_id, records.values())])
    if run.data.tags.get(tags.REPORT) == digest:
        return
    if catalog.exists("results"):
        client.set_tag(parent, "mlflow.note.content", f"```\n{format_table(catalog.load('results'))}\n```")
    for name, file in _REPORTS.items():
        if catalog.exists(name):
            client.log_text(parent, catalog.load(name), file)
    if catalog.exists("figures"):
        _log_figures(client, parent, catalog.load("figures"))
    for name in ("results", "comparisons"):
        if catalog.exists(name):
            client.log_text(parent, catalog.load(name).to_csv(index=False), f"{name}.csv")
    if catalog.exists("node_seconds"):
        client.log_text(parent, json.dumps(catalog.load("node_seconds"), indent=1), "node_seconds.json")
    if records and all(catalog.exists(f"greedy_answers_{i}") for i in records):
        client.log_text(parent, answers_of_all(catalog, records).to_csv(index=False), "greedy_answers.csv")
    client.set_tag(parent, tags.REPORT, digest)


def _log_figures(client: "MlflowClient", parent: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if name.endswith(".png"):
                (Path(folder) / name).write_bytes(content)
        client.log_artifacts(parent, folder, "figures")
