"""What happens around the nodes: the experiment's state, its lock, the clock.

Nodes know none of this; everything here reads and writes the catalog.
"""

import logging
import re
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from restem import ending, experiment, suggestions
from restem.configuration.check import check_parameters
from restem.configuration.consistency import refuse_changes
from restem.configuration.hub import stay_offline
from restem.configuration.preflight import refuse_unusable
from restem.engines.model_code import allow_model_code
from restem.errors import ExperimentError, first_few
from restem.experiment import recorded_iterations
from restem.parameters import Parameters
from restem.policies.retention import Retention, delete_weights, unneeded
from restem.project import bare_catalog
from restem.spending import spending
from restem.store.ledger import Ledger, ledger_file
from restem.store.names import iteration_of

_logger = logging.getLogger(__name__)

_DEFAULT_ENV = "local"  # as in settings.py
_KEPT = "What was finished is kept."
_KEPT_IN_JOURNAL = f"{_KEPT[:-1]}: shards of samples and verdicts, and training up to its last checkpoint."


class ExperimentHooks:
    """Checks the parameters, finds the next iteration, and keeps a second run out."""

    def __init__(self) -> None:
        """Start without an experiment."""
        self.parameters: Parameters | None = None
        self.project = Path()
        self._held = ExitStack()
        self._started: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check every parameter before anything runs, and tell the registry where the experiment stands."""
        suggestions.use(_asked_for(context))
        self.parameters = parameters = check_parameters(context.config_loader["parameters"])
        self.project = Path(context.project_path)
        stay_offline(parameters)
        allow_model_code(parameters.policy.run_code_from_model_folder)
        # Found when it is asked for: what only looks at files must do so where a record is damaged.
        experiment.use(
            cache(
                lambda: experiment.standing_of(parameters.em, name=parameters.experiment, catalog=bare_catalog(context))
            )
        )

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Refuse an iteration that has nothing to build on, or nothing that fits, and take the experiment's lock."""
        suggestions.use(suggestions.asked()._replace(pipelines=tuple(run_params["pipeline_names"] or ())))
        is_journaled = "journal" in pipeline.inputs()  # it draws, judges or trains
        ending.begin_work(_KEPT_IN_JOURNAL if is_journaled else _KEPT)
        standing = experiment.current_standing()
        if self.parameters is not None:
            if is_journaled:
                refuse_unusable(self.parameters)
            refuse_changes(_concerned(pipeline, catalog, standing), self.parameters)
        if "em_iteration" in (run_params["pipeline_names"] or []):  # what it suggests would be refused, before this
            standing.refuse_unless_ready()
        _refuse_without_inputs(pipeline, catalog, standing.name)
        self._held = ExitStack()
        journal = catalog.load("journal")
        self._held.enter_context(journal.lock(standing.name))
        if self.parameters is not None:
            ledger = Ledger(ledger_file(journal.root, standing.name))
            spending.open(ledger, self.parameters.limits, experiment=standing.name)
            self._held.callback(spending.close)  # before the lock goes
        self._seconds = _seconds_so_far(catalog)
        catalog.save("node_seconds", self._seconds)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the node's clock."""
        self._started[node.name] = time.monotonic()

    @hook_impl
    def after_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Stop the node's clock, and keep the time: the longest, since a later run finds its work in the journal."""
        seconds = round(time.monotonic() - self._started.pop(node.name), 3)
        self._seconds[node.name] = max(seconds, self._seconds.get(node.name, 0.0))
        catalog.save("node_seconds", self._seconds)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let go of the experiment."""
        ending.end_work()
        self._held.close()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Let go of the experiment."""
        ending.end_work()
        self._held.close()


class RetentionHooks:
    """Deletes the weights that no later step needs, as soon as an iteration is recorded."""

    def __init__(self, experiment: ExperimentHooks) -> None:
        """Read what is to be kept from the parameters that were checked."""
        self._experiment = experiment
        self._catalog: DataCatalog | None = None

    @hook_impl
    def before_pipeline_run(self, catalog: DataCatalog) -> None:
        """Remember where policies are."""
        self._catalog = catalog

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        """Delete what the record of an iteration leaves without a use."""
        recorded = re.fullmatch(r"record_(\d+)", dataset_name)
        parameters = self._experiment.parameters
        if recorded and self._catalog is not None and parameters is not None:
            retention = Retention(parameters.experiment, parameters.em.keep_policies)
            _delete_unneeded(self._catalog, int(recorded[1]), retention)


def _refuse_without_inputs(pipeline: Pipeline, catalog: DataCatalog, name: str) -> None:
    """Raise if the pipeline, or the part of one, reads what another one makes and has not made yet."""
    makers = {
        dataset: maker
        for maker, made in pipelines.items()
        if maker not in ("em_iteration", "__default__")
        for dataset in made.all_outputs()
    }
    missing = sorted(dataset for dataset in pipeline.inputs() & makers.keys() if not catalog.exists(dataset))
    if missing:
        first = min((makers[dataset] for dataset in missing), key=list(pipelines).index)
        raise ExperimentError(
            f"experiment {name!r} has no {first_few(missing)} yet, which this run reads; "
            f"run this first: {suggestions.run(first)}"
        )


def _seconds_so_far(catalog: DataCatalog) -> dict[str, float]:
    """Return the wall clock of the nodes that ran before."""
    if not catalog.exists("node_seconds"):
        return {}
    try:
        found = catalog.load("node_seconds")
    except DatasetError:
        found = None
    if isinstance(found, dict) and all(isinstance(seconds, int | float) for seconds in found.values()):
        return found
    _logger.warning("node_seconds cannot be read, as after a kill while it was written: its times begin anew")
    return {}


def _concerned(pipeline: Pipeline, catalog: DataCatalog, standing: experiment.Standing) -> dict[int, Any]:
    """Return the records of the iterations that the pipeline builds on or makes again, as far as they hold.

    One that is forced is meant to be made in another way, and those after it are stale then.
    """
    made = {i for node in pipeline.nodes if (i := iteration_of(node.namespace)) is not None}
    if "questions" in pipeline.all_outputs():
        made.add(0)
    last = max(made, default=-1)
    if standing.forced:
        last = min(last, standing.next_iteration - 1)
    holds = {*standing.complete, *([0] if standing.has_baseline else [])}
    return {i: catalog.load(f"record_{i}") for i in sorted(holds) if i <= last}


def _asked_for(context: KedroContext) -> suggestions.Asked:
    """Return how the session differs from one without options."""
    project, source, env = Path(context.project_path), str(context.config_loader.conf_source), context.env
    return suggestions.Asked(
        env=None if env == _DEFAULT_ENV else env,
        params=context._runtime_params or {},
        conf_source=None if Path(source) == project / "conf" else source,
        is_package=not (project / "pyproject.toml").is_file(),
    )


def _delete_unneeded(catalog: DataCatalog, iteration: int, retention: Retention) -> None:
    """Delete the weights that no later step needs, now that an iteration is recorded; the log says which."""
    records = {i: catalog.load(f"record_{i}") for i in recorded_iterations(catalog) if i <= iteration}
    for i in unneeded(records, retention.keep) if iteration in records else []:
        policies: Any = catalog.get(f"policy_{i}")
        journal = catalog.load("journal")
        freed = delete_weights(policies.versions(), journal, retention, fetched=policies.fetched)
        if freed:
            _logger.info(
                "deleted the weights of policy_%d (em.keep_policies=%s): %.1f MB", i, retention.keep, freed / 1e6
            )
