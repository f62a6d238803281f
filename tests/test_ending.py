"""A command that is told to end does so within seconds, says how to go on, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

COMMAND = """
import subprocess, sys, tempfile, time
sys.argv = ["kedro", "run", "--env", "tiny"]
from restem.ending import end_when_told
end_when_told()
child = subprocess.Popen(["sleep", "60"])
with tempfile.TemporaryDirectory() as folder:
    print(child.pid, folder, flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep({unwinding})
"""


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(number: int, *, unwinding: int = 0, times: int = 1) -> tuple[int, str, float, int, Path]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND.replace("{unwinding}", str(unwinding))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        child, folder = process.stdout.readline().split()
        start = time.monotonic()
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.3)
        _, said = process.communicate()
        return process.returncode, said, time.monotonic() - start, int(child), Path(folder)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_that_is_told_to_end_says_how_to_go_on_and_leaves_nothing(number: int, code: int) -> None:
    status, said, seconds, child, folder = ended(number)

    assert (status, is_running(child), folder.exists()) == (code, False, False)
    assert re.fullmatch(r"\s*Ended by SIG\w+\. What was finished is kept.*: kedro run --env tiny\s*", said)
    assert seconds < 3


def test_what_unwinds_too_slowly_is_cut_off() -> None:
    status, _, seconds, child, _ = ended(signal.SIGINT, unwinding=30)

    assert (status, is_running(child)) == (130, False)
    assert seconds < 3


def test_a_second_signal_ends_at_once() -> None:
    status, _, seconds, child, _ = ended(signal.SIGINT, unwinding=30, times=2)

    assert (status, is_running(child)) == (130, False)
    assert seconds < 1.5
