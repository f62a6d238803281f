"""Where runs are logged, and what is said when nothing can be logged there."""

import logging
import os
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from typing import NamedTuple

from restem.errors import ExperimentError, RestemError, StorageError
from restem.parameters import Parameters
from restem.store.locks import acquire

_MOMENT_S = 2.0
# What they say of trouble is told in a sentence: an error that is raised too, and each retry.
_loggers = (logging.getLogger("mlflow.store.db.utils"), logging.getLogger("urllib3.connectionpool"))


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


def import_client(where: Destination) -> None:
    """Import what logging needs, for seconds, before a thread does: two that import at once may find half a library."""
    import alembic.util  # noqa: F401
    import sqlalchemy.exc  # noqa: F401
    from mlflow import MlflowClient  # noqa: F401

    if database(where.uri):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401


def answers(where: Destination) -> bool:
    """Return whether a tracking server answers within a moment; a store in a file, or elsewhere, is not asked."""
    import httpx2

    if not where.uri.startswith(("http://", "https://")):
        return True
    try:
        httpx2.get(f"{where.uri.rstrip('/')}/health", timeout=_MOMENT_S)
    except httpx2.TransportError:
        return False
    return True


class BusyError(TrackingError):
    """Another process logs to the same file just now."""


@contextmanager
def reaching(parameters: Parameters, project: Path, *, later: str, wait: bool = True) -> Iterator[Destination]:
    """Return where to log to, and take whatever MLflow raises inside as one error.

    Args:
        parameters: All parameters.
        project: The project's folder, for its own store.
        later: The command that logs later.
        wait: For another process that logs to the same file.

    Raises:
        BusyError: If another process logs there, and is not to be waited for.
        TrackingError: If MLflow cannot be reached or refuses.
    """
    seconds = str(parameters.tracking.timeout_s)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", seconds)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for every run that ends
    from alembic.util import CommandError  # of a store that another version of MLflow made
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    where = destination(project)
    file = database(where.uri)
    for logger in _loggers:
        logger.addFilter(_is_news)
    try:
        with nullcontext() if file is None else _held(file, wait=wait):
            yield where
    except (MlflowException, SQLAlchemyError, sqlite3.Error, CommandError, OSError) as error:
        reason = str(error).splitlines()[0]
        first = f"move the file away ({_moving(file)}), and " if file is not None and _is_damage(error) else ""
        raise TrackingError(
            f"MLflow at {where.uri} did not take the results: {reason}. Nothing is lost: the catalog has them all; "
            f"{first}log them later with: {later}"
        ) from error
    finally:
        for logger in _loggers:
            logger.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record says more than the sentence in which the trouble is told."""
    return not record.exc_info and not record.getMessage().startswith("Retrying (")


def database(uri: str) -> Path | None:
    """Return the file of a store in SQLite; None for another store."""
    prefix, _, path = uri.partition(":///")
    return Path(path) if prefix == "sqlite" and path else None


@contextmanager
def _held(file: Path, *, wait: bool) -> Iterator[None]:
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
        lock = acquire(file.with_name(f".{file.name}.lock"), wait_for=f"logs to {file}" if wait else None)
    except (ExperimentError, StorageError) as error:
        raise OSError(str(error)) from error
    if lock is None:
        raise BusyError(f"another process logs to {file}")
    with lock:
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
