"""What a stranger gets who has neither the repository nor an environment: the newest versions that restem allows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from restem import __version__
from tests.conftest import ROOT


class Stranger:
    """A shell in an empty folder, with an environment that holds what was installed there and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._programs = folder, folder / ".venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
        outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self._environment = outside | {"PATH": f"{self._programs}{os.pathsep}{os.environ['PATH']}"}

    def types(self, program: str, *arguments: str, at: str = ".") -> str:
        """Return what a command of the environment prints, both ways."""
        command = [str(self._programs / program), *arguments]
        folder = self.folder / at
        done = subprocess.run(
            command, cwd=folder, env=self._environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_wheel_is_all_that_an_empty_environment_needs(tmp_path: Path) -> None:
    subprocess.run(["make", "dist"], cwd=ROOT, check=True)
    wheel = ROOT / "dist" / f"restem-{__version__}-py3-none-any.whl"
    stranger = Stranger(tmp_path)
    (torch,) = [line for line in (ROOT / "requirements.lock").read_text().split() if line.startswith("torch==")]

    stranger.types("pip", "install", "--quiet", "--no-compile", torch)  # a CPU build where one is found, as make does
    stranger.types("pip", "install", "--quiet", "--no-compile", str(wheel), "pytest")

    assert "next:" in stranger.types("restem", "init", "my project")
    assert "restem works here" in stranger.types("restem", "doctor", at="my project")
    assert "1 passed" in stranger.types("pytest", "-q", at="my project")
    ran = stranger.types("kedro", "run", "--env=tiny", at="my project")
    assert "best policy: policy_" in ran
    assert "Warning" not in ran
    assert "iteration 2: complete" in stranger.types("restem", "status", "--env=tiny", at="my project")
    stranger.types("kedro", "new", "--starter=restem", "--name=of Kedro", "--telemetry=no")
    assert "em_iteration" in stranger.types("kedro", "registry", "list", at="of-kedro")
