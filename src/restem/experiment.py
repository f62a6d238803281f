"""Where the experiment stands: what is prepared, which iterations are complete, which comes next.

Nothing is remembered but what the catalog holds. Iteration i is complete if its record is there, its policy
is the one that the record names, its samples came from the policy that iteration i-1 has now, and the questions are
still the same; otherwise it is missing or stale.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from restem import suggestions
from restem.errors import ExperimentError
from restem.evaluation.sentinels import refuse_to_begin, why_stopped
from restem.parameters import EmParameters
from restem.store.records import refuse_later_format


class Catalog(Protocol):
    """The part of Kedro's catalog that is needed here."""

    def exists(self, ds_name: str) -> bool:
        """Return whether the dataset is there."""

    def load(self, name: str) -> Any:
        """Return the dataset's data."""

    def save(self, name: str, data: Any) -> None:
        """Keep the dataset's data."""

    def get(self, key: str) -> Any:
        """Return the dataset itself."""


class Standing(NamedTuple):
    """What the pipelines of this experiment are, and how far it is."""

    name: str
    iterations: int  # em.iterations
    next_iteration: int  # what em_iteration is; the last one if all are complete
    prepared: bool = False
    has_baseline: bool = False
    complete: tuple[int, ...] = ()
    stale: tuple[int, ...] = ()  # have a record, but an earlier iteration changed since
    forced: bool = False
    stopped: str = ""  # why the experiment ends before em.iterations, as em.stop_when asks

    def refuse_unless_ready(self) -> None:
        """Raise if em_iteration has nothing to do or nothing to build on.

        Raises:
            ExperimentError: With the command to run instead.
        """
        if not self.prepared:
            raise ExperimentError(
                f"experiment {self.name!r} has no questions and no base policy yet; run this first: "
                f"{suggestions.run('prepare')}"
            )
        if self.forced and self.next_iteration - 1 > len(self.complete):
            raise ExperimentError(
                f"em.iteration={self.next_iteration} needs policy_{self.next_iteration - 1}, but the complete "
                f"iterations of experiment {self.name!r} are: {', '.join(map(str, self.complete)) or 'none'}"
            )
        refuse_to_begin(len(self.complete) + 1, self.stopped)
        if not self.forced and len(self.complete) == self.iterations:
            raise ExperimentError(
                f"experiment {self.name!r} is complete: {self.iterations} of {self.iterations} iterations. "
                f"Go on with: {suggestions.run('em_iteration', params={'em.iterations': self.iterations + 1})}. "
                f"Or redo one with: {_forced(self.iterations)}"
            )


def next_command(standing: Standing, catalog: Catalog) -> str:
    """Return the command that goes on from where an experiment stands."""
    if not standing.prepared:
        return suggestions.run("prepare")
    if len(standing.complete) < standing.iterations:
        return suggestions.run("em_iteration")
    if not catalog.exists("report_markdown"):
        return suggestions.run("compare")
    return suggestions.restem("report", "--open")


def _forced(iteration: int) -> str:
    return suggestions.run("em_iteration", params={"em.iteration": iteration})


_find_standing: Callable[[], Standing] | None = None


def use(find_standing: Callable[[], Standing]) -> None:
    """Set how the standing of the running session is found."""
    global _find_standing  # noqa: PLW0603 - Kedro calls register_pipelines() without arguments
    _find_standing = find_standing


def current_standing() -> Standing:
    """Return the standing of the running session; outside of one (`kedro registry list`), what conf/ says."""
    if _find_standing is not None:
        return _find_standing()
    return standing_of(_configured(), name="", catalog=None)


def is_recorded(catalog: Catalog, iteration: int) -> bool:
    """Return whether an iteration has a record, 0 being the base policy."""
    return catalog.exists(f"record_{iteration}")


def recorded_iterations(catalog: Catalog) -> Iterator[int]:
    """Return the iterations that have a record, from the base policy up to the first that has none."""
    return takewhile(partial(is_recorded, catalog), count())


def records_of(catalog: Catalog) -> dict[int, Any]:
    """Return the records of these iterations."""
    return {i: catalog.load(f"record_{i}") for i in recorded_iterations(catalog)}


def standing_of(em: EmParameters, *, name: str, catalog: Catalog | None) -> Standing:
    """Return the standing that parameters and catalog give."""
    forced = em.iteration
    if catalog is None:
        return Standing(name, em.iterations, forced or 1)
    complete, stale = _complete_and_stale(catalog, em.iterations)
    is_midway = 0 < len(complete) < em.iterations
    stopped = why_stopped(catalog.load(f"record_{len(complete)}"), em) if is_midway else ""
    iterations = len(complete) if stopped else em.iterations
    return Standing(
        name=name,
        iterations=iterations,
        next_iteration=forced or min(len(complete) + 1, iterations),
        prepared=catalog.exists("questions_summary"),
        has_baseline=_is_complete(catalog, 0, parent=None),
        complete=complete,
        stale=stale,
        forced=forced is not None,
        stopped=stopped,
    )


def _complete_and_stale(catalog: Catalog, iterations: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if not (catalog.exists("policy_0") and catalog.exists("questions_summary")):
        return (), ()
    complete: list[int] = []
    stale: list[int] = []
    parent = catalog.load("policy_0").fingerprint
    base = parent
    for i in range(1, iterations + 1):
        if not is_recorded(catalog, i):
            break
        if len(complete) == i - 1 and _is_complete(catalog, i, parent=parent, base=base):
            complete.append(i)
            parent = catalog.load(f"policy_{i}").fingerprint
        else:
            stale.append(i)
    return tuple(complete), tuple(stale)


def _is_complete(catalog: Catalog, i: int, *, parent: str | None, base: str | None = None) -> bool:
    if not (is_recorded(catalog, i) and all(map(catalog.exists, (f"policy_{i}", "questions_summary")))):
        return False
    record: Mapping[str, Any] = catalog.load(f"record_{i}")
    refuse_later_format(record)
    policy = catalog.load(f"policy_{i}")
    summary: Mapping[str, Any] = catalog.load("questions_summary")
    same_base = base is None or record["base"] == base
    same_questions = record["questions_digest"] == summary["questions_digest"]
    return bool(record["policy"] == policy.fingerprint and record["parent"] == parent and same_base and same_questions)


def _configured() -> EmParameters:
    from kedro.config import OmegaConfigLoader
    from kedro.utils import find_kedro_project

    project = find_kedro_project(Path.cwd()) or Path.cwd()
    conf = OmegaConfigLoader(str(project / "conf"), base_env="base", default_run_env="local")
    return EmParameters(**conf["parameters"]["em"])
