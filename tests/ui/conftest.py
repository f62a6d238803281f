"""A finished experiment of three iterations, both UIs on it, and a browser in front of them.

RESTEM_UI_PROJECT shows another project's finished experiment in place of the tiny one, that of RESTEM_UI_ENV, and
RESTEM_PICTURES names a folder for pictures: `make pictures` makes those of the README so.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2 as httpx
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests import forked
from tests.conftest import Project
from tests.ui.page import Page

ITERATIONS = 3
_START_S = 240  # of a server, on a machine that is busy
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No telemetry, no hub, no background jobs.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


class Shown(NamedTuple):
    """The experiment on show, and the command line that belongs to it."""

    folder: Path
    name: str
    options: tuple[str, ...]  # of kedro: environment and parameters

    def command(self, *arguments: str, **environment: str) -> None:
        """Run one of the project's commands there; raises with what it printed."""
        done = forked.run(arguments, self.folder, **_ENVIRONMENT, **environment)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory, driver: webdriver.Chrome) -> Shown:
    """A finished experiment of three iterations, made by `kedro run` without MLflow, as on a machine offline."""
    given, env = os.environ.get("RESTEM_UI_PROJECT"), os.environ.get("RESTEM_UI_ENV")
    if given:
        chosen = ("--env", env) if env else ()
        return Shown(Path(given), env or "default", (*chosen, "--params", f"em.iterations={ITERATIONS}"))
    made = Project(tmp_path_factory.mktemp("shown"))
    parameters = f"em.iterations={ITERATIONS},training.epochs=2,training.eval_every=1.0,tracking.enabled=false"
    experiment = Shown(made.folder, "tiny", ("--env", "tiny", "--params", parameters))
    experiment.command("kedro", "run", *experiment.options)
    return experiment


@pytest.fixture(scope="session")
def driver() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    found = [path for path in map(shutil.which, _BROWSERS) if path]
    chromedriver = shutil.which("chromedriver")
    if not (found and chromedriver):
        missing = "no chromium and chromedriver here; on Debian: apt-get install -y chromium chromium-driver"
        if os.environ.get("RESTEM_REQUIRE_BROWSER") == "1":
            pytest.fail(f"RESTEM_REQUIRE_BROWSER=1, but there is {missing}")
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--mute-audio"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def mlflow_url(shown: Shown, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A tracking server that was told of the experiment after it was over."""
    store = tmp_path_factory.mktemp("mlflow")
    port = _free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--artifacts-destination", str(store)]
    with _serving(command, f"http://127.0.0.1:{port}", "/health", store) as url:
        environment = shown.options[: shown.options.index("--params")]
        shown.command("restem", "mlflow-sync", *environment, MLFLOW_TRACKING_URI=url)
        yield url


@pytest.fixture(scope="session")
def viz_url(shown: Shown) -> Iterator[str]:
    """The project's `kedro viz run`."""
    port = _free_port()
    command = [sys.executable, "-m", "kedro", "viz", "run", "--include-hooks", "--no-browser", "--port", str(port)]
    command += shown.options
    with _serving(command, f"http://127.0.0.1:{port}", "/api/main", shown.folder) as url:
        yield url


@pytest.fixture
def page(driver: webdriver.Chrome) -> Page:
    """The browser's window."""
    return Page(driver)


@contextmanager
def _serving(command: list[str], url: str, ready: str, folder: Path) -> Iterator[str]:
    """Return the address of a server that runs meanwhile, once it answers."""
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | _ENVIRONMENT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for(process, url + ready, folder / "server.log")
            yield url
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _wait_for(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(url, timeout=30).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.3)
    pytest.fail(f"{url} did not answer within {_START_S} s: {log.read_text()}")


def _free_port() -> int:
    """Return a port that nobody listens on; kedro-viz takes none above 49151, where the kernel likes to choose."""
    for port in random.sample(range(20_000, 32_000), k=100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("100 ports between 20000 and 32000 are taken")
