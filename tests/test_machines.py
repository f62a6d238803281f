"""Machines that have less than most: one core, no /dev/shm, a home that is read-only, no namespaces, another user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import bytes_of_tables
from tests.conftest import Project

# What is mounted is seen by no other process. The one user namespace that may still be made is for another user than
# root, whom no list of users knows.
POOR = """
set -e
mount -t tmpfs -o mode=755 none "$1"
for device in null zero full random urandom; do touch "$1/$device"; mount --bind "/dev/$device" "$1/$device"; done
ln -s /proc/self/fd "$1/fd"
mount --rbind "$1" /dev
mount --bind "$2" "$2"
mount -o remount,bind,ro "$2"
echo 1 > /proc/sys/user/max_user_namespaces
export HOME="$2"
core="$3"
shift 3
exec unshare --user --map-user=4321 --map-group=4321 taskset --cpu-list "$core" "$@"
"""
IS_POOR = """
import os
from pathlib import Path
assert os.getuid() == 4321 and len(os.sched_getaffinity(0)) == 1 and not Path("/dev/shm").exists()
try:
    (Path.home() / "file").touch()
except OSError as error:
    print(error.strerror)
"""


def poor(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder of such a machine."""
    devices, home = folder / ".devices", folder / ".home"
    devices.mkdir(exist_ok=True)
    home.mkdir(exist_ok=True)
    mounts = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", POOR, "sh", str(devices), str(home)]
    caches = ("HF_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in caches}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    core = str(min(os.sched_getaffinity(0)))
    return subprocess.run(
        [*mounts, core, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_machine_is_as_poor_as_it_should_be(tmp_path: Path) -> None:
    done = poor(tmp_path, sys.executable, "-c", IS_POOR)

    assert done.stdout == "Read-only file system\n", done.stderr
    assert poor(tmp_path, "unshare", "--user", "true").returncode != 0


@pytest.mark.slow
def test_an_iteration_gives_the_same_tables_on_a_poor_machine(finished: Project, project: Project) -> None:
    kedro = str(Path(sys.executable).with_name("kedro"))
    done = poor(project.folder, kedro, "run", "--env", "tiny", "--pipelines", "prepare,baseline,iteration_1")
    assert done.returncode == 0, done.stdout + done.stderr

    made, expected = bytes_of_tables(project.folder / "data"), bytes_of_tables(finished.folder / "data")
    assert {name for name in expected if "iteration_1/" in name} <= made.keys() <= expected.keys()
    assert [name for name in made if made[name] != expected[name]] == []
    assert "no sandbox for the reward" in done.stdout + done.stderr
    assert "No space left" not in done.stdout + done.stderr


@pytest.mark.slow
def test_without_shared_memory_ray_is_refused_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    code = (
        "from restem.parameters.scale import ScaleParameters; from restem.scale.cluster import connect; "
        "from restem.errors import ScaleError\n"
        "try:\n    connect(ScaleParameters(backend='ray'))\nexcept ScaleError as error:\n    print(error.message)"
    )
    done = poor(tmp_path, sys.executable, "-c", code)

    assert "a Ray cluster on this machine cannot be used" in done.stdout, done.stderr
    assert "/dev/shm" in done.stdout
