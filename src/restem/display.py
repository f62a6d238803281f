"""What a run says on the screen: a line per step, and at its end how good the policies are and what to do next.

All of the log, Kedro's too, is in logs/<experiment>.log; `--params=display.log=screen` shows it as well.
"""

import logging
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from restem import experiment, suggestions
from restem.errors import BudgetError
from restem.hooks import ExperimentHooks
from restem.parameters import Parameters
from restem.project import load_path
from restem.schemas import SPLITS
from restem.screen import duration, screen, width
from restem.store.journal import state_file
from restem.store.names import iteration_of
from restem.store.storage import writing

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_TOY = "builtin:tiny"


class _Place(NamedTuple):
    """Where a node stands in an experiment."""

    iteration: int | None  # None for what is done once
    step: str  # a tag of the node

    def __str__(self) -> str:
        return f"{_titled(self.iteration)}: {self.step}" if self.iteration is not None else self.step


class DisplayHooks:
    """Shows a run."""

    def __init__(self, experiment: ExperimentHooks) -> None:
        """Read what to show and where from the parameters that were checked."""
        self._experiment = experiment
        self._log: ExitStack | None = None  # closes it, and leaves other handlers as they were
        self._left: Counter[_Place] = Counter()
        self._done: list[_Place] = []  # steps that are not yet said to be
        self._made: set[str] = set()  # datasets that this run makes: of a part of a pipeline, not all that a step has
        self._seconds: defaultdict[_Place, float] = defaultdict(float)
        self._started = 0.0
        self._n_nodes = self._n_done = 0
        self._shown: int | None = None  # the iteration under whose title the lines stand

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Open the log, and say what will be done."""
        parameters, project = self._experiment.parameters, self._experiment.project
        if parameters is None:
            return
        name = parameters.experiment
        file = project / "logs" / f"{name}.log"
        self._log = _keep_log(file, on_screen=parameters.display.log == "screen")
        places = list(map(_place, pipeline.nodes))
        self._left, self._shown = Counter(places), None
        self._made = pipeline.all_outputs()
        self._n_nodes, self._n_done = len(places), 0
        self._seconds.clear()
        self._done.clear()
        screen.open(state_file(Path(catalog.load("journal").root), name))
        parts = dict.fromkeys(place.step if place.iteration is None else _titled(place.iteration) for place in places)
        screen.line(f"experiment {name}: {', '.join(parts)} (log: {file.relative_to(project)})")

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog) -> None:
        """Say what the last step came to, now that it is saved, and which step it is at."""
        self._say_done(catalog)
        self._started = time.monotonic()
        doing = node.name.rpartition(".")[2].replace("_", " ")
        screen.begin(str(_place(node)), doing=doing, n_done=self._n_done, n_nodes=self._n_nodes)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Note when all of a step is done."""
        place = _place(node)
        self._seconds[place] += time.monotonic() - self._started
        self._n_done += 1
        self._left[place] -= 1
        if not self._left[place] and place.step in _OUTCOMES:
            self._done.append(place)

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: DataCatalog) -> None:
        """Say how good the policies are, which is the best, and what comes next."""
        self._say_done(catalog)
        screen.close()
        if self._experiment.parameters is not None:
            for line in _ending(pipeline, catalog, self._experiment.parameters):
                screen.line(line)
        self._close_log()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Say how to go on."""
        screen.close()
        if self._log is not None and not isinstance(error, BudgetError):  # which says it itself
            again = suggestions.same_run({})
            screen.line(f"The run has stopped; what is done is kept. When its cause is mended, go on with: {again}")
        self._close_log()

    def _say_done(self, catalog: DataCatalog) -> None:
        for place in self._done:
            self._say(place, self._outcome(catalog, place))
        self._done.clear()

    def _outcome(self, catalog: DataCatalog, place: _Place) -> str:
        dataset, describe = _OUTCOMES[place.step]
        name = dataset.format(place.iteration)
        if name and name not in self._made:
            return ""
        return describe(catalog.load(name) if name else None, screen.notes(str(place)))

    def _say(self, place: _Place, outcome: str) -> None:
        if place.iteration is not None and place.iteration != self._shown:
            screen.line(_titled(place.iteration))
        self._shown = place.iteration
        indent = "" if place.iteration is None else "  "
        screen.line(f"{indent + place.step:<14}{duration(self._seconds[place]):>7}  {outcome}".rstrip())

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


class _LogFile(logging.FileHandler):
    """The log, which a full disk ends: that is said once, and the run goes on."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say why no more of the log is kept."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.setLevel(logging.CRITICAL + 1)
        screen.line(f"{self.baseFilename} cannot be written any more, and ends here: {error.strerror}")


