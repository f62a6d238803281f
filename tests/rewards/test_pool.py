import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from restem.errors import RewardError
from restem.rewards import Verdict, load_reward

QUESTION = {"question_id": "q1", "gold": {"answer": "4"}}
TIMED_OUT = Verdict(0.0, "timeout", None, 0.0)
RIGHT = Verdict(1.0, "correct", None, 0.0)


def test_verdicts_keep_the_order_of_their_completions_whatever_the_workers_do() -> None:
    completions = ["a", "sleep", "b", "loop", "c", "sleep", "d"]

    with load_reward("own_rewards:misbehaving", timeout_s=0.3) as reward:
        verdicts = reward.score([QUESTION] * 7, completions)

    assert verdicts == [RIGHT, TIMED_OUT, RIGHT, TIMED_OUT, RIGHT, TIMED_OUT, RIGHT]


def test_judges_are_known_where_a_system_names_no_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restem.rewards.nursery._NAMES_SENDERS", False)
    completions = ["a", "kill", "loop", "b"]

    with load_reward("own_rewards:misbehaving", timeout_s=0.3) as reward:
        verdicts = reward.score([QUESTION] * 4, completions)

    assert verdicts == [RIGHT, Verdict(0.0, "crashed", None), TIMED_OUT, RIGHT]


def test_hanging_completions_cost_their_limit_and_no_more() -> None:
    questions = [{"question_id": str(index), "gold": {}} for index in range(400)]
    completions = ["loop" if index % 20 == 0 else "fine" for index in range(400)]

    start = time.monotonic()
    with load_reward("own_rewards:misbehaving", timeout_s=0.2, workers=2) as reward:
        verdicts = reward.score(questions, completions)
    took_s = time.monotonic() - start

    assert [verdict.reason == "timeout" for verdict in verdicts] == [text == "loop" for text in completions]
    assert took_s < 20 * 0.2 / 2 + 8  # on a busy machine, those that were kept waiting are judged again, alone


def test_a_worker_that_dies_is_crashed_and_takes_no_other_verdict_with_it() -> None:
    with load_reward("own_rewards:misbehaving") as reward:
        verdicts = reward.score([QUESTION] * 4, ["a", "kill", "b", "c"])

    assert verdicts == [RIGHT, Verdict(0.0, "crashed", None), RIGHT, RIGHT]


def test_a_reward_that_raises_twice_stops_the_run_and_names_the_question() -> None:
    with load_reward("own_rewards:misbehaving") as reward:
        with pytest.raises(RewardError, match=r"'q1'.*KeyError.*boom"):
            reward.score([QUESTION] * 2, ["a", "raise"])

        assert reward.score([QUESTION], ["a"]) == [RIGHT]  # and can be used again


def test_the_same_answer_to_the_same_question_is_judged_once(tmp_path: Path) -> None:
    log = tmp_path / "judged"
    other = {"question_id": "q2", "gold": {"answer": "5"}}

    with load_reward("own_rewards:counting", log=str(log)) as reward:
        verdicts = reward.score([QUESTION, QUESTION, other, QUESTION], ["x", "x", "x", "y"])

    assert verdicts == [RIGHT] * 4
    assert sorted(log.read_text().split()) == ["x", "x", "y"]


def test_scores_from_any_thread() -> None:
    found: list[list[Verdict]] = []
    with load_reward("exact") as reward:
        threads = [
            threading.Thread(target=lambda: found.append(reward.score([QUESTION] * 50, ["4", "5"] * 25)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)

    assert [[verdict.reward for verdict in verdicts] for verdicts in found] == [[1.0, 0.0] * 25] * 4


def test_workers_are_reused_between_batches() -> None:
    with load_reward("own_rewards:process_id", workers=1) as reward:
        first, second = (reward.score([QUESTION], [text])[0].reward for text in "ab")

    assert first == second != os.getpid() / 1e9


def test_close_ends_the_workers() -> None:
    with load_reward("own_rewards:process_id", workers=1) as reward:
        worker = round(reward.score([QUESTION], ["a"])[0].reward * 1e9)

    assert not Path(f"/proc/{worker}").exists()


def test_no_worker_outlives_a_program_that_is_killed() -> None:
    program = (
        "import os, signal\nfrom restem.rewards import load_reward\n"
        "reward = load_reward('own_rewards:process_id', workers=1)\n"
        "print(round(reward.score([{'question_id': 'q', 'gold': {}}], ['a'])[0].reward * 1e9), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )  # without `if __name__ == '__main__'`, which no script should need

    path = os.pathsep.join(sys.path)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{int(done.stdout)}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    assert not Path(f"/proc/{int(done.stdout)}").exists()


def test_a_verdict_that_was_stopped_is_had_again(tmp_path: Path) -> None:
    with load_reward("own_rewards:stopped_once", timeout_s=0.3, workers=2, log=str(tmp_path)) as reward:
        verdicts = reward.score([QUESTION] * 6, list("abcdef"))

    assert verdicts == [RIGHT] * 6


SLEEPING = """
import sys
from restem.rewards import load_reward
questions = [{"question_id": "q", "gold": {"answer": "4"}}] * 30
with load_reward("own_rewards:busy", timeout_s=0.5, workers=2) as reward:
    reward.score(questions[:2], ["x", "y"])
    print("started", flush=True)
    print({verdict.reason for verdict in reward.score(questions, [str(number) for number in range(30)])})
"""


def test_a_machine_that_sleeps_costs_no_verdict() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", SLEEPING], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"started\n"
        for _ in range(2):
            time.sleep(0.1)
            family = [process.pid, *descendants_of(process.pid)]
            for number, pause_s in ((signal.SIGSTOP, 1.2), (signal.SIGCONT, 0.0)):
                for one in family:
                    with suppress(ProcessLookupError):  # a judge that had just been replaced
                        os.kill(one, number)
                time.sleep(pause_s)
        said = process.stdout.read()

    assert said == b"{'correct'}\n"


def descendants_of(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [one for child in children for one in (int(child), *descendants_of(int(child)))]
