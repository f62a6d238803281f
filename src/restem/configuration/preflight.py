"""What the parameters name, looked at before a run: files, functions, engines and rewards.

Checking the parameters themselves (`check_parameters`) looks at none of these, so that records stay readable where
files have moved and packages are missing.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

from restem.engines import check_engine
from restem.errors import ParameterError, RestemError
from restem.parameters import Parameters, PromptParameters, QuestionsParameters
from restem.questions import OF_A_SUITE, check_options, check_source
from restem.rewards import load_reward
from restem.sampling.styles import check_style
from restem.training.launch import decides_weights


def refuse_unusable(parameters: Parameters) -> None:
    """Raise unless everything that the parameters name is there and takes what it will get.

    Raises:
        ParameterError: With all that is wrong.
        RestemError: Of its own kind, if it is one thing.
    """
    problems: list[RestemError] = []
    for look in _looks(parameters):
        try:
            look()
        except RestemError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ParameterError("; ".join(error.message for error in problems))


def _looks(parameters: Parameters) -> Iterator[Callable[[], object]]:
    yield partial(decides_weights, parameters.training, parameters.scale)
    yield partial(check_engine, parameters.sampling.engine, parameters.sampling.engine_options)
    yield from _sources(parameters.questions)
    yield from _styles(parameters.prompt)
    yield from _rewards(parameters)
    if parameters.tracking.enabled and parameters.tracking.system_metrics:
        yield _look_for_psutil


def _look_for_psutil() -> None:
    if find_spec("psutil") is None:
        raise ParameterError(
            "tracking.system_metrics=true asks for CPU and memory, which MLflow reads with psutil, and that is not "
            "installed: pip install psutil"
        )


def _sources(questions: QuestionsParameters) -> Iterator[Callable[[], object]]:
    yield partial(check_source, questions.source, parameter="questions.source")
    yield partial(check_options, questions.source, questions.options)
    for name, entry in questions.transfer.items():
        if entry is not None:
            path, source = f"questions.transfer.{name}", str(entry.get("source", name))
            options = {option: value for option, value in entry.items() if option not in OF_A_SUITE}
            yield partial(check_source, source, parameter=f"{path}.source")
            yield partial(check_options, source, options, parameter=path)


def _styles(prompt: PromptParameters) -> Iterator[Callable[[], object]]:
    yield partial(check_style, prompt.style, parameter="prompt.style")
    for suite, own in prompt.of_suite.items():
        yield partial(check_style, own.style, parameter=f"prompt.of_suite.{suite}.style")


def _rewards(parameters: Parameters) -> Iterator[Callable[[], object]]:
    """Yield looks at every reward that has options, and at those that judge by the parameters."""
    scoring, questions = parameters.scoring, parameters.questions
    of_suites = {
        f"questions.transfer.{name}.reward": str(entry["reward"])
        for name, entry in questions.transfer.items()
        if entry and entry.get("reward")
    }
    own = {"questions.reward": questions.reward, "questions.train_reward": questions.train_reward}
    judging = {**of_suites, **{path: name for path, name in own.items() if name}}
    for name in scoring.options:
        yield partial(_look_at_reward, name, parameters, f"scoring.options.{name}")
    for path, name in judging.items():
        if name not in scoring.options:
            yield partial(_look_at_reward, name, parameters, path)


def _look_at_reward(name: str, parameters: Parameters, path: str) -> None:
    options = parameters.scoring.options.get(name) or {}
    try:
        load_reward(name, timeout_s=parameters.scoring.timeout_s, workers=1, **options).close()
    except RestemError as error:
        raise ParameterError(f"{path}: {error.message}") from error
