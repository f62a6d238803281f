"""A command that is told to end does so within seconds, says how to go on, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

COMMAND = """
import os, subprocess, sys, tempfile, time
sys.argv = ["kedro", "run", "--env", "tiny"]
from restem import ending
ending.end_when_told()
{before}
child = subprocess.Popen(["sleep", "60"])
with tempfile.TemporaryDirectory() as folder:
    print(child.pid, folder, flush=True)
    try:
        {work}
    finally:
        time.sleep({unwinding})
"""
RUN = 'ending.begin_work("Shards are kept.")'
SLEEP = "time.sleep(60)"
LONG_OPERATION = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10**9)"  # no handler runs before its end
OTHERS_HANDLER = "import signal; signal.signal(signal.SIGTERM, lambda *_: None)"
OTHERS_WAKING = "import signal, socket; pair = socket.socketpair(); pair[1].setblocking(False); "
OTHERS_WAKING += "signal.set_wakeup_fd(pair[1].fileno())"
FORK_THAT_IS_ENDED = """
for _ in range(50):  # told while they are born
    if not (fork := os.fork()):
        time.sleep(60)
    os.kill(fork, 15)
    _, how = os.waitpid(fork, 0)
    assert os.waitstatus_to_exitcode(how) == 143
time.sleep(0.3)
"""


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(
    number: int, *, before: str = RUN, work: str = SLEEP, unwinding: int = 0, times: int = 1
) -> tuple[int, str, float, int, Path]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(before=before, work=work, unwinding=unwinding)],
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
    again = "The same command goes on from there: kedro run --env tiny"
    assert re.fullmatch(rf"\s*Ended by SIG\w+\. Shards are kept\. {again}\s*", said)
    assert seconds < 3


def test_a_command_that_keeps_nothing_only_says_that_it_ended() -> None:
    status, said, _, child, folder = ended(signal.SIGINT, before="")

    assert (status, said.strip(), is_running(child), folder.exists()) == (130, "Ended by SIGINT.", False, False)


@pytest.mark.parametrize(
    "slow", [{"unwinding": 30}, {"work": LONG_OPERATION}, {"before": f"{RUN}; {OTHERS_HANDLER}"}], ids=str
)
def test_what_does_not_unwind_in_time_is_cut_off_and_leaves_nothing(slow: dict[str, Any]) -> None:
    status, said, seconds, child, folder = ended(signal.SIGTERM, **slow)

    assert (status, is_running(child), folder.exists()) == (143, False, False)
    assert "Shards are kept." in said
    assert seconds < 3


def test_an_operation_that_does_not_return_ends_though_a_library_waits_for_signals_too() -> None:
    status, said, seconds, child, folder = ended(signal.SIGINT, before=f"{RUN}; {OTHERS_WAKING}", unwinding=30)

    assert (status, is_running(child), folder.exists()) == (130, False, False)
    assert "Shards are kept." in said
    assert seconds < 3


def test_a_fork_that_is_told_to_end_does_not_end_the_command() -> None:
    status, said, _, child, _ = ended(signal.SIGHUP, before=f"{RUN}\n{FORK_THAT_IS_ENDED}")

    assert (status, is_running(child)) == (129, False)
    assert "Ended by SIGHUP" in said and "SIGTERM" not in said


AT_WORK = """
import sys, tempfile
sys.argv = ["restem", "plan"]
from restem import ending
ending.end_when_told()
ending.begin_work("Shards are kept.")
print(tempfile.gettempdir(), flush=True)
sys.stdin.read()
"""


def test_the_next_command_removes_what_a_killed_one_left_and_nothing_of_one_at_work(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)}
    (tmp_path / "restem-of-others").mkdir()
    folders, commands = [], []
    for number in range(3):
        command = subprocess.Popen(
            [sys.executable, "-c", AT_WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert command.stdout is not None and command.stdin is not None
        folders.append(Path(command.stdout.readline().strip()))
        commands.append(command)
        if number == 0:
            command.kill()
            command.communicate()
            assert folders[0].exists()

    assert [folder.exists() for folder in folders] == [False, True, True]
    for command in commands[1:]:
        command.communicate()
    assert [each.name for each in tmp_path.iterdir()] == ["restem-of-others"]


@pytest.mark.parametrize("program", ["/bin/pytest", "/lib/pytest/__main__.py", "notebook"])
def test_other_programs_stay_as_they_are(program: str) -> None:
    code = (
        f"import signal, sys; sys.argv = [{program!r}]; before = signal.getsignal(signal.SIGINT)\n"
        "from restem import ending; ending.end_when_told(); ending.begin_work('x'); import tempfile\n"
        "print(signal.getsignal(signal.SIGINT) is before, 'restem-' in tempfile.gettempdir())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "TMPDIR": "/tmp"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert told.stdout.split() == ["True", "False"]


def test_ctrl_c_is_left_to_the_shell_that_kedro_starts() -> None:
    code = (
        "import os, signal, sys; sys.argv = ['/bin/kedro', 'ipython']\n"
        "from restem import ending; ending.end_when_told(); os.kill(os.getpid(), signal.SIGINT); print('goes on')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)

    assert told.stdout == "goes on\n"


def test_a_second_signal_ends_at_once() -> None:
    status, _, seconds, child, _ = ended(signal.SIGINT, unwinding=30, times=2)

    assert (status, is_running(child)) == (130, False)
    assert seconds < 1.5
