import os
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
    with load_reward("code", timeout_s=0.5, workers=2, **limits) as reward:
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
