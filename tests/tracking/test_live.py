"""MLflow while a run goes on: what is measured is there at once, or later, and never twice."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from restem import live
from restem.configuration.preflight import refuse_unusable
from restem.errors import ParameterError
from restem.project import opened
from restem.tracking.attempts import is_gone, this_process
from restem.tracking.destination import TrackingError
from restem.tracking.live import LiveTracking
from restem.tracking.spool import Begun, Spool, last_status, read_begun, read_points
from restem.tracking.sync import sync
from tests import forked
from tests.conftest import Logged, Project
from tests.tracking.served import Served, child_of, history, runs_of, until
from tests.tracking.test_sync import client_of

SAMPLES = "live/sampling/samples"


@pytest.fixture
def known(finished: Project, copied: Project) -> Project:
    """The finished experiment to go on with, all of which MLflow knows."""
    shutil.copy(finished.folder / "mlflow.db", copied.folder)
    return copied


@pytest.fixture
def served(known: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server on what MLflow knows; who asks it waits a few seconds for an answer."""
    server = Served(known.folder)
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "4")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    yield server
    server.kill()


@contextmanager
def following(iteration: int) -> Iterator[LiveTracking]:
    with opened("tiny", None) as (catalog, parameters, project):
        followed = LiveTracking(parameters, project, lambda: catalog)
        followed.begin(iteration, catalog)
        yield followed
        live.listen(None)


def report(*steps: int) -> list[tuple[int, float]]:
    for step in steps:
        live.report("sampling", step, {"samples": step})
    return [(step, float(step)) for step in steps]


