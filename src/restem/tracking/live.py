"""MLflow while a run goes on, as the run sees it: what is measured is kept in a file at once, and others tell MLflow.

Nothing here makes the run wait for a tracking server.
"""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from restem import live
from restem.experiment import Catalog
from restem.parameters import Parameters
from restem.store.plain import flat, plain
from restem.tracking import tags
from restem.tracking.attempts import attempt_at, attempt_of, this_process
from restem.tracking.iterations import metrics_of, tags_at_first
from restem.tracking.publisher import Followed, Publisher
from restem.tracking.runs import CURVE, LIVE, ChildCard
from restem.tracking.spool import Begun, Spool, begun_now, spool_folder

_logger = logging.getLogger(__name__)

_SUMMARY = re.compile(r"iteration_(\d+)\.(scoring|audit|filtering|training)_summary")
_RECORD = re.compile(r"record_\d+")
_SO_FAR = {"FINISHED": "SCHEDULED"}  # status of an iteration whose run ended well and before it, as with --to-nodes


class LiveTracking:
    """Follows one run."""

    def __init__(self, parameters: Parameters, project: Path, open_catalog: Callable[[], Catalog]) -> None:
        """Begin; MLflow is imported here, since two threads that import at once may find half a library.

        Args:
            parameters: All of them.
            project: The project's folder.
            open_catalog: Returns a catalog of the experiment for another thread.
        """
        self._parameters = parameters
        self._iteration: int | None = None  # the last one that was begun
        self._spool: Spool | None = None
        self._publisher = Publisher(parameters, project, open_catalog)

    def begin(self, iteration: int, catalog: Catalog) -> None:
        """Follow an iteration of which a node is about to run, unless it is recorded as it would be made now."""
        if iteration == self._iteration:
            return
        self._iteration = iteration
        before = catalog.load(f"record_{iteration - 1}") if iteration else {}
        attempt, recorded = attempt_at(iteration, before, self._parameters), ""
        if catalog.exists(f"record_{iteration}"):
            recorded = attempt_of(catalog.load(f"record_{iteration}"))
        if attempt == recorded:
            return
        begun = begun_now(iteration, attempt, this_process())
        folder = spool_folder(Path(catalog.load("journal").root), self._parameters.experiment)
        try:
            self._spool = Spool(folder, begun)
        except OSError as error:
            _logger.warning("%s cannot be written (%s): MLflow shows this iteration when it is over", folder, error)
            return
        card = ChildCard(self._tags(begun), flat(plain(self._parameters)), recorded)
        self._publisher.follow(Followed(begun, self._spool.file, card))
        live.listen(self._hear)

    def _tags(self, begun: Begun) -> dict[str, str]:
        i = begun.iteration
        doing = f"policy_{i} is being made" if i else "The base policy is being measured"
        return tags_at_first(i, self._parameters.method, self._parameters.experiment) | {
            tags.ATTEMPT: begun.attempt,
            tags.BASE: self._parameters.policy.model,
            "mlflow.note.content": f"{doing}: charts under live and training_curve show how far it is.",
        }

    def saved(self, dataset: str, data: Any) -> None:
        """Take the numbers of a summary; with its record an iteration is over."""
        if self._spool is None:
            return
        summary = _SUMMARY.fullmatch(dataset)
        if summary:
            self._spool.write(int(summary[1]), metrics_of({summary[2]: data}))
        if _RECORD.fullmatch(dataset):
            self._leave_iteration("FINISHED")
            self._publisher.note_recorded()

    def end(self, status: str) -> None:
        """Tell MLflow how the run ended and all that it does not have, as long as that does not take long.

        Args:
            status: FINISHED or FAILED.

        Raises:
            TrackingError: If MLflow does not take it, with the command that logs later.
        """
        self._leave_iteration(_SO_FAR.get(status, status))
        self._publisher.end(status)

    def is_told_to_end(self) -> None:
        """Tell MLflow that the run is killed, from another thread than the run's; the process has a second left."""
        live.listen(None)
        if self._spool is not None:
            self._spool.note_status("KILLED")  # and leave it open: the run may be writing to it
        self._publisher.mark_killed()

    def _leave_iteration(self, status: str) -> None:
        live.listen(None)
        if self._spool is not None:
            self._spool.note_status(status)
            self._spool.close()
        self._spool = None

    def _hear(self, reading: live.Reading) -> None:
        prefix = CURVE if reading.of == live.TRAINING else f"{LIVE}{reading.of}/"
        if self._spool is not None:
            self._spool.write(reading.step, {f"{prefix}{name}": value for name, value in reading.values.items()})
