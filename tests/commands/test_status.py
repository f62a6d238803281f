"""What commands say about experiments, and what runs refuse to do to finished ones."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.errors import ExperimentError, ParameterError
from tests.conftest import Project


def command(*arguments: str) -> Result:
    return CliRunner().invoke(restem, [*arguments])


@pytest.mark.parametrize(
    ("pipelines", "changed"),
    [
        ([], {"em__seed": 77}),
        (["iteration_2"], {"sampling__n": 3}),
        (["em_iteration"], {"em__seed": 77}),
        (["baseline"], {"evaluation__n": 2, "evaluation__k": [1]}),
        (["prepare"], {"questions__n_train": 8}),
    ],
)
def test_no_run_with_other_parameters_supersedes_a_finished_experiment(
    copied: Project, pipelines: list[str], changed: dict[str, Any]
) -> None:
    def versions() -> set[Path]:
        return {path for path in copied.folder.glob("data/0*/tiny/**/*") if path.is_file()}

    before = versions()

    with pytest.raises(ExperimentError, match=r"do not belong to one experiment.*experiment=NAME"):
        copied.run(*pipelines, **changed)

    assert versions() == before


def test_status_names_the_parameters_that_an_experiment_was_made_with_and_another_name(copied: Project) -> None:
    told = command("status", "--env", "tiny", "--params=em.seed=77").output

    assert "iteration 2: complete, made with em.seed=0 where em.seed=77 is asked for" in told
    assert "kedro run --env tiny --params=em.seed=77,experiment=NAME" in told


def test_status_of_a_complete_experiment_says_where_its_report_is(copied: Project) -> None:
    *_, last = command("status", "--env", "tiny").output.splitlines()

    assert last.startswith("next: ")
    assert last.endswith("restem report --open --env tiny")


@pytest.mark.parametrize("group", [[], ["study"], ["journal"]])
def test_what_a_command_is_for_fits_its_line_of_the_list(group: list[str]) -> None:
    listed = command(*group, "--help").output.partition("Commands:")[2]

    assert "  list " in listed
    assert "..." not in listed


def test_an_empty_journal_is_said_to_be(project: Project) -> None:
    assert command("journal", "list", "--env", "tiny").output.startswith("the journal is empty")


def test_what_an_iteration_lacks_is_said_in_words(project: Project) -> None:
    assert "'tiny' has no scored samples of iteration 1 yet" in command("inspect", "--env", "tiny").output


def test_an_environment_of_ones_own_has_an_experiment_of_its_own(project: Project) -> None:
    (project.folder / "conf/mine").mkdir()
    (project.folder / "conf/mine/parameters.yml").write_text("questions: {n_train: 8}\n")

    assert command("status", "--env", "mine").output.startswith("experiment mine:")
    assert command("status").output.startswith("experiment default:")
    (project.folder / "conf/mine/globals.yml").write_text("experiment: named\n")
    assert command("status", "--env", "mine").output.startswith("experiment named:")


def test_a_folder_without_a_configuration_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    for arguments in (["status"], ["run"], ["run", "--pipelines=prepare"]):
        result = command(*arguments)
        assert isinstance(result.exception, SystemExit), result.exception
        assert "change to the folder that holds conf/" in result.output.lower()


def test_a_name_of_an_experiment_where_it_names_no_folder_is_refused(project: Project) -> None:
    (project.folder / "conf/mine").mkdir()
    (project.folder / "conf/mine/parameters.yml").write_text("experiment: named\n")

    with pytest.raises(ParameterError, match=r"name it in globals\.yml"):
        project.catalog(env="mine")


def test_what_was_never_measured_is_not_logged(project: Project) -> None:
    (project.folder / "mlflow.db").unlink()

    result = command("mlflow-sync", "--env", "tiny", "--experiment", "nosuch")

    assert result.exit_code == 1
    assert "experiment 'nosuch' has no iteration that could be logged" in result.output
    assert not (project.folder / "mlflow.db").exists()


def test_an_experiment_is_not_compared_with_itself() -> None:
    result = command("compare", "tiny", "--env", "tiny", "--against", "tiny")

    assert result.exit_code == 1
    assert "tiny cannot be compared with itself" in result.output


def test_samples_without_an_answer_are_shown_without_one(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    result = command("inspect", "--env", "tiny", "--accepted", "5", "--rejected", "40")

    assert result.exit_code == 0, result.output
    assert "nan" not in result.output


@pytest.mark.parametrize(
    "arguments", [["audit"], ["audit", "--reward", "exact"], ["inspect"], ["trace", "x"], ["plan", "--no-measure"]]
)
def test_a_command_before_anything_was_prepared_names_what_to_run_first(project: Project, arguments: list[str]) -> None:
    result = command(*arguments, "--env", "tiny", "--experiment", "other")

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "kedro run --pipelines=prepare --env tiny --params=experiment=other" in result.output


@pytest.mark.parametrize("arguments", [["status"], ["journal"], ["journal", "list"], ["plan"]])
def test_an_environment_that_is_not_there_is_named_with_those_that_are(project: Project, arguments: list[str]) -> None:
    result = command(*arguments, "--env", "nosuch")

    assert isinstance(result.exception, SystemExit)
    assert "there is no environment 'nosuch'" in result.output
    assert "apps, gsm8k" in result.output


def test_journal_takes_the_environment_after_the_name_of_its_command_too(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)

    before, after = command("journal", "--env", "tiny", "list"), command("journal", "list", "--env", "tiny")

    assert before.output == after.output
    assert "needed by tiny" in after.output


def test_audit_without_a_reward_looks_at_those_of_the_experiment(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)

    result = command("audit", "--env", "tiny", "--samples", "2", "--questions", "2")

    assert "known cases that failed: 0 of" in result.output


def test_ctrl_c_while_a_reward_starts_leaves_no_traceback(tmp_path: Path) -> None:
    code = (
        "import _thread, threading\nfrom restem.rewards import load_reward\n"
        "reward = load_reward('math')\nthreading.Timer(0.15, _thread.interrupt_main).start()\n"
        "try:\n    reward.score([{'gold': {'answer': '1'}}], ['1'])\n    import time; time.sleep(1)\n"
        "except KeyboardInterrupt:\n    print('stopped')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.stderr) == ("stopped", "")
