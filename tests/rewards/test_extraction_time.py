"""Answers are found in the calling process, where nothing can be killed: in time linear in the completion."""

import time
from typing import Any

import pytest

from restem.rewards.code import CodeJudge
from restem.rewards.exact import ExactJudge
from restem.rewards.math import MathJudge

LENGTH = 40_000  # characters
PIECES = [
    " ", "\n", " \n", "a", "7", "!", "`", "```\n", "~", "$", r"\$", "$$ ", r"\[", r"\(", r"\[1\] and ", r"\boxed{",
    r"\boxed{1}, ",
    "{", "answer is ", "answer   ", "####", "####\n", "\nA:", "</think>", "<answer>", "</answer>", "<|im_start|>",
    "I hope it is correct. ", "(", "f( ", ") ", "1, ", "$1$ and ", "= ", "- ", "def f():\n", "abc ", "\u3000",
]  # fmt: skip
JUDGES: dict[str, Any] = {
    "math": MathJudge(),
    "code": CodeJudge(),
    "exact": ExactJudge(extract="tag,answer_is,hashes,last_line,first_line,whole"),
}


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("piece", PIECES)
def test_an_answer_is_found_in_time_whatever_repeats(judge: str, piece: str) -> None:
    text = piece * (LENGTH // len(piece))

    start = time.process_time()
    for completion in (text, f"x{text}y", f"$1${text}$2$ z", f"It is 5. {text}\nend."):
        JUDGES[judge].answer_of({"entry_point": "f", "answer": "5"}, completion)
    took_s = time.process_time() - start

    assert took_s < 2.0  # what grows with the square takes many times as long
