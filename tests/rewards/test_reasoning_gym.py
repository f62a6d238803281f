import json
from typing import Any

import pytest
import reasoning_gym

from restem.rewards import check_golds, load_reward
from restem.rewards.reasoning_gym import ReasoningGymJudge

TASKS = ["chain_sum", "products", "gcd", "simple_equations", "gsm_symbolic", "knights_knaves", "letter_jumble"]


def questions(task: str, size: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "question_id": f"{task}-{index}",
            "reward": "reasoning_gym",
            "gold": json.dumps({"answer": entry["answer"], "task": task, "entry": entry}, default=str),
        }
        for index, entry in enumerate(reasoning_gym.create_dataset(task, size=size, seed=1))
    ]


def test_accepts_its_own_gold() -> None:
    assert check_golds([row for task in TASKS for row in questions(task)]).empty


@pytest.mark.parametrize(
    "form", ["{} and some more text", "maybe {}", "{0}\n{0}", "{} or 77", "not {}", "5 {}", "{}77"]
)
def test_text_around_the_right_answer_earns_nothing(form: str) -> None:
    judge = ReasoningGymJudge()
    rows = [json.loads(row["gold"]) for task in TASKS for row in questions(task)]

    verdicts = [judge.judge(gold, form.format(gold["answer"])) for gold in rows]

    assert {verdict.reward for verdict in verdicts} == {0.0}


def test_the_last_tag_counts_and_else_the_whole_completion() -> None:
    row = questions("chain_sum", size=1)[0]
    answer = json.loads(row["gold"])["answer"]
    completions = [
        f"<answer>1</answer> <answer> {answer} </answer>.",
        f" {answer}\n",
        f"<answer>{answer}</answer><answer>1</answer>",
    ]

    with load_reward("reasoning_gym") as reward:
        verdicts = reward.score([row] * 4, [*completions, " "])

    assert [verdict.reason for verdict in verdicts] == ["correct", "correct", "wrong", "no_answer"]


def test_an_unknown_task_is_an_unparseable_gold() -> None:
    entry = {"question": "", "answer": "1", "metadata": {}}

    assert (
        ReasoningGymJudge().judge({"answer": "1", "task": "no_task", "entry": entry}, "1").reason == "unparseable_gold"
    )
