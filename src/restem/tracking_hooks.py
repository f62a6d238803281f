"""What MLflow hears of a run: how far it is while it goes on, all that it made at its end."""

import logging
from functools import partial
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from restem import ending
from restem.hooks import ExperimentHooks
from restem.project import bare_catalog
from restem.store.names import iteration_of
from restem.tracking.destination import TrackingError
from restem.tracking.live import LiveTracking

_logger = logging.getLogger(__name__)


class TrackingHooks:
    """Follows the runs of pipelines that make iterations, or parts of them."""

    def __init__(self, experiment: ExperimentHooks) -> None:
        """Read where to log to from the parameters that were checked."""
        self._experiment = experiment
        self._context: KedroContext | None = None
        self._live: LiveTracking | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Remember where a second catalog comes from."""
        self._context = context

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Begin to follow a run."""
        self._leave()  # as after an interrupt in a notebook, of which Kedro tells nobody
        parameters, context = self._experiment.parameters, self._context
        makes_iterations = any(iteration_of(node.namespace) is not None for node in pipeline.nodes)
        if makes_iterations and parameters is not None and parameters.tracking.enabled and context is not None:
            self._live = LiveTracking(parameters, self._experiment.project, partial(bare_catalog, context))
            ending.on_told(self._live.is_told_to_end)

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Follow the iteration that the node belongs to."""
        iteration = iteration_of(node.namespace)
        if self._live is not None and iteration is not None:
            self._live.begin(iteration, catalog)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Take the numbers of summaries as they are made."""
        if self._live is not None:
            self._live.saved(dataset_name, data)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Log what MLflow does not have yet, and the report."""
        self._end("FINISHED")

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Log what was made before the run stopped, as the base policy where the first iteration found nothing."""
        self._end("FAILED")

    def _end(self, status: str) -> None:
        followed, self._live = self._live, None
        ending.on_told(None)
        if followed is None:
            return
        try:
            followed.end(status)
        except TrackingError as error:
            _logger.warning("%s", error)

    def _leave(self) -> None:
        followed, self._live = self._live, None
        if followed is not None:
            followed.is_told_to_end()
