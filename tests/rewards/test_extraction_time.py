"""Whatever reads a completion takes time linear in it: in the calling process nothing can be killed."""

from collections.abc import Callable
from functools import partial
from time import process_time
from timeit import timeit
from typing import Any

import pytest

from restem.rewards.code import CodeJudge
from restem.rewards.exact import ExactJudge
from restem.rewards.format import FormatJudge
from restem.rewards.judge import ModelJudge
from restem.rewards.math import MathJudge
from restem.rewards.own import OwnJudge
from restem.rewards.reasoning_gym import ReasoningGymJudge
from restem.rewards.reasoning_gym_gate import is_inert
from restem.rewards.rubric import read_verdict

LENGTH = 50_000  # characters; what grows with the square looks at a thousand million pairs of them
PIECES = [
    " ", "\n", " \n", "a", "7", "!", "`", "```\n", "~", "$", r"\$", "$$ ", r"\[", r"\(", r"\[1\] and ", r"\boxed{",
    r"\boxed{1}, ",
    "{", "answer is ", "answer   ", "####", "####\n", "\nA:", "</think>", "<answer>", "</answer>", "<|im_start|>",
    "I hope it is correct. ", "(", "f( ", ") ", "1, ", "$1$ and ", "= ", "- ", "def f():\n", "abc ", "\u3000",
]  # fmt: skip
FRAMES = [
    ("", ""), ("x", "y"), ("$1$", "$2$ z"), ("It is 5. ", "\nend."), ("```", "`"), ("```\n", "\n```"),
    ("answer is ", "x"), ("<answer>", "`"), (r"\boxed{", "}"), ("#### ", "x"),
]  # fmt: skip
GOLD = {"entry_point": "f", "answer": "5"}
WAYS = "tag,answer_is,hashes,last_line,first_line,whole"


def form(name: str) -> Callable[[str], Any]:
    judge = FormatJudge(form=name)
    return lambda text: judge.judge({}, text)


def finds(judge: Any) -> Callable[[str], Any]:
    return lambda text: judge.answer_of(GOLD, text)


READERS: dict[str, Callable[[str], Any]] = {
    "math": finds(MathJudge()),
    "code": finds(CodeJudge()),
    "exact": finds(ExactJudge(extract=WAYS)),
    "reasoning_gym": finds(ReasoningGymJudge(extract=WAYS)),
    "the gate of reasoning_gym": is_inert,
    "judge": finds(ModelJudge(base_url="http://127.0.0.1:1/v1", model="m")),
    "a judge's reply": lambda text: read_verdict(text, "a1b2c3d4"),
    "own": finds(OwnJudge(path="own_rewards:exact_text")),
    **{f"format {name}": form(name) for name in ("boxed", "hashes", "answer_is", "tag", "code_block")},
}


@pytest.mark.parametrize("reader", READERS)
def test_a_completion_is_read_in_time_whatever_repeats(reader: str) -> None:
    for piece in PIECES:
        repeated = piece * (LENGTH // len(piece))
        for before, after in FRAMES[:: 3 if reader == "math" else 1]:  # it is linear, but looks many times
            text = before + repeated + after
            # timeit lets no garbage be collected meanwhile, which takes a second where many models were loaded.
            took_s = timeit(partial(READERS[reader], text), number=1, timer=process_time)
            assert took_s < 1.0, (piece, before, after)  # a tenth of it is usual; the square takes half a minute
