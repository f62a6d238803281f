"""Hostile completions of every class, judged: how many were refused, accepted wrongly, and what they left behind.

A completion leaves something behind if the file that it tries to write is there, if a connection to a port that listens
here was made, if a secret stands in a verdict, if a process of it runs on, or if the completion judged after it gets
another verdict than it would. Completions that time out or crash are refused. Stopped runs are counted apart.
"""

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import reasoning_gym

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "rewards")]

from tests.rewards import test_extraction_time as lengths  # noqa: E402
from tests.rewards.code import attacks  # noqa: E402
from tests.rewards.code.conftest import ADD  # noqa: E402
from tests.rewards.test_escapes import EVALUATING, payloads  # noqa: E402

from restem.errors import RewardError  # noqa: E402
from restem.rewards import load_reward  # noqa: E402
from restem.rewards.second import load_second  # noqa: E402

_SECRET = "marked-s3cr3t"
_KINDS = ("ENDLESS", "BOMBS", "CRASHES", "SUICIDES", "EXITS", "LIES", "SLY", "MONSTERS", "BROKEN_TEXT")


class Row(NamedTuple):
    """One class of completions."""

    name: str
    tried: int
    accepted: int
    left: int
    stopped: int


def _children() -> set[int]:
    found, waiting = set(), [os.getpid()]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}/task")
        for thread in folder.iterdir() if folder.exists() else ():
            more = {int(one) for one in (thread / "children").read_text().split()}
            found |= more
            waiting += more
    return found


@contextmanager
def _watched() -> Iterator[tuple[dict[str, str], Any]]:
    """Yield what asks for the file, the port and the secret that are watched, and what counts what it got."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        place, before = Path(folder), _children()
        (place / "secret").write_text(_SECRET)
        server.settimeout(0)
        port = str(server.getsockname()[1])

        def left() -> int:
            count = int((place / "mark").exists()) + len(_children() - before)
            try:
                server.accept()
            except BlockingIOError:
                return count
            return count + 1

        yield {name: text.replace("PORT", port) for name, text in payloads(place).items()}, left


def _judge(name: str, reward: Any, rows: list[tuple[Any, str]], neighbour: tuple[Any, str], left: Any) -> Row:
    """Return what came of completions, each with a wrong one of another kind behind it that must stay wrong."""
    asked = [pair for row in rows for pair in (row, neighbour)]
    golds = [{"question_id": str(n), "gold": gold} for n, (gold, _) in enumerate(asked)]
    stopped = 0
    verdicts = []
    try:
        with reward:
            verdicts = reward.score(golds, [text for _, text in asked])
    except RewardError:
        stopped = 1
    accepted = sum(verdict.reward > 0 for verdict in verdicts[::2])
    changed = sum(verdict.reward > 0 for verdict in verdicts[1::2])
    told = sum(
        _SECRET in str(verdict.answer) and _SECRET not in text
        for verdict, (_, text) in zip(verdicts, asked, strict=False)
    )
    time.sleep(0.2)
    return Row(name, len(rows), accepted, changed + told + left(), stopped)


def _of_reasoning_gym() -> Row:
    with _watched() as (hostile, left):
        rows = []
        for task in EVALUATING:
            entry = reasoning_gym.create_dataset(task, size=1, seed=1)[0]
            gold = {"answer": entry["answer"], "task": task, "entry": entry}
            rows += [
                (gold, form.format(text, entry["answer"]))
                for text in hostile.values()
                for form in ("{0}", "{1} + {0}", "[{0}]")
            ]
        return _judge(
            "reasoning_gym: code as an answer, scorers that evaluate",
            load_reward("reasoning_gym"),
            rows,
            (rows[0][0], "nonsense"),
            left,
        )


def _of_texts(name: str, reward: Any, gold: dict[str, Any]) -> Row:
    with _watched() as (hostile, left):
        rows = [
            (gold, form.format(text))
            for text in hostile.values()
            for form in ("{}", r"\boxed{{{}}}", "<answer>{}</answer>", "${}$")
        ]
        return _judge(name, reward, rows, (gold, "nonsense"), left)


def _of_own() -> Row:
    """Code that is run: what it does to its own process is left out, for it has no consequence and no verdict."""
    with _watched() as (hostile, left):
        wanted = {
            name: text for name, text in hostile.items() if not name.startswith(("patch", "signal its parent", "stop"))
        }
        rows = [({}, text) for text in wanted.values()]
        reward = load_reward("evaluating_judge:evaluates", sandbox=True)
        return _judge("own reward that evaluates, sandbox: true", reward, rows, ({}, "1 == 2"), left)


def _of_programs() -> list[Row]:
    rows = []
    for kind in _KINDS:
        with _watched() as (_, left):
            texts = list(getattr(attacks, kind).values())
            reward = load_reward("code", timeout_s=1.0, memory_mb=512, disk_mb=16, output_mb=4)
            wrong = "def add(a, b):\n    return a - b\n"
            rows.append(
                _judge(
                    f"code: {kind.lower().replace('_', ' ')}",
                    reward,
                    [(ADD, text) for text in texts],
                    (ADD, wrong),
                    left,
                )
            )
    return rows


def _of_lengths() -> Row:
    slow = tried = 0
    for reader in lengths.READERS.values():
        for piece in lengths.PIECES:
            for before, after in lengths.FRAMES[::3]:
                start = time.process_time()
                reader(before + piece * (lengths.LENGTH // len(piece)) + after)
                tried, slow = tried + 1, slow + (time.process_time() - start > 1.0)
    return Row("texts of 100,000 characters, every reader", tried, 0, slow, 0)


def main() -> None:
    """Print the table; the last line is JSON."""
    os.environ["API_TOKEN"] = _SECRET
    five = {"answer": "5"}
    rows = [
        _of_reasoning_gym(),
        _of_texts("math: code as an answer", load_reward("math"), five),
        _of_texts("math-verify, second verifier: code as an answer", load_second("math", timeout_s=5, workers=2), five),
        _of_texts("exact: code as an answer", load_reward("exact", kind="number", extract="tag,whole"), five),
        _of_own(),
        *_of_programs(),
        _of_lengths(),
    ]
    lines = ["| class | tried | refused | accepted wrongly | left behind | runs stopped |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.tried} | {row.tried - row.accepted} | {row.accepted} | {row.left} | {row.stopped} |"
        for row in rows
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    total = {field: sum(getattr(row, field) for row in rows) for field in ("tried", "accepted", "left", "stopped")}
    sys.stdout.write(json.dumps({"benchmark": "campaign", "ratios": {}, "figures": total, "versions": {}}) + "\n")


if __name__ == "__main__":
    main()
