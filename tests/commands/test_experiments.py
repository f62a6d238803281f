"""Experiments as wholes: shown, deleted, reported; and what a run says about itself."""

import io
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.errors import EmptyTrainingSetError, ExperimentError
from restem.screen import screen
from restem.store.journal import Journal, state_file
from tests.conftest import Project


def command(*arguments: str) -> Result:
    return CliRunner().invoke(restem, [*arguments, "--env", "tiny"])


def test_list_shows_iterations_pass_at_1_and_size(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    number = finished.catalog().load("record_2")["metrics"]["test/pass_at_1"]

    (line,) = [line for line in command("list").output.splitlines() if line.split()[0] == "tiny"]

    assert line.split()[1] == "2"
    assert f"{number['value']:.3f} [{number['low']:.3f}, {number['high']:.3f}] on test" in line


def test_list_of_an_empty_project_says_how_to_begin(project: Project) -> None:
    assert "kedro run --pipelines=prepare --env tiny" in command("list").output


def test_delete_shows_first_and_then_leaves_nothing_but_what_others_need(copied: Project) -> None:
    data = copied.folder / "data"
    for layer in ("03_primary", "07_model_output", "08_reporting"):  # another one, which was made from the same work
        shutil.copytree(data / layer / "tiny", data / layer / "other", copy_function=os.link)
    needed = {use for use in data.glob("02_intermediate/journal/samples-*")}

    shown = command("delete", "tiny")
    still_there = (data / "06_models/tiny").is_dir()
    done = command("delete", "tiny", "--yes")

    assert "nothing is deleted yet" in shown.output
    assert still_there
    assert done.exit_code == 0, done.output
    assert list(data.glob("*/tiny")) == list(data.glob("02_intermediate/journal/.tiny.live")) == []
    assert needed <= set(data.glob("02_intermediate/journal/samples-*"))
    assert list(data.glob("02_intermediate/journal/policy-*")) == []
    assert (data / "06_models/base").is_dir()
    assert "there is no experiment 'tiny'; there are: other" in command("delete", "tiny").output


def test_an_experiment_that_another_one_begins_from_is_not_deleted(copied: Project) -> None:
    policy = copied.catalog().load("policy_1")
    folder = copied.folder / "data/06_models/tiny/iteration_1/mine"
    shutil.copytree(policy.path, folder)
    copied.run("prepare", experiment="next", policy__model=str(folder))

    result = command("delete", "tiny", "--yes")

    assert result.exit_code == 1
    assert "experiment 'next' needs" in result.output
    assert (copied.folder / "data/08_reporting/tiny").is_dir()


def test_an_experiment_that_runs_is_not_deleted(copied: Project) -> None:
    with copied.catalog().load("journal").lock("tiny"):
        result = command("delete", "tiny", "--yes")

    assert "is being run by process" in result.output
    assert (copied.folder / "data/08_reporting/tiny").is_dir()


def test_report_prints_the_newest_page_or_opens_it(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)

    printed, shown = command("report"), command("report", "--open")

    assert printed.output.startswith(finished.catalog().load("report_markdown"))
    assert shown.exit_code == 0
    assert Path(opened[0].removeprefix("file://")).read_text() == finished.catalog().load("report_html")


def test_report_of_what_never_ran_says_what_to_run(project: Project) -> None:
    assert "kedro run --env tiny" in command("report").output


def test_status_says_who_runs_an_experiment_and_how_far_that_is(copied: Project) -> None:
    journal: Journal = copied.catalog().load("journal")
    state = {"since": time.time() - 75, "step": "iteration 2: sampling", "state": "3 of 24 questions", "n_done": 30}
    state_file(journal.root, "tiny").write_text(json.dumps(state | {"n_nodes": 66}))

    with journal.lock("tiny"):
        running = command("status").output
    after = command("status").output

    assert f"running: process {os.getpid()} on " in running
    assert "iteration 2: sampling, 3 of 24 questions (30 of 66 nodes are done)" in running
    assert "running" not in after


def test_parameters_of_a_run_are_those_of_a_command(copied: Project) -> None:
    for asked in (["status"], ["plan", "--no-measure"], ["inspect"]):
        result = command(*asked, "--params=em.iterations=5")
        assert result.exit_code == 0, result.output
    assert "iteration 5: to do" in command("status", "--params=em.iterations=5").output


def test_nodes_are_tagged_by_step_and_iteration(finished: Project) -> None:
    from kedro.framework.project import pipelines

    finished.catalog()
    whole = pipelines["__default__"]

    trained = {node.name for node in whole.only_nodes_with_tags("training").nodes}
    assert trained >= {"iteration_1.train_policy", "iteration_2.train_policy"}
    assert {node.namespace for node in whole.only_nodes_with_tags("iteration_2").nodes} == {"iteration_2"}
    assert all(node.tags for node in whole.nodes)


def test_a_run_says_a_line_per_step_and_ends_with_the_verdict_the_page_and_the_next_command(
    copied: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    copied.run()

    lines = capsys.readouterr().out.splitlines()
    number = copied.catalog().load("record_2")["metrics"]["test/pass_at_1"]
    assert len(lines) < 35
    assert any(line.split()[0] == "evaluation" and f"pass@1 {number['value']:.3f}" in line for line in lines)
    assert any("samples in the journal, not drawn again" in line for line in lines)
    assert any("in the journal, not trained again" in line for line in lines)
    for beginning in (
        "verdict: iteration 2 against the base",
        "best policy: policy_",
        "report: data/08_reporting",
    ):
        assert any(line.startswith(beginning) for line in lines), beginning
    assert lines[-1].startswith("next: restem report --open --env tiny") or "/restem report --open" in lines[-1]
    log = (copied.folder / "logs/tiny.log").read_text()
    assert log.count("Completed node: ") == 68
    assert not state_file(copied.catalog().load("journal").root, "tiny").exists()


def test_the_log_is_on_the_screen_if_it_is_asked_for(copied: Project) -> None:
    shown = io.StringIO()
    other = logging.StreamHandler(shown)
    other.setLevel(logging.WARNING)
    logging.getLogger().addHandler(other)
    try:
        copied.run("compare", display__log="screen")
    finally:
        logging.getLogger().removeHandler(other)

    assert "Completed node: " in shown.getvalue()
    assert other.level == logging.WARNING  # as it was before the run


def test_progress_is_kept_for_others_to_see(tmp_path: Path) -> None:
    file = tmp_path / "state"
    screen.open(file)
    try:
        screen.begin("iteration 1: sampling", doing="draw samples", n_done=3, n_nodes=9)
        begun = json.loads(file.read_text())
        assert (begun["step"], begun["state"]) == ("iteration 1: sampling", "draw samples")
        screen._last_state -= 10
        screen.live("sampling", "5 of 8 questions")
        assert json.loads(file.read_text())["state"] == "5 of 8 questions"
    finally:
        screen.close()
    assert not file.exists()


def test_what_was_measured_before_a_run_stopped_is_in_mlflow(project: Project) -> None:
    import mlflow

    with pytest.raises(EmptyTrainingSetError):
        project.run(track=True, sampling__n=1, sampling__temperature=0)

    client = mlflow.MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'restem'")
    runs = client.search_runs([experiment.experiment_id])
    status = {run.data.tags.get("restem.iteration"): run.info.status for run in runs}
    assert status == {None: "FAILED", "0": "FINISHED", "1": "FAILED"}


def test_commands_work_where_there_is_a_conf_and_no_project(copied: Project) -> None:
    (copied.folder / "pyproject.toml").unlink()
    code = "import sys; from restem.__main__ import restem; restem(prog_name='restem')"

    done = subprocess.run(
        [sys.executable, "-c", code, "status", "--env", "tiny", "--params=em.iterations=3"],
        capture_output=True,
        text=True,
        check=False,
        cwd=copied.folder,
    )

    assert "iteration 2: complete" in done.stdout, done.stderr
    assert "restem run --pipelines=em_iteration --env tiny --params=em.iterations=3" in done.stdout
    assert done.stderr == ""


def test_an_archive_of_the_configuration_is_taken(copied: Project) -> None:
    archive = shutil.make_archive(str(copied.folder / "conf"), "gztar", copied.folder, "conf")
    shutil.rmtree(copied.folder / "conf")

    result = command("status", "--conf-source", archive)

    assert result.exit_code == 0, result.output
    assert "iteration 2: complete" in result.output


def test_a_run_that_stops_says_how_to_go_on(copied: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExperimentError):
        copied.run("em_iteration")
    assert not any("stopped" in line for line in capsys.readouterr().out.splitlines())  # it never began
