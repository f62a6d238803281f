"""Whole runs that MLflow follows, with kills of the run and of the server in their middle."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests import forked
from tests.conftest import Project
from tests.tracking.served import Served, child_of, contents, history, runs_of, until
from tests.tracking.test_sync import client_of

pytestmark = pytest.mark.long

RUN = ("kedro", "run", "--env", "tiny")
LONG = (*RUN, "--params=training.epochs=400,training.eval_every=null")  # half a minute of training and more
SYNC = ("restem", "mlflow-sync", "--env", "tiny")
CLOCKED = ("live/", "system/")  # how far work is when it is looked at is the clock's


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served"))
    server.folder.joinpath("mlflow.db").write_bytes(empty_store.read_bytes())
    server.start()
    yield server
    server.kill()


def logged_afterwards(project: Project) -> Any:
    """Return what MLflow holds of the project's experiment where all of it is logged when it is over."""
    uri = f"sqlite:///{project.folder}/afterwards.db"
    done = forked.run(SYNC, project.folder, MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    return contents(MlflowClient(uri), without=CLOCKED)


def begun(client: Any, i: int, metric: str) -> Any:
    """Wait for an iteration's run that has a metric, and return the run."""
    return until(lambda: (run := child_of(client, i)) and metric in run.data.metrics and run, patience_s=300)


def test_a_run_killed_in_iteration_2_shows_iteration_1_whole_and_goes_on_in_the_same_run(
    project: Project, served: Served
) -> None:
    client = served.client()
    process = forked.start(LONG, project.folder, MLFLOW_TRACKING_URI=served.uri)
    second = begun(client, 2, "training_curve/loss")
    first = until(lambda: (run := child_of(client, 1)).info.status == "FINISHED" and run)
    os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()

    assert child_of(client, 2).info.status == "RUNNING"
    record = project.catalog().load("record_1")
    assert first.data.metrics["test/pass_at_1"] == record["metrics"]["test/pass_at_1"]["value"]
    curve = history(client, first, "training_curve/loss")
    assert forked.run(SYNC, project.folder, MLFLOW_TRACKING_URI=served.uri).returncode == 0
    assert [child_of(client, 2).info.status, runs_of(client, "experiment")[0].info.status] == ["KILLED", "KILLED"]
    assert forked.run(LONG, project.folder, MLFLOW_TRACKING_URI=served.uri).returncode == 0

    assert child_of(client, 2).info.run_id == second.info.run_id
    assert history(client, first, "training_curve/loss") == curve
    assert contents(client, without=CLOCKED) == logged_afterwards(project)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_server_that_is_away_for_a_while_has_the_same_in_the_end(project: Project, served: Served, how: str) -> None:
    process = forked.start(LONG, project.folder, MLFLOW_TRACKING_URI=served.uri)
    begun(served.client(), 1, "live/sampling/samples")
    if how == "stopped":
        served.signal(signal.SIGSTOP)
        time.sleep(25)
        served.signal(signal.SIGCONT)
    else:
        served.kill()
        time.sleep(15)
        served.start()
    process.join()

    assert process.exitcode == 0
    assert contents(served.client(), without=CLOCKED) == logged_afterwards(project)
    assert len(runs_of(served.client(), "iteration")) == 3
    log = (project.folder / "logs" / "tiny.log").read_text()
    assert (log.count("does not take what is measured"), log.count("answers again")) == (1, 1)


def test_a_run_that_fails_is_marked_as_failed(project: Project) -> None:
    result = forked.run((*RUN, "--params", "filtering.max_per_question=1,training.max_length=2"), project.folder)

    client = client_of(project)
    assert result.returncode == 1
    assert [child_of(client, i).info.status for i in (0, 1)] == ["FINISHED", "FAILED"]
    assert [run.info.status for run in runs_of(client, "experiment")] == ["FAILED"]
    assert child_of(client, 1).data.metrics["scoring/n"] > 0