def test_a_server_shows_what_is_measured_at_once_and_one_that_stops_holds_nobody_up(
    known: Project, served: Served, warned: Logged
) -> None:
    client = served.client()
    with following(3) as followed:
        told = report(1, 2)
        child = until(lambda: child_of(client, 3))
        until(lambda: history(client, child, SAMPLES) == told)
        child = child_of(client, 3)
        assert (child.info.status, child.data.params["sampling.n"]) == ("RUNNING", "64")
        assert child.data.tags["mlflow.parentRunId"] == runs_of(client, "experiment")[0].info.run_id

        warned.clear()  # of a machine that is busy
        served.signal(signal.SIGSTOP)
        start = time.monotonic()
        told += report(*range(3, 1000))
        assert time.monotonic() - start < 1
        until(lambda: warned)
        served.signal(signal.SIGCONT)
        until(lambda: history(client, child, SAMPLES) == told)
        until(lambda: "answers again, and has what it missed" in warned[-1].getMessage())
        assert "does not take what is measured: " in warned[0].getMessage()

        told += report(1000)
        served.signal(signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(TrackingError, match=r"it does not answer\. Nothing is lost"):
            followed.end("FAILED")
        assert time.monotonic() - start < 4
        served.signal(signal.SIGCONT)
    assert forked.run(("restem", "mlflow-sync", "--env", "tiny"), known.folder).returncode == 0

    assert child_of(client, 3).info.status == "FAILED"
    assert history(client, child, SAMPLES) == told


FOLLOW = """
import sys, time
sys.argv = ["kedro", "run", "--env", "tiny"]
from restem import ending
ending.end_when_told()
from restem import live
from restem.project import opened
from restem.tracking.live import LiveTracking
with opened("tiny", None) as (catalog, parameters, project):
    followed = LiveTracking(parameters, project, lambda: catalog)
    ending.on_told(followed.is_told_to_end)
    followed.begin(3, catalog)
    live.report("sampling", 10, {"samples": 10})
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_is_marked_and_the_next_goes_on_with_it(known: Project, number: int) -> None:
    process = forked.start(("python", "-c", FOLLOW), known.folder)
    client = client_of(known)
    child = until(lambda: (found := child_of(client, 3)) and SAMPLES in found.data.metrics and found)
    os.kill(process.pid or 0, number)
    process.join()
    if number == signal.SIGKILL:
        assert child_of(client, 3).info.status == "RUNNING"
        assert forked.run(("restem", "mlflow-sync", "--env", "tiny"), known.folder).returncode == 0

    assert child_of(client, 3).info.status == "KILLED"
    assert [run.info.status for run in runs_of(client, "experiment")] == ["KILLED"]
    with following(3) as followed:
        told = report(10, 20)
        until(lambda: history(client, child, SAMPLES) == told)
        assert child_of(client, 3).info.run_id == child.info.run_id
        assert child_of(client, 3).info.status == "RUNNING"
        followed.end("FINISHED")  # of a part of the iteration
    assert child_of(client, 3).info.status == "SCHEDULED"
    assert [run.info.status for run in runs_of(client, "experiment")] == ["FINISHED"]


def test_what_is_recorded_as_it_would_be_made_is_not_followed(known: Project) -> None:
    before = child_of(client_of(known), 2)
    with following(2) as followed:
        report(1)
        followed.end("FINISHED")

    assert child_of(client_of(known), 2).to_dictionary() == before.to_dictionary()


def test_an_attempt_with_other_parameters_has_a_run_of_its_own(known: Project) -> None:
    client = client_of(known)
    runs = []
    for n in (64, 32):
        with opened("tiny", None, {"sampling": {"n": n}}) as (catalog, parameters, project):
            followed = LiveTracking(parameters, project, lambda catalog=catalog: catalog)
            followed.begin(3, catalog)
            runs.append(until(lambda n=n: (found := child_of(client, 3)) and found.data.params.get("sampling.n") == str(n) and found))  # fmt: skip # noqa: E501
            followed.is_told_to_end()

    assert client.get_run(runs[0].info.run_id).data.tags["restem.superseded"] == "true"
    assert runs[1].info.run_id != runs[0].info.run_id
    assert len(list((known.folder / "data/02_intermediate/journal/.tiny.live").glob("iteration_3-*"))) == 1


def test_system_metrics_are_logged_while_an_iteration_is_made(known: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")
    client = client_of(known)
    with opened("tiny", None, {"tracking": {"system_metrics": True}}) as (catalog, parameters, project):
        followed = LiveTracking(parameters, project, lambda: catalog)
        followed.begin(3, catalog)
        until(lambda: (run := child_of(client, 3)) and "system/cpu_utilization_percentage" in run.data.metrics)
        followed.end("FINISHED")


def test_system_metrics_without_psutil_are_refused(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    with opened("tiny", None, {"tracking": {"system_metrics": True}}) as (_, parameters, _):
        monkeypatch.setattr("restem.configuration.preflight.find_spec", lambda name: None)
        with pytest.raises(ParameterError, match=r"tracking\.system_metrics=true .*pip install psutil"):
            refuse_unusable(parameters)
        refuse_unusable(replace(parameters, tracking=replace(parameters.tracking, enabled=False)))


def test_a_store_that_fails_is_warned_of_once_and_the_run_ends_well(known: Project, warned: Logged) -> None:
    (known.folder / "mlflow.db").write_bytes(b"no database" * 100)
    with following(3) as followed:
        until(lambda: warned)
        report(1)
        with pytest.raises(TrackingError, match="move the file away"):
            followed.end("FINISHED")

    assert len(warned) == 1
    (known.folder / "mlflow.db").unlink()
    with opened("tiny", None) as (catalog, parameters, project):
        assert sync(catalog, parameters, project=project) == [0, 1, 2]
    assert history(client_of(known), child_of(client_of(known), 3), SAMPLES) == [(1, 1.0)]


BEGUN = Begun(iteration=1, attempt="a", started_ms=5, process="host 1 2")


def test_a_spool_keeps_points_with_their_times_over_a_kill_in_mid_line(tmp_path: Path) -> None:
    spool = Spool(tmp_path, BEGUN)
    spool.write(1, {"a": 0.5, "b": 2.0})
    spool.close()
    with spool.file.open("ab") as stream:
        stream.write(b'[17, 2, {"a": 0')
    again = Spool(tmp_path, BEGUN._replace(process="host 3 4"))
    again.write(2, {"a": 1.5})
    again.note_status("FAILED")
    again.close()

    points = read_points(spool.file).points

    assert [(point.name, point.step, point.value) for point in points] == [("a", 1, 0.5), ("b", 1, 2.0), ("a", 2, 1.5)]
    assert read_begun(spool.file) == BEGUN
    assert last_status(spool.file) == "FAILED"
    assert read_points(spool.file, most=1).points == points[:2]


def test_a_spool_that_finds_no_room_ends_and_says_so(tmp_path: Path, warned: Logged) -> None:
    spool = Spool(tmp_path, BEGUN)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, spool._descriptor)

    spool.write(1, {"a": 0.5})
    spool.write(2, {"a": 0.5})

    assert ["No space left" in record.getMessage() for record in warned] == [True]


def test_a_process_is_known_to_be_gone_on_this_host_alone() -> None:
    host, number, started = this_process().rsplit(" ", 2)

    assert not is_gone(this_process())
    assert is_gone(f"{host} {number} {int(started) - 1}")
    assert not is_gone(f"elsewhere {number} 1")
    assert not is_gone("")


def test_readings_of_work_are_told_at_most_every_few_seconds_and_at_its_end() -> None:
    from restem.sampling.progress import Progress

    heard: list[live.Reading] = []
    live.listen(heard.append)
    with Progress("train", n_questions=300, n_before=100, n_samples_before=400, live_as="sampling") as progress:
        for _ in range(200):
            progress.advance(n_samples=4, n_tokens=8)
    with Progress("validation", n_questions=1) as progress:
        progress.advance(n_samples=1)
    live.listen(None)

    (reading,) = heard
    assert (reading.of, reading.step) == ("sampling", 1200)
    assert (reading.values["questions"], reading.values["samples"]) == (300, 1200)
    assert reading.values["tokens_per_second"] > 0
