import time
from typing import Any

import pytest

from restem.errors import RewardError
from restem.rewards import check_golds, load_reward
from restem.rewards.format import FormatJudge
from restem.rewards.verdicts import Verdict


def verdict(completion: str, **options: Any) -> Verdict:
    judge = FormatJudge(**options)
    answer = judge.answer_of({}, completion)
    return Verdict(0.0, "no_answer", None) if answer is None else judge.judge({}, answer.text)


@pytest.mark.parametrize(
    ("form", "completion", "answer"),
    [
        ("boxed", r"so $\boxed{\frac{1}{2}}$.", r"\frac{1}{2}"),
        ("boxed", "\\[\\boxed{5}\\]\n", "5"),
        ("boxed", r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        ("boxed", r"first \boxed{1}, then \boxed {\frac{1}{2}}", r"\frac{1}{2}"),
        ("hashes", "2 + 2 = 4\n#### 1,234.50", "1,234.50"),
        ("hashes", "#### -7\n", "-7"),
        ("answer_is", "We add.\nThe answer is 4.", "4."),
        ("tag", "<think>hm</think><answer> 4 </answer>", "4"),
        ("code_block", "So:\n```python\nx = 1\n```\n", "x = 1"),
    ],
)
def test_a_completion_that_ends_in_the_asked_form_is_correct(form: str, completion: str, answer: str) -> None:
    assert verdict(completion, form=form) == Verdict(1.0, "correct", answer)


@pytest.mark.parametrize(
    ("form", "completion"),
    [
        ("boxed", r"\boxed{5} is the answer"),
        ("boxed", r"\boxed{}"),
        ("boxed", r"boxed{5}"),
        ("boxed", "\\boxed{5"),
        ("boxed", r"{\boxed{5}}"),
        ("boxed", r"\boxed{5}}"),
        ("boxed", r"\fbox{5}"),
        ("boxed", r"\boxed 5"),
        ("boxed", "}" * 50),
        ("hashes", "#### four"),
        ("hashes", "#### 4 apples"),
        ("hashes", "#### 4\nDone."),
        ("answer_is", "The answer is 4.\nIs it?"),
        ("answer_is", "The answer is "),
        ("tag", "<answer>4</answer> or so"),
        ("tag", "<answer> </answer>"),
        ("code_block", "```python\nx = 1"),
        ("code_block", "x = 1"),
    ],
)
def test_another_end_is_wrong(form: str, completion: str) -> None:
    assert verdict(completion, form=form).reward == 0.0


def test_an_empty_completion_is_no_answer() -> None:
    assert verdict(" \n", form="tag").reason == "no_answer"


def test_a_pattern_must_match_up_to_the_end() -> None:
    options = {"pattern": r"Answer: \d+", "example": "Answer: {answer}"}

    assert verdict("So.\nAnswer: 12 \n", **options) == Verdict(1.0, "correct", "Answer: 12")
    assert verdict("Answer: 12 or 13", **options).reward == 0.0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"form": "box"},
        {"form": "tag", "pattern": "x", "example": "{answer}"},
        {"pattern": "x"},
        {"pattern": "x", "example": "no place"},
        {"pattern": "(", "example": "{answer}"},
    ],
)
def test_bad_options_are_refused_when_the_reward_is_loaded(options: dict[str, Any]) -> None:
    with pytest.raises(RewardError, match="the reward 'format' refuses its options"):
        load_reward("format", **options)


def test_a_pattern_that_never_ends_costs_its_limit() -> None:
    with load_reward("format", timeout_s=0.3, workers=1, pattern="(a+)+b", example="{answer}") as reward:
        reward.score([{"gold": {}}], ["ab"])
        start = time.monotonic()
        (found,) = reward.score([{"gold": {}}], ["a" * 60])

    assert found == Verdict(0.0, "timeout", None)
    assert time.monotonic() - start < 10


def test_a_form_that_no_gold_can_take_is_found_before_sampling() -> None:
    questions = [{"question_id": name, "gold": {"answer": name}, "reward": "format"} for name in ("12", "x + 1")]

    found = check_golds(questions, open_reward=lambda name: load_reward(name, form="hashes"))

    assert list(found["question_id"]) == ["x + 1"]
