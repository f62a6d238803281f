"""What the machine does to verdicts, and what it must not."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from restem.errors import RewardError
from restem.rewards import Reward
from restem.rewards.pool import Task, WorkerPool
from restem.rewards.sandbox.box import Box
from restem.rewards.sandbox.limits import Limits
from tests.rewards.code.conftest import ADD

RIGHT = {"text": "def add(a, b):\n    return a + b\n", "prompt": "", "entry_point": "add"}
GOLD = {"tests": ADD["tests"], "prompt": "", "entry_point": "add"}


def pool(log: Path, *, patience_s: float = 60.0) -> WorkerPool:
    log.write_text("")
    judge = "doubting_judge:DoubtingJudge"
    return WorkerPool(judge, {"log": str(log)}, timeout_s=60.0, workers=3, patience_s=lambda subject: patience_s)


def test_a_doubtful_verdict_is_had_again_with_nothing_else_running(tmp_path: Path) -> None:
    answers = ["a", "doubt 1", "b", "c", "doubt 2", "d", "doubtless", "e", "f", "g"]
    workers = pool(tmp_path / "log")

    verdicts = workers.run([Task({}, answer, answer) for answer in answers])
    workers.close()

    assert [verdict.answer for verdict in verdicts] == answers
    assert [verdict.reason for verdict in verdicts if verdict.reward < 1] == ["timeout"]  # doubted twice: it counts
    spans = [line.split(" ", 2) for line in (tmp_path / "log").read_text().splitlines()]
    seen: set[str] = set()
    for start, end, answer in spans:
        if answer in seen:
            others = [one for one in spans if one != [start, end, answer]]
            assert all(float(other[1]) <= float(start) or float(end) <= float(other[0]) for other in others)
        seen.add(answer)


def test_a_worker_that_hangs_although_it_holds_its_limit_itself_stops_the_run(tmp_path: Path) -> None:
    workers = pool(tmp_path / "log", patience_s=0.3)

    with pytest.raises(RewardError, match=r"'q'.*no answer"):
        workers.run([Task({}, "hang", "q")])


def spin() -> None:
    while True:
        pass


def test_a_starved_machine_does_not_time_out_a_program_within_its_limit(reward: Reward) -> None:
    context = multiprocessing.get_context("spawn")
    crowd = [context.Process(target=spin, daemon=True) for _ in range(4 * min(os.cpu_count() or 1, 4))]
    program = "import time\ndef add(a, b):\n    end = time.process_time() + 0.15\n"
    program += "    while time.process_time() < end:\n        pass\n    return a + b\n"
    for process in crowd:
        process.start()
    try:
        verdict = reward.score([{"gold": ADD}], [program])[0]
    finally:
        for process in crowd:
            process.kill()
            process.join()

    assert verdict.reason == "correct"


def test_a_keeper_that_dies_is_replaced() -> None:
    box = Box(Limits(), sandboxed=True)
    assert box.judge_functions(RIGHT, GOLD).reason == "correct"

    assert box._keeper is not None
    os.kill(box._keeper.pid, signal.SIGKILL)

    assert box.judge_functions(RIGHT, GOLD).reason == "correct"
    box.close()


def test_a_box_is_as_good_after_ten_of_anything_as_before() -> None:
    box = Box(Limits(timeout_s=0.5, memory_mb=128), sandboxed=True)
    for text in (
        "while True: pass",
        "import os\nos._exit(3)",
        "x = b'x' * (1 << 29)",
        "def add(a, b): return [0] * 10**7",
    ):
        for _ in range(3):
            assert box.judge_functions({**RIGHT, "text": text}, GOLD).reason != "correct"
            assert box.judge_functions(RIGHT, GOLD).reason == "correct"
            assert box.run_script({**RIGHT, "text": "print(open(0).read())"}, "x").output == "x\n"
    box.close()


# Under this filter no namespace can be made, as in many containers.
WITHOUT_NAMESPACES = """
import struct, sys
from restem.rewards.sandbox import linux
linux.refuse_new_privileges()
number = {"x86_64": 272, "aarch64": 97}[linux.machine()]
steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)]
linux.CallFilter(b"".join(struct.pack("=HBBI", *step) for step in steps)).install()
from restem.rewards import load_reward
gold = {"tests": "assert add(1, 2) == 3", "entry_point": "add"}
programs = sys.argv[2:]
with load_reward("code", timeout_s=0.5, workers=1, run_untrusted_code_without_a_sandbox=sys.argv[1] == "yes") as reward:
    print(*[verdict.reason for verdict in reward.score([{"gold": gold}] * len(programs), programs)])
"""


def run_without_namespaces(unsafe: str, *programs: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", WITHOUT_NAMESPACES, unsafe, *programs]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_without_a_sandbox_the_reward_refuses_and_says_what_to_do() -> None:
    done = run_without_namespaces("no", RIGHT["text"])

    assert done.returncode != 0
    assert "the sandbox for programs cannot be had" in done.stderr
    assert "run_untrusted_code_without_a_sandbox" in done.stderr


def test_whoever_asks_for_it_by_its_name_gets_no_sandbox() -> None:
    leaves = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)\ndef add(a, b):\n    return a + b\n"
    )

    done = run_without_namespaces("yes", RIGHT["text"], "def add(a, b):\n    return 0\n", "while True: pass", leaves)

    assert done.stdout.split() == ["correct", "wrong", "timeout", "correct"], done.stderr


def test_an_unfinished_box_leaves_no_process() -> None:
    program = "import os, signal\nfrom restem.rewards.sandbox.box import Box\n"
    program += "from restem.rewards.sandbox.limits import Limits\n"
    program += "box = Box(Limits(), sandboxed=True)\nbox.run_script(dict(text='', prompt='', entry_point=''), '')\n"
    program += "print(box._keeper.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    keeper = Path(f"/proc/{int(done.stdout)}")

    deadline = time.monotonic() + 5
    while keeper.exists() and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not keeper.exists()
