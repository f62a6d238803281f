"""What is to be run and is not there is refused in a sentence, before anything runs."""

import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
from kedro.framework.project import configure_project
from kedro.pipeline import Pipeline

from restem import suggestions
from restem.cli import run
from restem.errors import ExperimentError, RestemError, SelectionError
from restem.pipeline_registry import register_pipelines
from restem.session import refuse_unknown
from tests.conftest import Project


@pytest.fixture(scope="module")
def registered() -> dict[str, Pipeline]:
    return register_pipelines()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"pipeline_names": ["preparee"]}, "--pipelines=preparee: there is no such pipeline; did you mean prepare"),
        ({"pipeline_name": "xyz"}, "--pipelines=xyz: there is no such pipeline; there are prepare, baseline, "),
        ({"tags": ["nosuch"]}, "--tags=nosuch: no node has this tag; there are compare, evaluation, "),
        ({"tags": ("sampling", "nosuch")}, "--tags=nosuch: no node has this tag; "),
        (
            {"pipeline_names": ["prepare"], "tags": ["training"]},
            "--tags=training: no node has this tag in --pipelines=prepare; one of --pipelines=iteration_1, ",
        ),
        ({"node_names": ["nosuch"]}, "--nodes=nosuch: there is no such node; there are "),
        ({"node_names": ["train"]}, "did you mean iteration_1.train_policy or iteration_2.train_policy?"),
        ({"from_nodes": ["draw_sampels"]}, "did you mean iteration_1.draw_samples or iteration_2.draw_samples?"),
        ({"to_nodes": ["draw_samples"]}, "did you mean iteration_1.draw_samples or iteration_2.draw_samples?"),
        ({"from_inputs": ["questons"]}, "--from-inputs=questons: no node reads this dataset; did you mean questions"),
        ({"to_outputs": ["nosuch"]}, "--to-outputs=nosuch: no node makes this dataset; there are "),
        ({"to_outputs": ["journal"]}, "--to-outputs=journal: no node makes this dataset; "),
        ({"namespaces": ["iteration_9"]}, "--namespaces=iteration_9: no node is in this namespace; did you mean "),
        (
            {"namespaces": ["iteration_1"], "tags": ["report"]},
            "there is nothing to run: no node is in all of --tags=report and --namespaces=iteration_1",
        ),
        ({"load_versions": {"nosuch": "v"}}, "--load-versions=nosuch: no node reads or makes this dataset; "),
    ],
)
def test_what_is_not_there_is_named_with_what_there_is(
    registered: dict[str, Pipeline], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(SelectionError, match=re.escape(message)):
        refuse_unknown(asked, registered)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"pipeline_names": ["iteration_2", "prepare"], "tags": ["sampling", "prepare"]},
        {"node_names": ["iteration_1.train_policy"]},
        {"from_nodes": ["iteration_1.draw_samples"], "to_nodes": ["iteration_1.train_policy"]},
        {"from_inputs": ["policy_1"], "to_outputs": ["report_html"]},
        {"namespaces": ["iteration_1"]},
        {"pipeline_names": ["baseline"], "load_versions": {"questions": "v"}},
    ],
    ids=str,
)
def test_what_is_there_is_not_refused(registered: dict[str, Pipeline], asked: dict[str, Any]) -> None:
    refuse_unknown(asked, registered)


@pytest.fixture
def typed(project: Project) -> Iterator[Any]:
    """A function that types `kedro run` with these arguments."""
    before = suggestions.asked()
    configure_project("restem")

    def type_(*words: str) -> None:
        run.main(["--env", "tiny", *words], standalone_mode=False)

    yield type_
    suggestions.use(before)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tags=nosuch"], "--tags=nosuch: no node has this tag"),
        (["--runner=ThreadRunner"], "--runner=ThreadRunner: the nodes of an experiment are run one after the other"),
        (["--runner=ParallelRunner"], "--runner=ParallelRunner: the nodes of an experiment are run one after"),
        (["--runner=NoSuch"], "--runner=NoSuch: there is no such runner (module 'kedro.runner' has no attribute"),
        (["--runner=no_such.Runner"], "--runner=no_such.Runner: there is no such runner (No module named 'no_such')"),
        (["--runner=os.path"], "--runner=os.path is no runner"),
        (["--runner-params=foo=1"], "--runner-params=foo: SequentialRunner has no such option; it has is_async"),
        (["--load-versions=questions"], "Expected the form of 'load_versions' to be"),
        (["--pipeline=prepare", "--pipelines=prepare"], "'--pipelines' cannot be used together"),
        (["--params=evaluation.k"], "--params is NAME=VALUE,NAME=VALUE, and 'evaluation.k' is none"),
        (["--params=evaluation.k=[1,2"], "'evaluation.k=[1,2' cannot be read"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_in_a_sentence(typed: Any, words: list[str], message: str) -> None:
    with pytest.raises(RestemError, match=re.escape(message)):
        typed(*words)


def test_the_session_refuses_other_runners_too(project: Project) -> None:
    from kedro.framework.startup import bootstrap_project
    from kedro.runner import ThreadRunner

    from restem.session import ExperimentSession

    bootstrap_project(project.folder)
    created: Any = ExperimentSession.create(project_path=project.folder, env="tiny")
    with created as session, pytest.raises(SelectionError, match="--runner=ThreadRunner"):
        session.run(runner=ThreadRunner())


def test_a_part_whose_inputs_are_not_made_yet_is_refused_and_can_be_asked_for_again(
    typed: Any, project: Project
) -> None:
    message = "has no policy_0, prompts, questions, .* yet, which this run reads; run this first: .*=prepare --env tiny"
    with pytest.raises(ExperimentError, match=message):
        typed("--pipelines=iteration_1", "--tags=sampling", "--only-missing-outputs")

    assert not list(project.folder.glob("data/*/tiny/*"))
    words = suggestions.same_run({}).split()
    assert {"--pipelines=iteration_1", "--tags=sampling", "--only-missing-outputs"} <= set(words)


def test_every_option_of_kedros_run_is_one_of_ours() -> None:
    from kedro.framework.cli.project import run as kedro_run

    assert [option.name for option in run.params] == [option.name for option in kedro_run.params]
    assert isinstance(run, click.Command) and run.help == kedro_run.help
