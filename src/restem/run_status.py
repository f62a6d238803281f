"""What kedro-viz shows of runs: which nodes ran, how long they took, and how the last run ended.

kedro-viz writes this down for runs of everything alone, and forgets the runs before. An experiment is made by many
runs, each of a part of it: here every run is written down, beside what earlier ones of the same experiment did. Only
this module knows kedro-viz's hooks; they stand in for its own, which settings.py leaves out.
"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro_viz.constants import PIPELINE_EVENT_FULL_PATH
from kedro_viz.integrations.kedro.hooks import DatasetStatsHook
from kedro_viz.integrations.kedro.hooks_utils import hash_node
from kedro_viz.integrations.kedro.run_hooks import PipelineRunStatusHook

from restem.hooks import ExperimentHooks
from restem.masking import masked

__all__ = ["DatasetStatsHook", "RunStatusHooks"]

_logger = logging.getLogger(__name__)
_EXPERIMENT = "experiment"  # in the event that begins a run
_OF_NODES = ("after_node_run", "on_node_error")
_OF_DATASETS = ("after_dataset_loaded", "after_dataset_saved")


class RunStatusHooks(PipelineRunStatusHook):  # type: ignore[misc] # kedro-viz is not typed
    """kedro-viz's own, for runs of a part too."""

    def __init__(self, experiment: ExperimentHooks) -> None:
        """Read the experiment's name from the parameters that were checked."""
        super().__init__()
        self._events: list[dict[str, Any]] = []
        self._experiment = experiment

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Begin to write down a run, with what is known of the nodes that it does not run."""
        parameters = self._experiment.parameters
        if parameters is None:
            return
        file = self._experiment.project / PIPELINE_EVENT_FULL_PATH
        self._should_collect_events = False  # what an earlier run of this process was is not asked
        runner = run_params.get("runner")
        named = None if runner == str(None) else runner  # as Kedro writes that none was named
        # It asks for nothing but the runner, as a run of everything would.
        super().before_pipeline_run({"runner": named}, pipeline)
        if self._should_collect_events:
            now = {**self._events[-1], _EXPERIMENT: parameters.experiment}
            self._events = [now, *_events_of_others(_events_before(file, parameters.experiment), pipeline)]

    def _add_event(self, event: dict[str, Any], flush: bool = False) -> None:
        """Keep an event without secrets: an error's text and traceback may quote one."""
        super()._add_event(masked(event), flush)


def _events_before(file: Path, experiment: str) -> list[dict[str, Any]]:
    """Return what was written down of the experiment's runs before; nothing if the last run was of another."""
    if not file.is_file():
        return []
    try:
        events: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        _logger.warning("%s cannot be read, as after a kill while it was written: what ran is shown anew", file)
        return []
    return events if events and events[0].get(_EXPERIMENT) == experiment else []


def _events_of_others(events: list[dict[str, Any]], pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """Yield the events of nodes and datasets that are not in the pipeline."""
    nodes, datasets = {hash_node(node) for node in pipeline.nodes}, pipeline.datasets()
    for event in events:
        of_other_node = event["event"] in _OF_NODES and event["node_id"] not in nodes
        of_other_dataset = event["event"] in _OF_DATASETS and event["dataset"] not in datasets
        if of_other_node or of_other_dataset:
            yield event
