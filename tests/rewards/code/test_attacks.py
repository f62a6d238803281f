import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restem.rewards import Reward, Verdict, load_reward
from tests.rewards.code import attacks
from tests.rewards.code.conftest import ADD

KINDS = ["ENDLESS", "BOMBS", "CRASHES", "EXITS", "LIES", "SLY", "MONSTERS", "BROKEN_TEXT"]
CASES = [(kind, name) for kind in KINDS for name in getattr(attacks, kind)]


@pytest.fixture(scope="module")
def verdicts() -> dict[tuple[str, str], Verdict]:
    """All attacks, judged in one batch, with an honest program behind each."""
    honest = "def add(a, b):\n    return a + b\n"
    completions = [text for kind, name in CASES for text in (getattr(attacks, kind)[name], f"{honest}# {name}")]
    limits = {"memory_mb": 512, "disk_mb": 16, "output_mb": 4}
    # Honest programs wait for the others of the machine too, and have time for that.
    with load_reward("code", timeout_s=2.0, workers=2, **limits) as reward:
        found = reward.score([{"question_id": "add", "gold": ADD}] * len(completions), completions)
    assert [verdict.reason for verdict in found[1::2]] == ["correct"] * len(CASES), "an attack reached the next program"
    return dict(zip(CASES, found[::2], strict=True))


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}-{name}".replace(" ", "_") for kind, name in CASES])
def test_attacks_earn_nothing(verdicts: dict[tuple[str, str], Verdict], kind: str, name: str) -> None:
    assert verdicts[kind, name].reward == 0.0
    assert verdicts[kind, name].reason in {"wrong", "crashed", "timeout", "forbidden", "no_answer"}


def test_endless_programs_time_out(verdicts: dict[tuple[str, str], Verdict]) -> None:
    found = {name: verdicts["ENDLESS", name].reason for name in attacks.ENDLESS if name != "in a finalizer"}

    assert set(found.values()) == {"timeout"}, found


def descendants() -> set[int]:
    """Return the processes below this one."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def test_nothing_is_left_running() -> None:
    before = descendants()

    with load_reward("code", timeout_s=0.3, workers=2) as reward:
        reward.score(
            [{"gold": ADD}] * 3,
            [attacks.BOMBS["forks"], attacks.ENDLESS["asleep"], "def add(a, b):\n    return a + b\n"],
        )
        during = descendants()
    deadline = time.monotonic() + 10
    while descendants() - before and time.monotonic() < deadline:
        time.sleep(0.02)

    assert during - before
    assert not descendants() - before


def test_a_program_that_forks_and_leaves_is_gone_before_the_verdict(reward: Reward) -> None:
    program = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(1000)\n"
        + ("    os._exit(0)\ndef add(a, b):\n    return a + b\n")
    )
    reward.score(
        [{"gold": ADD}] * 2, ["def add(a, b):\n    return b + a\n", "def add(a, b):\n    return b + a + 0\n"]
    )  # all processes are there
    before = len(descendants())

    verdict = reward.score([{"gold": ADD}], [program])[0]

    assert verdict.reason == "correct"
    deadline = time.monotonic() + 5
    while len(descendants()) > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(descendants()) <= before


RIGHT = "def add(a, b):\n    return a + b\n"


def suicides() -> list[str]:
    """Return programs that would be right if they survived."""
    return [text if "def add" in text else text + RIGHT for text in attacks.SUICIDES.values()]


def test_a_program_that_kills_all_it_can_has_crashed_and_stops_nothing(reward: Reward) -> None:
    programs = [text for number, one in enumerate(suicides()) for text in (one, f"{RIGHT}# {number}\n")]

    verdicts = reward.score([{"gold": ADD}] * len(programs), programs)

    assert [verdict.reason for verdict in verdicts] == ["crashed", "correct"] * len(attacks.SUICIDES)


AS_A_USER = """
import ctypes, json, os, sys
from pathlib import Path
user, group = os.geteuid(), os.getegid()
assert ctypes.CDLL(None).unshare(0x10000000) == 0
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {user} 1")
Path("/proc/self/gid_map").write_text(f"1000 {group} 1")
assert os.geteuid() == 1000
from restem.rewards import load_reward
gold, programs = json.loads(sys.stdin.read())
with load_reward("code", timeout_s=2, workers=2) as reward:
    print(json.dumps([verdict.reason for verdict in reward.score([{"gold": gold}] * len(programs), programs)]))
"""


def test_so_it_is_for_a_user_that_is_not_root() -> None:
    programs = [*suicides(), RIGHT]

    done = subprocess.run(
        [sys.executable, "-c", AS_A_USER],
        input=json.dumps([ADD, programs]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert json.loads(done.stdout) == ["crashed"] * len(attacks.SUICIDES) + ["correct"], done.stderr


IDLE = """
import os, time
def add(a, b):
    def last(pid):
        for call in (
            lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
            lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
            lambda: os.nice(19),
        ):
            try:
                call()
            except OSError:
                continue
            return 0
        return a + b
    for _ in range(50):
        if os.fork() == 0:
            last(0)
            while True:
                pass
    return last(0)
"""


def test_a_program_cannot_be_the_last_in_every_queue(reward: Reward) -> None:
    start = time.monotonic()

    verdict = reward.score([{"gold": ADD}], [IDLE])[0]

    assert verdict.reason in {"correct", "timeout"}  # what it asked for was refused
    assert time.monotonic() - start < 60
