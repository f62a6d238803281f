"""The batch scripts of deploy/slurm, as far as can be said without a Slurm: read, and run by a stand-in for it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from restem.configuration.check import check_parameters
from restem.configuration.command_line import read_params
from restem.configuration.resolve import merged
from restem.errors import StudyError
from restem.studies.runs import Task, only_task
from tests import standin_slurm
from tests.builders import checked
from tests.conftest import ROOT, Project

SCRIPTS = sorted((ROOT / "deploy" / "slurm").glob("*.sbatch"))
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
# What stands in for kedro and restem: it says what it was asked for, and ends as told the first time.
ASKED = """#!/bin/sh
echo "$(basename "$0") $*" >> "$SLURM_SUBMIT_DIR/asked"
[ "$SLURM_RESTART_COUNT" = 0 ] && exit "${STATUS:-0}"
exit 0
"""


@pytest.fixture
def submitted(tmp_path: Path) -> Any:
    """Submit a script in an empty folder, where the commands that it runs only say what they were asked for."""
    standin_slurm.install(tmp_path / "bin")
    (tmp_path / "logs").mkdir()
    for name in ("kedro", "restem", "ray"):
        (tmp_path / "bin" / name).write_text(ASKED)
        (tmp_path / "bin" / name).chmod(0o755)

    def submit(*arguments: str, **environment: str) -> tuple[int, list[str], list[str]]:
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        ran = subprocess.run(
            ["sbatch", *arguments], cwd=tmp_path, env={**os.environ, "PATH": path, **environment}, check=False
        )
        lists = [(tmp_path / name) for name in ("asked", "requeues")]
        return (ran.returncode, *(file.read_text().splitlines() if file.exists() else [] for file in lists))

    return submit


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_shellcheck_finds_nothing(script: Path) -> None:
    said = subprocess.run([SHELLCHECK, script], capture_output=True, text=True, check=False)

    assert said.stdout == ""


def test_there_are_three_and_each_is_told_to_end_in_time_and_put_back() -> None:
    assert [script.stem for script in SCRIPTS] == ["array", "job", "ray"]
    for script in SCRIPTS:
        lines = script.read_text().splitlines()
        assert {"#SBATCH --signal=TERM@120", "#SBATCH --requeue", "#SBATCH --open-mode=append"} <= {*lines}


@pytest.mark.parametrize(("status", "n_runs", "ended"), [("0", 1, 0), ("1", 1, 1), ("75", 1, 75), ("143", 2, 0)])
def test_a_job_goes_back_into_the_queue_only_when_it_was_told_to_end(
    submitted: Any, status: str, n_runs: int, ended: int
) -> None:
    code, asked, requeued = submitted(str(SCRIPTS[1]), "--env", "tiny", "--params=a=1,b=[1, 2]", STATUS=status)

    assert asked == ["kedro run --env tiny --params=a=1,b=[1, 2]"] * n_runs
    assert (code, requeued) == (ended, ["77"] * (n_runs - 1))


def test_a_task_of_the_array_is_one_experiment_of_the_study(submitted: Any) -> None:
    _, asked, _ = submitted("--array=1-3", str(SCRIPTS[0]), "methods", "--env", "small")

    assert asked == [f"restem study run methods --only {number} --env small" for number in (1, 2, 3)]


def test_a_task_puts_itself_back_and_not_the_whole_array(submitted: Any) -> None:
    _, asked, requeued = submitted("--array=2", str(SCRIPTS[0]), "methods", STATUS="143")

    assert (len(asked), requeued) == (2, ["77_2"])


@pytest.mark.parametrize(
    ("gpus", "expected"),
    [
        ({}, {"workers": 2, "cpus": 8.0, "gpus": 0.0, "processes": 2}),
        ({"SLURM_GPUS_ON_NODE": "4"}, {"workers": 8, "cpus": 2.0, "gpus": 1.0, "processes": 8}),
    ],
)
def test_the_ray_job_has_a_worker_for_each_gpu_or_node(
    submitted: Any, gpus: dict[str, str], expected: dict[str, float]
) -> None:
    given = ["--nodes=2", "--cpus-per-task=8", str(SCRIPTS[2]), "--env", "tiny", "--params=em.iterations=1"]
    code, asked, _ = submitted(*given, **gpus)
    (run,) = [line for line in asked if line.startswith("kedro")]
    params = read_params(re.search(r"--params=(\S+)", run)[1])  # type: ignore[index] # it is there
    base = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text()) | {"experiment": "e"}
    launched = {"training": {"launcher_config": str(ROOT / "conf/accelerate/ddp.yaml"), "batch_size": 64}}
    found = check_parameters(merged(merged(base, launched), params))

    assert code == 0
    assert found.em.iterations == 1
    scale = found.scale
    assert scale.address == f"127.0.0.1:{20_000 + 77}"
    assert (scale.sampling.workers, scale.sampling.cpus, scale.sampling.gpus) == (
        expected["workers"], expected["cpus"], expected["gpus"],
    )  # fmt: skip
    assert (found.training.processes, found.training.machines) == (expected["processes"], 2)
    assert run.startswith("kedro run --env tiny ")


def test_an_experiment_of_a_study_is_named_by_its_name_or_its_number() -> None:
    tasks = [Task(name, None, {}, {}, checked(), "") for name in ("rest_em", "2b", "star")]

    assert [only_task(tasks, wanted).name for wanted in ("1", "2b", "3", "star")] == ["rest_em", "2b", "star", "star"]
    for wanted in ("0", "4", "", "rest", "-1", "1.0"):
        with pytest.raises(StudyError, match=r"--only=.*it has 1: rest_em, 2: 2b, 3: star$"):
            only_task(tasks, wanted)


@pytest.mark.long
def test_a_job_that_is_told_to_end_goes_on_to_the_same_tables(project: Project, finished: Project) -> None:
    standin_slurm.install(project.folder / "bin")
    (project.folder / "logs").mkdir()
    path = f"{project.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "src")}
    given = ["sbatch", str(SCRIPTS[1]), "--env", "tiny", "--params=tracking.enabled=false"]
    job = subprocess.Popen(given, cwd=project.folder, env=environment)
    while not list(project.folder.glob("data/02_intermediate/journal/samples-*/[0-9]*.parquet")):
        assert job.poll() is None
    (project.folder / "end-steps").touch()
    assert job.wait() == 0

    log = (project.folder / "logs" / "slurm-77.out").read_text()
    assert "Ended by SIGTERM. What was finished is kept" in log
    assert "goes back into the queue" in log
    catalogs = project.catalog(), finished.catalog()
    for name in ("iteration_1.scored_samples", "iteration_2.scored_samples"):
        first, second = (catalog.load(name).fingerprints() for catalog in catalogs)
        assert first == second
