"""Of a completion that reasons first, only what follows the reasoning is judged."""

from typing import Any

import pytest

from restem.errors import RewardError
from restem.rewards import load_reward

GOLD = {"gold": {"answer": "37"}}


def reasons(completions: list[str], name: str = "math", **options: Any) -> list[str]:
    with load_reward(name, workers=1, **options) as reward:
        return [verdict.reason for verdict in reward.score([GOLD] * len(completions), completions)]


def test_unfinished_reasoning_is_truncated_and_what_it_says_counts_for_nothing() -> None:
    expected = {
        "<think>The answer is 37": "truncated",
        "Let me see. <think>The answer is 37.\n\nSo 37": "truncated",
        "<think>a</think> <think>The answer is 37": "truncated",
        "<think>The answer is 37</think>": "no_answer",
        "<think>The answer is 37</think>The answer is 38": "wrong",
        "<think>The answer is 38</think>The answer is 37": "correct",
        "It is 38.</think>The answer is 37": "correct",
        "The answer is 37": "correct",
    }

    assert dict(zip(expected, reasons(list(expected)), strict=True)) == expected


def test_every_reward_leaves_reasoning_out() -> None:
    assert reasons(["<think>37", "<think>38</think>37"], "exact") == ["truncated", "correct"]


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        ({"start": "[THINK]", "end": "[/THINK]"}, ["truncated", "correct", "wrong", "correct"]),
        ({"opened": True}, ["truncated", "truncated", "correct", "truncated"]),
        (None, ["wrong", "wrong", "wrong", "correct"]),
    ],
)
def test_the_marks_of_reasoning_are_an_option(reasoning: Any, expected: list[str]) -> None:
    completions = ["[THINK]37", "[THINK]38[/THINK]37", "x</think>37", "37"]

    assert reasons(completions, "exact", reasoning=reasoning) == expected


def test_other_marks_are_another_version() -> None:
    options: list[dict[str, Any]] = [{}, {"reasoning": None}, {"reasoning": {"opened": True}}]

    assert len({load_reward("math", **one).version for one in options}) == len(options)


@pytest.mark.parametrize("option", ["<think>", {"begin": "x"}, {"start": ""}, {"opened": "yes"}])
def test_refuses_marks_that_are_none(option: Any) -> None:
    with pytest.raises(RewardError, match="reasoning"):
        load_reward("math", reasoning=option)
