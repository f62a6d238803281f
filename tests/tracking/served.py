"""A tracking server of MLflow that a test starts, stops, continues and kills."""

import contextlib
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import mlflow

from tests import forked

_START_S = 240.0  # on a machine that is busy


class Served:
    """The server, on a store in a folder; it can be started again on the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: BaseProcess | None = None

    def start(self) -> None:
        store, artifacts = f"sqlite:///{self.folder}/mlflow.db", str(self.folder / "artifacts")
        command = ["mlflow", "server", "--port", str(self.port), "--workers", "1", "--backend-store-uri", store]
        command += ["--artifacts-destination", artifacts]
        self._process = forked.start(command, self.folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
        until(self._answers, patience_s=_START_S)

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.killpg(self._process.pid or 0, number)

    def kill(self) -> None:
        if self._process is not None and self._process.is_alive():
            self.signal(signal.SIGKILL)
            self._process.join()
        self._process = None

    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.uri)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
            return True
        return False


def until(found: Callable[[], Any], *, patience_s: float = 60.0) -> Any:
    """Return what is found, once it is something."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if something := found():
            return something
        time.sleep(0.1)
    raise AssertionError(f"not within {patience_s} s")


def runs_of(client: mlflow.MlflowClient, kind: str) -> list[Any]:
    """Return the runs of a kind that hold, in the experiment `restem`, which the first of them makes."""
    experiment = client.get_experiment_by_name("restem")
    if experiment is None:
        return []
    found = client.search_runs([experiment.experiment_id], f"tags.`restem.kind` = '{kind}'")
    return [run for run in found if run.data.tags.get("restem.superseded") != "true"]


def child_of(client: mlflow.MlflowClient, i: int) -> Any:
    """Return the one child run of an iteration; None if there is none."""
    found = [run for run in runs_of(client, "iteration") if run.data.tags["restem.iteration"] == str(i)]
    assert len(found) <= 1
    return found[0] if found else None


def history(client: mlflow.MlflowClient, run: Any, name: str) -> list[tuple[int, float]]:
    """Return steps and values of a metric, in order."""
    return sorted((metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name))


def contents(client: mlflow.MlflowClient, *, without: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Return what all runs hold that hold: steps and values of metrics, steps alone of what the clock decides."""
    held: dict[str, dict[str, Any]] = {}
    for run in [*runs_of(client, "experiment"), *runs_of(client, "iteration")]:
        assert run.info.run_name not in held
        metrics = {name: history(client, run, name) for name in run.data.metrics if not name.startswith(without)}
        held[run.info.run_name] = {
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {
                name: [step for step, _ in found] if name.startswith("wall_seconds/") else found
                for name, found in metrics.items()
            },
            "artifacts": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        }
    return held
