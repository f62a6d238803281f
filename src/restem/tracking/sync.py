"""MLflow shows what the catalog holds: a parent run per experiment, a child run per iteration.

Logging is a synchronisation: it can be repeated, after a crash or for a run made without a server, and adds only
what is missing. kedro-mlflow is not used: it opens one run per `kedro run`, where an experiment needs one parent
over many of them, and its commands import mlflow (seconds) at every start of kedro.
"""

import json
import logging
import os
import shlex
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from restem import suggestions
from restem.errors import ExperimentError, RestemError, StorageError
from restem.experiment import Catalog, records_of
from restem.parameters import Parameters
from restem.store.locks import acquire
from restem.store.records import stale_iterations
from restem.tracking import tags
from restem.tracking.iterations import log_iteration, span_of
from restem.tracking.runs import TrackingSession, ensure_runs, experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient


_logger_of_store = logging.getLogger("mlflow.store.db.utils")


class TrackingError(RestemError):
    """MLflow could not be reached or refused; the catalog has everything all the same."""


class Destination(NamedTuple):
    """Where runs are logged."""

    uri: str
    artifacts: str | None  # artifact root of a new MLflow experiment; None lets the server choose


def destination(project: Path) -> Destination:
    """Return the server of MLFLOW_TRACKING_URI, or the project's own store, which `mlflow ui` opens there."""
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri:
        return Destination(uri, None)
    return Destination(f"sqlite:///{project / 'mlflow.db'}", (project / "mlartifacts").as_uri())


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
        return _sync(catalog, parameters, where)


@contextmanager
def reaching(parameters: Parameters, project: Path, *, later: str) -> Iterator[Destination]:
    """Return where to log to, and take whatever MLflow raises inside as one error.

    Args:
        parameters: All parameters.
        project: The project's folder, for its own store.
        later: The command that logs later.

    Raises:
        TrackingError: If MLflow cannot be reached or refuses.
    """
    seconds = str(parameters.tracking.timeout_s)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", seconds)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    from alembic.util import CommandError  # of a store that another version of MLflow made
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    where = destination(project)
    file = database(where.uri)
    _logger_of_store.addFilter(_is_no_traceback)
    try:
        with nullcontext() if file is None else _held(file):
            yield where
    except (MlflowException, SQLAlchemyError, sqlite3.Error, CommandError, OSError) as error:
        reason = str(error).splitlines()[0]
        first = f"move the file away ({_moving(file)}), and " if file is not None and _is_damage(error) else ""
        raise TrackingError(
            f"MLflow at {where.uri} did not take the results: {reason}. Nothing is lost: the catalog has them all; "
            f"{first}log them later with: {later}"
        ) from error
    finally:
        _logger_of_store.removeFilter(_is_no_traceback)


def _is_no_traceback(record: logging.LogRecord) -> bool:
    """Return whether a record of MLflow stays: what it logs of an error it raises too, which is told in a sentence."""
    return not record.exc_info


def database(uri: str) -> Path | None:
    """Return the file of a store in SQLite; None for another store."""
    prefix, _, path = uri.partition(":///")
    return Path(path) if prefix == "sqlite" and path else None


@contextmanager
def _held(file: Path) -> Iterator[None]:
    """Keep others from the file meanwhile: two that make a store at once, or log the same iteration, spoil it.

    Raises for a file that cannot be a store, which MLflow would try for minutes.

    Raises:
        OSError: If it is a folder, or cannot be written or locked.
        sqlite3.Error: If it is not what SQLite wrote, or is kept locked by another program.
    """
    if file.is_dir():
        raise IsADirectoryError(f"{file} should be a file, and is a folder")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise PermissionError(f"user {os.geteuid()} cannot write {file}")
    try:
        lock = acquire(file.with_name(f".{file.name}.lock"), wait_for=f"logs to {file}")
    except (ExperimentError, StorageError) as error:
        raise OSError(str(error)) from error
    with lock or nullcontext():
        if file.exists():
            with closing(sqlite3.connect(file)) as database:
                database.execute("SELECT count(*) FROM sqlite_master")  # an empty file is an empty database
        yield


def _is_damage(error: BaseException) -> bool:
    """Return whether an error says that a file is not what SQLite wrote; MLflow and SQLAlchemy raise others from it."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    cause = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return isinstance(error, IsADirectoryError) or (cause is not None and _is_damage(cause))


def _moving(file: Path) -> str:
    """Return the command that gives a file a name that is free."""
    free = next(name for n in count(1) if not (name := file.with_name(f"{file.name}.damaged-{n}")).exists())
    return shlex.join(["mv", str(file), str(free)])


def _sync(catalog: Catalog, parameters: Parameters, where: Destination) -> list[int]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=where.uri)
    mlflow_experiment = experiment_id(client, parameters.tracking.mlflow_experiment, where.artifacts)
    records = records_of(catalog)
    spans = [span_of(catalog, i) for i in records]
    started = min((span.start_ms for span in spans), default=None)
    session = TrackingSession(client, mlflow_experiment, parameters, started)
    parent, logged = ensure_runs(session, records)
    runs = dict(logged)
    new = [i for i in records if i not in logged]
    for i in new:
        runs[i] = log_iteration(session, parent, catalog, records[i], runs)
    stale = stale_iterations(records)
    for i, run in runs.items():
        client.set_tag(run, tags.STALE, str(i in stale).lower())
    if new:
        _log_report(client, parent, catalog)
        client.set_terminated(parent, end_time=max(span.end_ms for span in spans))
    return new


def _log_report(client: "MlflowClient", parent: str, catalog: Catalog) -> None:
    from restem.reporting.results import format_table

    if catalog.exists("results"):
        client.set_tag(parent, "mlflow.note.content", f"```\n{format_table(catalog.load('results'))}\n```")
    for name, file in (("report_html", "report.html"), ("report_markdown", "report.md")):
        if catalog.exists(name):
            client.log_text(parent, catalog.load(name), file)
    if catalog.exists("figures"):
        _log_figures(client, parent, catalog.load("figures"))
    for name in ("results", "comparisons"):
        if catalog.exists(name):
            client.log_text(parent, catalog.load(name).to_csv(index=False), f"{name}.csv")
    if catalog.exists("node_seconds"):
        client.log_text(parent, json.dumps(catalog.load("node_seconds"), indent=1), "node_seconds.json")


def _log_figures(client: "MlflowClient", parent: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if name.endswith(".png"):
                (Path(folder) / name).write_bytes(content)
        client.log_artifacts(parent, folder, "figures")