class _NotOfKedro(logging.Filter):
    """Keeps two things of Kedro's off the screen: the error, which is printed at the end, and how to resume.

    Here the same command goes on, from the journal.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith(("kedro.runner", "kedro.pipeline.node"))


def _keep_log(file: Path, *, on_screen: bool) -> ExitStack:
    """Write all of the log into a file until what this returns is closed."""
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = _LogFile(file, encoding="utf-8")
    kept.setFormatter(logging.Formatter(_FORMAT))
    root, close = logging.getLogger(), ExitStack()
    for other in root.handlers:
        if on_screen:
            close.callback(other.setLevel, other.level)
            other.setLevel(logging.INFO)
        else:
            not_of_kedro = _NotOfKedro()
            close.callback(other.removeFilter, not_of_kedro)
            other.addFilter(not_of_kedro)
    root.addHandler(kept)
    close.callback(kept.close)
    close.callback(root.removeHandler, kept)
    return close


def _place(node: Node) -> _Place:
    step = next((tag for tag in sorted(node.tags) if not tag.startswith("iteration_")), "other")
    return _Place(iteration_of(node.namespace), step)


def _titled(iteration: int) -> str:
    return f"iteration {iteration}" if iteration else "base policy"


def _prepared(summary: Any, notes: Sequence[str]) -> str:
    by_split = summary["by_split"]
    counts = ", ".join(f"{by_split[split]} {split}" for split in SPLITS if split in by_split)
    reasons = "; ".join(f"{n}: {reason}" for reason, n in summary["quarantined"].items())
    left_out = f"{summary['n_quarantined']} quarantined{f' ({reasons})' if reasons else ''}"
    return f"{counts} questions; {left_out}, {summary['n_near_duplicates']} near duplicates"


def _scored(summary: Any, notes: Sequence[str]) -> str:
    return f"{summary['n']} samples, {summary['acceptance']:.1%} accepted"


def _filtered(summary: Any, notes: Sequence[str]) -> str:
    return f"{summary['n_kept']} kept, of {summary['n_questions_kept']} of {summary['n_questions']} questions"


def _trained(log: Any, notes: Sequence[str]) -> str:
    steps = f"{len(log)} optimizer steps, loss {log['loss'].iloc[0]:.3g} to {log['loss'].iloc[-1]:.3g}"
    return "; ".join([steps, *(note for note in notes if "journal" in note)])


def _evaluated(numbers: Any, notes: Sequence[str]) -> str:
    from restem.reporting.results import main_suite
    from restem.reporting.sections import measured

    suite = main_suite(numbers)
    found = numbers[f"{suite}/pass_at_1"]
    return f"pass@1 {measured(found)} on {found['n']} {suite} {'question' if found['n'] == 1 else 'questions'}"


# By step: the dataset that says what it came to, and how it is told, with what was noted meanwhile; without a dataset
# the notes are all.
_OUTCOMES: dict[str, tuple[str, Callable[[Any, Sequence[str]], str]]] = {
    "prepare": ("questions_summary", _prepared),
    "sampling": ("", lambda _, notes: "; ".join(notes)),
    "scoring": ("iteration_{}.scoring_summary", _scored),
    "filtering": ("iteration_{}.filtering_summary", _filtered),
    "training": ("training_log_{}", _trained),
    "evaluation": ("iteration_{}.metrics", _evaluated),
}


def _ending(pipeline: Pipeline, catalog: DataCatalog, parameters: Parameters) -> Iterator[str]:
    """Yield what a run says when it is over: the table, the verdict, the best policy, the page, the next command."""
    if "results" in pipeline.all_outputs():
        yield from _results(catalog)
    if parameters.policy.model == _TOY:
        yield f"({_TOY} is a toy: it shows how restem works, and numbers near zero are what is expected of it)"
    em = replace(parameters.em, iteration=None)
    standing = experiment.standing_of(em, name=parameters.experiment, catalog=catalog)
    yield f"next: {experiment.next_command(standing, catalog)}"


def _results(catalog: DataCatalog) -> Iterator[str]:
    from restem.evaluation.best_policy import recommend
    from restem.reporting.results import format_table

    records = {i: catalog.load(f"record_{i}") for i in experiment.recorded_iterations(catalog)}
    results: Any = catalog.load("results")
    yield f"\n{format_table(results, width=width())}\n"
    yield from _verdict(catalog, records[0]["metrics"])
    best = recommend(records)
    yield f"best policy: policy_{best.iteration}: {best.reason}"
    yield f"report: {load_path(catalog, 'report_html').removeprefix(f'{Path.cwd()}/')}"


def _verdict(catalog: DataCatalog, numbers: Any) -> Iterator[str]:
    from restem.reporting.results import main_suite
    from restem.reporting.sections import interval

    suite, rows = main_suite(numbers), catalog.load("comparisons")
    rows = rows[(rows["suite"] == suite) & (rows["reference"] == "base")]
    for row in rows[rows["iteration"] == rows["iteration"].max()].to_dict("records"):
        change = interval(row["difference"], row["low"], row["high"], signed=True)
        said = f"iteration {row['iteration']} against the base policy on {suite}: {row['conclusion']}"
        yield f"verdict: {said}, pass@1 {change}"
