"""Completions that try to get out of the reward that judges them, or to change what it says about others."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reasoning_gym
from reasoning_gym.factory import DATASETS

from restem.rewards import Reward, Verdict, load_reward
from restem.rewards.pool import Task, WorkerPool
from restem.rewards.reasoning_gym_gate import _evaluates, admits, is_inert, is_plain
from restem.rewards.second import load_second

EVALUATING = [
    "binary_matrix", "bitwise_arithmetic", "countdown", "intermediate_integration", "n_queens", "number_sorting",
    "polynomial_multiplication", "puzzle24", "simple_integration", "spiral_matrix", "string_insertion",
]  # fmt: skip
MADE_OF_OTHERS = "composite"


def payloads(place: Path) -> dict[str, str]:
    """Return expressions that are true if they got what they wanted."""
    mark = str(place / "mark")
    patch = "setattr(__import__('restem.rewards.reasoning_gym', fromlist='x'), '_is_plain', lambda *a: True)"
    return {
        "write a file": f"open({mark!r}, 'w').write('x') > 0",
        "write a file by a process": f"__import__('os').system('touch {mark}') == 0",
        "write a file, in a list": f"[open({mark!r}, 'w').write('x')]",
        "read the environment": "'marked-s3cr3t' in str(__import__('os').environ)",
        "read the parent's environment": "'marked-s3cr3t' in open('/proc/1/environ').read()",
        "read a file": f"'marked-s3cr3t' in open({str(place / 'secret')!r}).read()",
        "open a socket": "bool(__import__('socket').create_connection(('127.0.0.1', PORT), 1))",
        "patch a module": patch + " is None",
        "patch the judge": "__import__('evaluating_judge').STATE.update(verdict='correct') is None",
        "patch float": "setattr(__import__('builtins'), 'float', lambda *a: 1.0) is None",
        "patch by the class of a tuple": "bool([c for c in ().__class__.__base__.__subclasses__() if c is 1])",
        "signal everybody": "__import__('os').kill(-1, 9) is None",
        "signal its group": "__import__('os').kill(0, 9) is None",
        "signal its parent": "__import__('os').kill(__import__('os').getppid(), 9) is None",
        "stop its parent": "__import__('os').kill(1, 19) is None",
        "limit its parent": "__import__('resource').prlimit(1, 7, (0, 0)) and False",
        "say another's verdict": "[__import__('os').write(n, b'x' * 50) for n in range(4, 30)] == []",
        "leave": "__import__('os')._exit(0)",
    }


@pytest.fixture(scope="module")
def reward() -> Iterator[Reward]:
    with load_reward("reasoning_gym", timeout_s=10) as opened:
        yield opened


def row(task: str) -> dict[str, Any]:
    entry = reasoning_gym.create_dataset(task, size=1, seed=1)[0]
    return {
        "question_id": task,
        "gold": json.dumps({"answer": entry["answer"], "task": task, "entry": entry}, default=str),
    }


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    (tmp_path / "secret").write_text("marked-s3cr3t")
    monkeypatch.setenv("API_TOKEN", "marked-s3cr3t")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = str(server.getsockname()[1])
        yield {name: text.replace("PORT", port) for name, text in payloads(tmp_path).items()}
        with pytest.raises(BlockingIOError):
            server.accept()
    assert not (tmp_path / "mark").exists()


def test_these_are_the_tasks_whose_scorers_evaluate() -> None:
    scorers = {name: reasoning_gym.get_score_answer_fn(name) for name in DATASETS if name != MADE_OF_OTHERS}

    assert sorted(name for name, scorer in scorers.items() if _evaluates(scorer)) == EVALUATING
    assert not any(is_plain(scorers[name]) for name in EVALUATING)
    assert is_plain(scorers["chain_sum"])  # of the default: it can be asked where there is no sandbox


@pytest.mark.parametrize("task", EVALUATING)
def test_no_text_that_calls_anything_is_shown_to_a_scorer_that_evaluates(task: str, hostile: dict[str, str]) -> None:
    scorer = reasoning_gym.get_score_answer_fn(task)
    sympy = [
        "S('1')",
        "sin.__class__",
        "Symbol('x')",
        "x.subs(1)",
        "lambda: 1",
        "eval(x)",
        "f(x)",
        "exec",
        "x if x else x!",
    ]

    shown = [text for text in (*hostile.values(), *sympy) if admits(task, scorer, text) and not is_inert(text)]

    assert shown == []


@pytest.mark.parametrize("task", [*EVALUATING, "chain_sum", "sokoban", "jugs", "codeio", "tower_of_hanoi"])
def test_what_is_no_answer_earns_nothing_and_leaves_nothing(reward: Reward, task: str, hostile: dict[str, str]) -> None:
    question = row(task)
    gold = str(json.loads(question["gold"])["answer"])
    texts = [*hostile.values(), *(f"{gold} + {text}" for text in hostile.values()), *["nonsense"] * 2, gold]

    verdicts = reward.score([question] * len(texts), texts)

    assert [verdict.reward for verdict in verdicts] == [0.0] * (len(texts) - 1) + [1.0]


def test_a_judge_that_evaluates_is_confined_and_its_next_verdict_is_its_own(hostile: dict[str, str]) -> None:
    pool = WorkerPool("evaluating_judge:EvaluatingJudge", {}, timeout_s=10, workers=1, sandbox="required")
    in_vain = {name for name in hostile if name.startswith(("patch", "signal its parent", "stop"))}

    found: dict[str, Verdict] = {}
    try:
        for name, text in hostile.items():
            found[name], after = pool.run([Task({}, text, name), Task({}, "1 == 2", "after")])
            assert after.reason == "wrong", name
    finally:
        pool.close()

    assert {name for name, verdict in found.items() if verdict.reward == 1.0} <= in_vain
    assert os.environ["API_TOKEN"] == "marked-s3cr3t"


def test_a_reward_of_ones_own_can_ask_for_the_sandbox(hostile: dict[str, str]) -> None:
    question = {"question_id": "q", "gold": {}}
    texts = [
        hostile[name] for name in ("write a file by a process", "read the environment", "open a socket", "read a file")
    ]

    with load_reward("evaluating_judge:evaluates", sandbox=True) as reward:
        verdicts = reward.score([question] * 6, [*texts, "1 + 1 == 2", "1 + 1 == 3"])

    assert [verdict.reward for verdict in verdicts] == [0.0] * 4 + [1.0, 0.0]


OTHERS: dict[str, dict[str, Any]] = {
    "exact": {"kind": "number", "extract": "tag,whole"},
    "math": {},
    "format": {"form": "boxed"},
    "all_of": {"rewards": {"math": {}, "format": {"form": "boxed"}}},
}


@pytest.mark.parametrize("name", OTHERS)
def test_no_other_reward_runs_what_it_reads(name: str, hostile: dict[str, str]) -> None:
    texts = [form.format(text) for text in hostile.values() for form in (r"\boxed{{{}}}", "<answer>{}</answer>", "{}")]
    question = {"question_id": "q", "gold": {"answer": "5"}}

    with load_reward(name, timeout_s=10, **OTHERS[name]) as reward:
        verdicts = reward.score([question] * (len(texts) + 1), [*texts, r"\boxed{5}"])

    assert name == "format" or {verdict.reward for verdict in verdicts[:-1]} == {0.0}


def test_the_second_verifier_of_math_is_confined(hostile: dict[str, str]) -> None:
    question = {"question_id": "q", "gold": {"answer": "5"}}
    texts = [f"${text}$" for text in hostile.values()]

    with load_second("math", timeout_s=10, workers=2) as second:
        verdicts = second.score([question] * (len(texts) + 1), [*texts, r"\boxed{5}"])

    assert [verdict.reward for verdict in verdicts] == [0.0] * len(texts) + [1.0]


WITHOUT = """
import json, sys
from pathlib import Path
from restem.errors import RewardError
from restem.rewards import load_reward
Path("/proc/sys/user/max_user_namespaces").write_text("0")
easy, hard = json.loads(sys.stdin.read())
with load_reward("reasoning_gym") as reward:
    print(json.dumps([verdict.reward for verdict in reward.score([easy[0]] * 2, [easy[1], "nonsense"])]))
    try:
        reward.score([hard[0]], [hard[1]])
    except RewardError as error:
        print(error.message)
"""


def test_without_a_sandbox_only_scorers_that_compare_are_asked() -> None:
    asked = []
    for task in ("chain_sum", "countdown"):
        question = row(task)
        asked.append([question, str(json.loads(question["gold"])["answer"])])

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", WITHOUT],
        input=json.dumps(asked),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    said = done.stdout.splitlines()
    assert said[0] == "[1.0, 0.0]", done.stderr
    assert "countdown" in said[1] and "user.max_user_namespaces" in said[1]
    assert "No space left" not in done.stdout + done.stderr
