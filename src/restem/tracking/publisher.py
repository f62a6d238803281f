"""Tells MLflow what a run measures, in a thread of its own: every few seconds, and where it left off after trouble.

What it tells is read from spools (spool.py), which are whole whatever happens here.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem import suggestions
from restem.experiment import Catalog
from restem.masking import mask
from restem.parameters import Parameters
from restem.screen import screen
from restem.tracking.destination import (
    BusyError,
    Destination,
    TrackingError,
    answers,
    destination,
    import_client,
    reaching,
)
from restem.tracking.runs import (
    ChildCard,
    Point,
    Runs,
    TrackingSession,
    begin_child,
    log_points,
    mark_running,
    values_in,
)
from restem.tracking.spool import Begun, read_points
from restem.tracking.sync import open_session, synchronise, worked_ms

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_logger = logging.getLogger(__name__)

_EVERY_S = 3.0
_AFTER_TROUBLE_S = 5.0
_MOST_AT_ONCE = 5000  # points, in memory
_PATIENCE = 3  # times tracking.timeout_s that a run waits at its end


class Followed(NamedTuple):
    """An iteration that is being made, and the file of what it tells."""

    begun: Begun
    file: Path
    card: ChildCard


class _Place(NamedTuple):
    """Where the iteration that is followed is logged."""

    session: TrackingSession
    followed: Followed
    runs: Runs
    last: dict[str, int]  # step up to which MLflow has each metric

    @property
    def child(self) -> "Run":
        """Return its run."""
        return self.runs.begun[self.followed.begun.iteration]


class _Shown(NamedTuple):
    """The runs that are shown as running now."""

    client: "MlflowClient"
    parent: "Run"
    child: "Run | None"  # between two iterations there is none


class Publisher:
    """The thread, and what it is asked for."""

    def __init__(self, parameters: Parameters, project: Path, open_catalog: Callable[[], Catalog]) -> None:
        """Start it.

        Args:
            parameters: All of them.
            project: The project's folder.
            open_catalog: Returns a catalog of the experiment that no other thread uses.
        """
        import_client(destination(project))
        self._parameters, self._project, self._open_catalog = parameters, project, open_catalog
        self._later = suggestions.restem("mlflow-sync")
        self._followed: Followed | None = None
        self._place: _Place | None = None
        self._shown: _Shown | None = None
        self._offset = 0  # in the file of what is followed
        self._has_records = self._in_trouble = self._is_broken = self._has_said_where = False
        self._ended_as = ""
        self._error: Exception | None = None
        self._worked_ms, self._began = 0, time.time()
        self._monitor: Any = None
        self._wake, self._is_over = threading.Event(), threading.Event()
        threading.Thread(target=self._work, name="mlflow", daemon=True).start()

    def follow(self, followed: Followed) -> None:
        """Log an iteration from now on."""
        self._followed = followed
        self._wake.set()

    def note_recorded(self) -> None:
        """Log what has a record now, and follow nothing."""
        self._followed, self._has_records = None, True
        self._wake.set()

    def end(self, status: str) -> None:
        """Log the rest, and wait for that as long as a server that answers may take.

        Args:
            status: Of the run.

        Raises:
            TrackingError: If MLflow does not answer, or takes long.
        """
        where = destination(self._project)
        self._followed, self._ended_as = None, status
        self._wake.set()
        patience_s = _PATIENCE * self._parameters.tracking.timeout_s
        reason = "" if answers(where) else "it does not answer"
        if not reason and not self._is_over.wait(patience_s):
            reason = f"it has taken more than {patience_s} s"
        self._is_over.set()
        if reason:
            raise TrackingError(
                f"MLflow at {where.uri} did not take all results: {reason}. Nothing is lost: the catalog has them all; "
                f"log the rest later with: {self._later}"
            )
        if self._error is not None:
            raise self._error

    def mark_killed(self) -> None:
        """Mark the runs, from any thread; what is not marked now is found by the next run or synchronisation."""
        self._is_over.set()
        if self._shown is None:
            return
        client, parent, child = self._shown
        now = time.time()
        try:
            if child is not None:
                client.set_terminated(child.info.run_id, "KILLED", end_time=int(1000 * now))
            end_ms = parent.info.start_time + self._worked_ms + int(1000 * (now - self._began))
            client.set_terminated(parent.info.run_id, "KILLED", end_time=end_ms)
        except Exception as error:  # whatever it is, the process ends now
            _logger.info("MLflow was not told that the run was killed: %s", error)

    def _work(self) -> None:
        while not self._is_over.is_set():
            self._wake.wait(_AFTER_TROUBLE_S if self._in_trouble else _EVERY_S)
            self._wake.clear()
            is_last = bool(self._ended_as)
            if self._is_broken and not is_last:
                continue
            try:
                with reaching(self._parameters, self._project, later=self._later, wait=is_last) as where:
                    self._catch_up(where)
            except BusyError:
                continue
            except TrackingError as error:
                self._note_trouble(error, is_last=is_last)
            except Exception as error:  # of a damaged table, say: the run goes on, and hears of it at its end
                _logger.warning("MLflow shows no more of this run until its end: %s", error)
                self._is_broken = True
                self._note_failure(error, is_last=is_last)
            else:
                self._note_success()
                if is_last:
                    self._is_over.set()

    def _catch_up(self, where: Destination) -> None:
        """Log everything that is there to be logged."""
        followed = self._followed
        if followed is not None:
            if self._place is None or self._place.followed is not followed:
                self._begin(followed, where)
            self._send()
        if self._has_records or self._ended_as:
            self._stop_monitor()
            self._synchronise(where)

    def _begin(self, followed: Followed, where: Destination) -> None:
        catalog = self._open_catalog()
        self._worked_ms = worked_ms(catalog)
        session = open_session(catalog, self._parameters, where)
        runs = begin_child(session, followed.begun, followed.card)
        child = runs.begun[followed.begun.iteration].info.run_id
        last: dict[str, int] = {}
        for name, step in values_in(session.client, child):
            last[name] = max(step, last.get(name, step))
        self._place, self._offset = _Place(session, followed, runs, last), 0
        self._shown = _Shown(session.client, runs.parent, self._place.child)
        self._say_where(session.experiment_id, runs, where)
        self._start_monitor(child, where)

    def _say_where(self, experiment_id: str, runs: Runs, where: Destination) -> None:
        """Say once where a server shows the run."""
        if not self._has_said_where and where.uri.startswith("http"):
            page = f"{where.uri.rstrip('/')}/#/experiments/{experiment_id}/runs/{runs.parent.info.run_id}"
            screen.line(f"MLflow: {mask(page)}")
        self._has_said_where = True

    def _send(self) -> None:
        """Log what the file has more than MLflow; of steps that were taken again, what was logged first stays."""
        place = self._place
        while place is not None:
            points, offset = read_points(place.followed.file, self._offset, most=_MOST_AT_ONCE)
            new = [point for point in points if point.step > place.last.get(point.name, -1)]
            run = place.child.info.run_id
            log_points(place.session.client, run, [Point(p.name, p.value, p.step, time_ms=p.time_ms) for p in new])
            place.last.update((point.name, point.step) for point in new)
            self._offset = offset
            if not points:
                return

    def _synchronise(self, where: Destination) -> None:
        catalog, ended_as = self._open_catalog(), self._ended_as
        session = open_session(catalog, self._parameters, where)
        self._has_records = False
        try:
            runs = synchronise(session, catalog, ended_as=ended_as or None, midway=not ended_as).runs
        except BaseException:
            self._has_records = True
            raise
        if not ended_as:
            mark_running(session.client, runs.parent)
            self._shown = _Shown(session.client, runs.parent, None)
        self._place = None  # iterations that are followed now begin anew, under the parent that there is now

    def _start_monitor(self, run: str, where: Destination) -> None:
        self._stop_monitor()
        if self._parameters.tracking.system_metrics:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            self._monitor = SystemMetricsMonitor(run, resume_logging=True, tracking_uri=where.uri)
            self._monitor.start()

    def _stop_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None

    def _note_trouble(self, error: TrackingError, *, is_last: bool) -> None:
        self._place = None
        if not self._in_trouble and not is_last:
            reason, uri = str(error.__cause__).splitlines()[0], destination(self._project).uri
            _logger.warning(
                "MLflow at %s does not take what is measured: %s. The run goes on, and tries again; nothing is lost",
                uri,
                reason,
            )
        self._in_trouble = True
        self._note_failure(error, is_last=is_last)

    def _note_failure(self, error: Exception, *, is_last: bool) -> None:
        self._place = None
        if is_last:
            self._error = error
            self._is_over.set()

    def _note_success(self) -> None:
        if self._in_trouble:
            _logger.warning("MLflow at %s answers again, and has what it missed", destination(self._project).uri)
        self._in_trouble = False
