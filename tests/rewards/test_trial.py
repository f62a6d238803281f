"""A reward of one's own is tried before anything is sampled."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from restem.errors import RewardError
from restem.rewards import check_golds, load_reward
from restem.rewards.verdicts import Verdict

QUESTIONS = [
    {"question_id": f"q{number}", "text": f"{number}?", "gold": {"answer": str(number)}, "reward": ""}
    for number in range(5)
]


def raising(question: dict[str, Any], completion: str) -> float:
    return {"yes": 1.0}[completion]


def raising_now_and_then(question: dict[str, Any], completion: str) -> float:
    return float(completion.split(maxsplit=1)[0] == question["gold"]["answer"])


def none(question: dict[str, Any], completion: str) -> Any:
    return None


def seven(question: dict[str, Any], completion: str) -> Any:
    return 7


def text(question: dict[str, Any], completion: str) -> Any:
    return "1.0"


def nan(question: dict[str, Any], completion: str) -> Any:
    return float("nan")


def zero(question: dict[str, Any], completion: str) -> float:
    return 0.0


def never_all(question: dict[str, Any], completion: str) -> float:
    return 0.5


def hanging(question: dict[str, Any], completion: str) -> float:
    while True:
        pass


def boxed(question: dict[str, Any], completion: str) -> float:
    return float(completion == rf"\boxed{{{question['gold']['answer']}}}")


def even(question: dict[str, Any], completion: str) -> float:
    return float(completion == question["gold"]["answer"] and int(completion) % 2 == 0)


def polite(question: dict[str, Any], completion: str) -> Verdict:
    return Verdict(1.0, "correct", None) if completion.endswith("please.") else Verdict(0.0, "wrong", None)


polite.accepts = lambda question: f"{question['gold']['answer']}, please."  # type: ignore[attr-defined]


def audited(name: str, timeout_s: float = 1.0) -> Any:
    path = f"test_trial:{name}"
    rows = [{**question, "reward": path} for question in QUESTIONS]
    return check_golds(rows, open_reward=lambda of: load_reward(of, timeout_s=timeout_s, workers=1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raising", "KeyError"),
        ("raising_now_and_then", "IndexError"),
        ("none", "must return a number from 0 to 1 or a Verdict, and returned None"),
        ("seven", r"must be in \[0, 1\], got 7"),
        ("text", "and returned '1.0'"),
        ("nan", r"must be in \[0, 1\], got nan"),
        ("zero", "gave 1 to no completion that says what is right, such as '"),
        ("never_all", "gave 1 to no completion"),
    ],
)
def test_a_reward_that_would_stop_the_run_or_teach_nothing_is_refused(name: str, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        audited(name)


@pytest.mark.parametrize("name", ["raising", "none"])
def test_the_line_of_the_users_own_code_is_named(name: str) -> None:
    function: Any = getattr(sys.modules[__name__], name)
    line = function.__code__.co_firstlineno

    with pytest.raises(RewardError) as error:
        audited(name)

    assert any(f"{Path(__file__).name}, line {found}" in str(error.value) for found in (line, line + 1))


def test_a_reward_that_hangs_is_refused_at_its_first_completion() -> None:
    before = time.monotonic()

    with pytest.raises(RewardError, match=r"was not done within scoring\.timeout_s"):
        audited("hanging", timeout_s=0.3)

    assert time.monotonic() - before < 10


@pytest.mark.parametrize("name", ["boxed", "polite"])
def test_a_reward_is_tried_in_the_form_that_it_accepts(name: str) -> None:
    assert audited(name).empty


def test_a_question_that_its_reward_can_never_be_earned_with_is_named() -> None:
    assert audited("even")["question_id"].tolist() == ["q1", "q3"]
