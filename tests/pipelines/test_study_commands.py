"""A study of one's own on the tiny preset, by the commands that a user types."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.studies.runs import State, Task, experiments_of, state_of
from restem.studies.study import read_study
from tests.conftest import Project

pytestmark = pytest.mark.slow

OWN = """
title: A teacher, or none
question: Does it help to learn from a policy that has learned?
parameters: # as small as it gets
  em: {iterations: 1}
  questions: {n_train: 16, n_validation: 4, n_test: 8}
  training: {epochs: 1, eval_every: null}
experiments:
  ten: {}
  humans: # there are not so many
    questions: {n_train: 5000}
  taught:
    method: distill
    policy: {teacher: {policy_of: ten}}
    training: {learning_rate: 1.0e-3}
  taught_by_humans:
    method: distill
    policy: {teacher: {policy_of: humans}}
against: ten
sections: [pass_at_k, gap, difficulty]
caveat: Nothing learned here means anything.
"""


class Ran(NamedTuple):
    """A project in which the study ran twice and was reported on."""

    project: Project
    first: Result
    second: Result
    report: Result


def command(*arguments: str) -> Result:
    return CliRunner().invoke(restem, ["study", *arguments])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    project = Project(tmp_path_factory.mktemp("studies"))
    (project.folder / "own.yml").write_text(OWN)
    before = Path.cwd()
    os.chdir(project.folder)
    try:
        first, second = (
            command("run", "own.yml", "--env", "tiny", "--params=tracking.enabled=false") for _ in range(2)
        )
        yield Ran(project, first, second, command("report", "own.yml", "--env", "tiny", "--output", "pages"))
    finally:
        os.chdir(before)


def page(ran: Ran, name: str = "own.md") -> str:
    return (ran.project.folder / "pages" / name).read_text()


def test_experiment_that_fails_is_named_and_does_not_stop_the_others(ran: Ran) -> None:
    assert ran.first.exit_code == 1
    assert "2 of 4 experiments failed: humans: questions.options.tasks.chain_sum: " in ran.first.output
    assert "taught_by_humans: it needs the last policy of humans, which is not complete" in ran.first.output
    said = (
        "[3/4] tiny.own.taught: not begun; method=distill, training.learning_rate=0.001, policy.teacher=last policy of"
    )
    assert said in ran.first.output


def test_what_is_complete_is_not_run_again(ran: Ran) -> None:
    for line in ("[1/4] tiny.own.ten: complete", "[3/4] tiny.own.taught: complete"):
        assert line in ran.second.output
    assert len(list((ran.project.folder / "data/08_reporting/tiny.own.ten/report.md").iterdir())) == 1


def test_samples_that_experiments_share_are_drawn_once(ran: Ran) -> None:
    ten, taught = (ran.project.catalog(experiment=f"tiny.own.{name}") for name in ("ten", "taught"))
    of_base = [catalog.load("iteration_0.evaluation_samples") for catalog in (ten, taught)]

    assert [file.stat().st_ino for file in of_base[0].files] == [file.stat().st_ino for file in of_base[1].files]
    assert set(taught.load("iteration_1.samples")["policy_id"]) == {ten.load("policy_1").fingerprint}
    names = ("iteration_1.samples", "iteration_0.evaluation_samples", "iteration_1.evaluation_samples")
    held = sum(len(catalog.load(name)) for catalog in (ten, taught) for name in names)
    shared = len(of_base[0])
    assert (
        f"The experiments hold {held:,} samples, of which {held - shared:,} were drawn and {shared:,} shared"
        in page(ran)
    )


def test_page_compares_with_the_reference_and_says_what_is_missing(ran: Ran) -> None:
    assert ran.report.exit_code == 0, ran.report.output
    text = page(ran)

    assert text.index("Does it help to learn from a policy") < text.index(
        "Sampled pass@1 on test against ten, over the same 8 questions"
    )
    for answer in (
        "With 4 tries, the change of pass@4 on test: taught",
        "Change of the greedy score on test by difficulty",
    ):
        assert text.index(answer) < text.index("## Experiments")
    assert re.search(r"on training questions less that on test questions: base policy [+-].*; taught [+-]", text)
    assert "| taught against ten | " in text
    assert "Missing, so not on this page: humans: not begun; taught_by_humans: it needs" in text
    for section in ("## pass@k", "## Train against test", "## By difficulty", "## What this shows, and what not"):
        assert section in text
    assert "Nothing learned here means anything." in text
    assert page(ran, "own.html").count("<svg") == 2


def test_page_is_in_the_catalog_under_the_name_of_the_study(ran: Ran) -> None:
    assert ran.project.catalog(experiment="tiny.own").load("study_markdown") == page(ran)


def test_one_mlflow_experiment_holds_the_study(ran: Ran) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{ran.project.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("own")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])

    assert run.data.tags["restem.kind"] == "study"
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"study.md", "study.html"}
    assert {task.parameters.tracking.mlflow_experiment for task in tasks(ran.project)} == {"own"}


def tasks(project: Project, **params: Any) -> list[Task]:
    asked = read_study("own.yml", project.folder / "conf" / "studies")
    return experiments_of(asked, project=project.folder, env="tiny", params=params)


def state(project: Project, **params: Any) -> State:
    return state_of(tasks(project, **params)[0])


def test_what_is_complete_follows_from_the_records_and_what_is_asked(ran: Ran) -> None:
    assert state(ran.project) == (True, "complete", ("compare",))
    assert state(ran.project, em={"iterations": 2}) == (False, "1 of 2 iterations", ("iteration_2", "compare"))
    assert state(ran.project, sampling={"n": 8}) == (False, "made with sampling.n=64", ("__default__",))
    assert state(ran.project, experiment="other") == (False, "not begun", ("__default__",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "owm"], "there is no study 'owm'; known are dataset_size, "),
        (["run", "own.yml", "--env", "tinny"], "there is no environment 'tinny'"),
        (["run", "own.yml", "--env", "tiny", "--params=sampling.m=3"], "sampling.m is not a parameter"),
        (["run", "own.yml", "--env", "tiny", "--params=method=magic"], "method must be one of adaptive, "),
        (["run", "general_capability", "--env", "tiny"], "compares transfer suites, and questions.transfer names none"),
        (["report", "own.yml", "--env", "tiny", "--params=experiment=x"], "has no complete experiment; first: restem"),
    ],
)
def test_bad_input_stops_before_anything_runs(ran: Ran, arguments: list[str], message: str) -> None:
    result = command(*arguments)

    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("experiments", "message"),
    [
        ("{a: {method: magic}}", "study 'bad': experiments.a: method must be one of adaptive, "),
        ("{a: {sampling: {m: 3}}}", "study 'bad': experiments.a: sampling.m is not a parameter"),
        ("{a: {}, b: {method: rest_em}}", "the experiments a and b have the same parameters"),
        ("{a: {method: star, sampling: {n: 4}}}", "experiments.a: sampling.n must be 1 when sampling.temperature is 0"),
    ],
)
def test_bad_experiment_stops_before_anything_runs(ran: Ran, experiments: str, message: str) -> None:
    (ran.project.folder / "bad.yml").write_text(f"title: t\nquestion: q\nexperiments: {experiments}\n")

    result = command("run", "bad.yml", "--env", "tiny")

    assert result.exit_code == 1
    assert message in result.output
