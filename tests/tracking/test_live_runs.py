"""Whole runs that MLflow follows, with kills of the run and of the server in their middle."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.conftest import Project
from tests.tracking.served import Served, child_of, contents, history, runs_of, until
from tests.tracking.test_sync import client_of

pytestmark = pytest.mark.long

RUN = ("kedro", "run", "--env", "tiny")
CLOCKED = ("live/", "system/")  # how far work is when it is looked at is the clock's


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("served"))
    server.folder.joinpath("mlflow.db").write_bytes(empty_store.read_bytes())
    server.start()
    yield server
    server.kill()


def begun(client: Any, i: int, metric: str) -> Any:
    """Wait for an iteration's run that has a metric, and return the run."""
    return until(lambda: (run := child_of(client, i)) and metric in run.data.metrics and run, patience_s=300)


def test_a_run_killed_in_iteration_2_shows_iteration_1_whole_and_goes_on_in_the_same_run(
    finished: Project, project: Project, served: Served
) -> None:
    client = served.client()
    process = forked.start(RUN, project.folder, MLFLOW_TRACKING_URI=served.uri)
    second = begun(client, 2, "training_curve/loss")
    first = until(lambda: (run := child_of(client, 1)).info.status == "FINISHED" and run)
    os.killpg(process.pid or 0, signal.SIGKILL)
    process.join()

    assert (second.info.status, child_of(client, 2).info.status) == ("RUNNING", "RUNNING")
    assert (
        first.data.metrics["test/pass_at_1"] == project.catalog().load("record_1")["metrics"]["test/pass_at_1"]["value"]
    )
    assert history(client, first, "training_curve/loss") == history(
        client_of(finished), child_of(client_of(finished), 1), "training_curve/loss"
    )
    done = forked.run(("restem", "mlflow-sync", "--env", "tiny"), project.folder, MLFLOW_TRACKING_URI=served.uri)
    assert done.returncode == 0, done.stderr
    assert [child_of(client, 2).info.status, runs_of(client, "experiment")[0].info.status] == ["KILLED", "KILLED"]
    assert forked.run(RUN, project.folder, MLFLOW_TRACKING_URI=served.uri).returncode == 0

    assert child_of(client, 2).info.run_id == second.info.run_id
    assert contents(client, without=CLOCKED) == contents(client_of(finished), without=CLOCKED)


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_server_that_is_away_for_a_while_has_the_same_in_the_end(
    finished: Project, project: Project, served: Served, how: str
) -> None:
    process = forked.start(RUN, project.folder, MLFLOW_TRACKING_URI=served.uri)
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
    assert contents(served.client(), without=CLOCKED) == contents(client_of(finished), without=CLOCKED)
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
