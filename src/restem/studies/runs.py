"""Run the experiments of a study and read what they left: each is an ordinary experiment of the project.

What is done is read from the records, as everywhere. The experiments share the project's journal, so what several of
them have in common, as the samples of the base policy, is done once.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from restem.configuration import consistency
from restem.configuration.check import check_parameters
from restem.configuration.resolve import merged
from restem.errors import BudgetError, ParameterError, StudyError
from restem.experiment import Catalog, current_standing, is_recorded
from restem.parameters import Parameters
from restem.project import bootstrap, opened
from restem.store.journal_usage import FileKey, file_keys
from restem.store.plain import flat
from restem.store.tables import ShardedTable
from restem.studies.arms import Made, Shared
from restem.studies.study import Difference, Study, differences, refuse_equals

_logger = logging.getLogger(__name__)

_LONGEST_REASON = 400  # characters
_SAMPLES = ("samples", "follow_up_samples", "evaluation_samples")


class Task(NamedTuple):
    """An experiment of a study."""

    name: str  # in the study
    env: str | None
    runtime: dict[str, Any]  # its --params, but for the policies that it borrows
    borrows: Mapping[str, "Task"]  # dotted parameter -> whose last policy it is to be
    parameters: Parameters
    differences: str  # as people read them


class State(NamedTuple):
    """How far an experiment is, from its records."""

    is_complete: bool
    found: str  # "complete", "not begun", "1 of 2 iterations", "made with sampling.n=8"
    pipelines: tuple[str, ...]  # that are left to run


class Outcome(NamedTuple):
    """What running a study did."""

    failed: dict[str, str]  # experiment -> why
    spent: dict[str, str]  # likewise, those whose budget ended
    n_needed: int  # samples of the experiments that were run
    n_drawn: int  # of these, not in the journal before


def experiments_of(study: Study, *, project: Path, env: str | None, params: Mapping[str, Any]) -> list[Task]:
    """Return the experiments of a study with their parameters, all of them checked.

    Args:
        study: The study.
        project: The project's folder.
        env: Kedro environment of the base; None is the study's, or the default one.
        params: As --params of kedro run, for all experiments.

    Raises:
        ParameterError: If the base is wrong.
        StudyError: If an experiment is, or two are the same, or the preset lacks what the study needs.
    """
    env = env or study.env
    bootstrap(project)
    common = merged({"tracking": {"mlflow_experiment": study.name}}, merged(study.parameters, params))
    base = _configuration(project, env, common)
    checked = check_parameters(base)
    if "transfer" in study.needs and not any(checked.questions.transfer.values()):
        raise StudyError(
            f"study {study.name!r} compares transfer suites, and questions.transfer names none; "
            "use a preset that does, as --env math, or set it (docs/tasks.md)"
        )
    tasks: dict[str, Task] = {}
    for name, difference in differences(study, base).items():
        named = {"experiment": f"{base['experiment']}.{study.name}.{name}"}
        runtime = merged(common, difference.parameters) | named
        own_env = difference.env or env
        borrows = {path: tasks[lender] for path, lender in difference.borrows.items()}
        standing_in = {path: f"last policy of {lender}" for path, lender in difference.borrows.items()}
        try:
            parameters = check_parameters(_configuration(project, own_env, merged(runtime, _nested(standing_in))))
        except ParameterError as error:
            raise StudyError(f"study {study.name!r}: experiments.{name}: {error}") from error
        tasks[name] = Task(name, own_env, runtime, borrows, parameters, _described(difference))
    refuse_equals({name: task.parameters for name, task in tasks.items()}, study=study.name)
    return list(tasks.values())


def only_task(tasks: Sequence[Task], wanted: str) -> Task:
    """Return one experiment of a study, by its name in the study or by its number from 1.

    Raises:
        StudyError: If there is none.
    """
    for number, task in enumerate(tasks, 1):
        if wanted == task.name or (wanted.isdecimal() and int(wanted) == number):
            return task
    listed = ", ".join(f"{number}: {task.name}" for number, task in enumerate(tasks, 1))
    raise StudyError(f"--only={wanted}: the study has no such experiment; it has {listed}")


def run_tasks(tasks: Sequence[Task], *, project: Path, say: Callable[[str], None]) -> Outcome:
    """Run what is missing of every experiment, one after the other; one that fails does not stop the others.

    Args:
        tasks: From `experiments_of`.
        project: The project's folder.
        say: Where a line per experiment goes.
    """
    _let_the_hub_be_asked(tasks)
    failed: dict[str, str] = {}
    spent: dict[str, str] = {}
    ran: list[Task] = []
    before: frozenset[FileKey] = _journaled(tasks[0])
    for number, task in enumerate(tasks, 1):
        heading = f"[{number}/{len(tasks)}] {task.parameters.experiment}"
        try:
            state = state_of(task)
            if state.is_complete:
                say(f"{heading}: complete")
                continue
            say(f"{heading}: {state.found}; {task.differences or 'as the base'}")
            _run(task, state.pipelines, project)
            ran.append(task)
        except BudgetError as error:
            spent[task.name] = error.message
            say(f"{heading}: stopped: {error.message}")
        except Exception as error:  # whatever a user's own reward, source or engine raises must not stop the others
            _logger.debug("%s failed", task.name, exc_info=error)
            failed[task.name] = _reason(error)
            say(f"{heading}: failed: {failed[task.name]}")
    sizes = [size for task in ran for size in _sample_files(task)]
    drawn = {key: n for key, n in sizes if key not in before}
    return Outcome(failed, spent, n_needed=sum(n for _, n in sizes), n_drawn=sum(drawn.values()))


def state_of(task: Task) -> State:
    """Return how far an experiment is, and what is left to run."""
    with opened(task.env, None, _runtime(task)) as (catalog, parameters, _):
        return _state(catalog, parameters)


def _state(catalog: Catalog, parameters: Parameters) -> State:
    """Return how far the experiment of the open session is."""
    standing = current_standing()
    records = {i: catalog.load(f"record_{i}") for i in (0, *standing.complete) if is_recorded(catalog, i)}
    changed = [change for record in records.values() for change in consistency.changed_parameters(record, parameters)]
    if changed:
        words = f"made with {consistency.describe(list(dict.fromkeys(changed)), 'before')}"
        return State(is_complete=False, found=words, pipelines=("__default__",))
    if not standing.has_baseline:
        return State(is_complete=False, found="not begun", pipelines=("__default__",))
    left = tuple(f"iteration_{i}" for i in range(1, standing.iterations + 1) if i not in standing.complete)
    reported = catalog.exists("results") and len(catalog.load("results")) == standing.iterations + 1
    words = f"{len(standing.complete)} of {standing.iterations} iterations" if left or not reported else "complete"
    return State(not left and reported, words, (*left, "compare"))


def read_results(tasks: Sequence[Task]) -> tuple[list[Made], dict[str, str], Shared]:
    """Return the experiments that are complete, what the others lack, and what those that are have in common."""
    made: list[Made] = []
    missing: dict[str, str] = {}
    sizes: list[tuple[FileKey, int]] = []
    for task in tasks:
        try:
            runtime = _runtime(task)
        except StudyError as error:  # it borrows a policy that is not there
            missing[task.name] = error.message
            continue
        with opened(task.env, None, runtime) as (catalog, parameters, _):
            state = _state(catalog, parameters)
            if not state.is_complete:
                missing[task.name] = state.found
                continue
            iterations = range(parameters.em.iterations + 1)
            records = {i: catalog.load(f"record_{i}") for i in iterations}
            evaluations = {i: catalog.load(f"evaluation_{i}") for i in iterations}
            made.append(Made(task.name, task.differences, records, evaluations))
            sizes += _sizes(catalog, parameters)
    policies = [record["policy"] for entry in made for i, record in entry.records.items() if i]
    shared = Shared(
        n_samples=sum(n for _, n in sizes),
        n_drawn=sum(dict(sizes).values()),
        n_policies=len(policies),
        n_trained=len(set(policies)),
    )
    return made, missing, shared


def _run(task: Task, pipelines: Sequence[str], project: Path) -> None:
    from kedro.framework.session import KedroSession
    from kedro.runner import SequentialRunner

    bootstrap(project)
    created: Any = KedroSession.create(project_path=project, env=task.env, runtime_params=_runtime(task))
    with created as session:
        session.run(pipeline_names=list(pipelines), runner=SequentialRunner())


def _runtime(task: Task) -> dict[str, Any]:
    """Return an experiment's --params, with the folders of the policies that it borrows."""
    borrowed = {path: _last_policy(lender) for path, lender in task.borrows.items()}
    return merged(task.runtime, _nested(borrowed))


def _last_policy(lender: Task) -> str:
    with opened(lender.env, None, _runtime(lender)) as (catalog, parameters, _):
        if not _state(catalog, parameters).is_complete:
            raise StudyError(f"it needs the last policy of {lender.name}, which is not complete")
        return str(catalog.load(f"policy_{parameters.em.iterations}").path)


def _configuration(project: Path, env: str | None, runtime: Mapping[str, Any]) -> dict[str, Any]:
    from kedro.config import MissingConfigException
    from kedro.framework.project import settings

    arguments: dict[str, Any] = dict(settings.CONFIG_LOADER_ARGS)
    loader = settings.CONFIG_LOADER_CLASS(str(project / "conf"), env=env, runtime_params=dict(runtime), **arguments)
    try:
        return dict(loader["parameters"])
    except MissingConfigException as error:
        raise StudyError(f"there is no environment {env!r}: {error}") from error


def _let_the_hub_be_asked(tasks: Sequence[Task]) -> None:
    """Say so before the first experiment, whose libraries read it once, if any of them has something on the hub."""
    from restem.configuration.hub import asks_the_hub

    if any(asks_the_hub(task.parameters) for task in tasks):
        for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
            os.environ.setdefault(variable, "0")


def _journaled(task: Task) -> frozenset[FileKey]:
    with opened(task.env, None, task.runtime) as (catalog, _parameters, _):
        return file_keys(catalog.load("journal").root.glob("*/*.parquet"))


def _sample_files(task: Task) -> list[tuple[FileKey, int]]:
    with opened(task.env, None, _runtime(task)) as (catalog, parameters, _):
        return _sizes(catalog, parameters)


def _sizes(catalog: Catalog, parameters: Parameters) -> list[tuple[FileKey, int]]:
    """Return the number of samples in every file of an experiment's tables of samples."""
    names = [f"iteration_{i}.{table}" for i in range(parameters.em.iterations + 1) for table in _SAMPLES]
    files = [file for name in names if catalog.exists(name) for file in catalog.load(name).files]
    return [(next(iter(file_keys([file]))), len(ShardedTable([file]))) for file in files]


def _nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"policy.teacher": x} as {"policy": {"teacher": x}}."""
    result: dict[str, Any] = {}
    for path, value in dotted.items():
        for key in reversed(path.split(".")):
            value = {key: value}  # noqa: PLW2901 - wrapped once per level
        result = merged(result, value)
    return result


def _described(difference: Difference) -> str:
    environment: dict[str, Any] = {"env": difference.env} if difference.env else {}
    shown = environment | flat(difference.parameters)
    shown |= {path: f"last policy of {lender}" for path, lender in difference.borrows.items()}
    return ", ".join(f"{name}={value}" for name, value in shown.items())


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]} ..."
