import json
from typing import Any

import pandas as pd
import reasoning_gym

from restem.rewards import Reward, check_golds, load_reward


def question(question_id: str, gold: Any, reward: str = "math") -> dict[str, Any]:
    return {"question_id": question_id, "gold": gold, "reward": reward}


def opened(name: str) -> Reward:
    return load_reward(name, **({"kind": "number"} if name == "exact" else {}))


def test_quarantines_the_questions_whose_gold_cannot_earn_one() -> None:
    questions = [
        question("fine", '{"answer": "1/2"}'),
        question("empty", '{"answer": ""}'),
        question("not json", "{answer"),
        question("too long", {"answer": "1" * 1200}),
        question("no number", '{"answer": "many"}', "exact"),
        question("a function", '{"answer": "x"}', "own_rewards:exact_text"),
    ]

    found = check_golds(pd.DataFrame(questions), open_reward=opened)

    assert list(found.columns) == ["question_id", "reward", "reason"]
    assert sorted(found["question_id"]) == ["empty", "no number", "not json", "too long"]


def test_quarantines_a_question_whose_reward_takes_a_wrong_answer() -> None:
    task = "game_of_life_halting"  # its scorer gives 1 to any text when the gold is False
    entries = list(reasoning_gym.create_dataset(task, size=3, seed=1))
    golds = [{"answer": entry["answer"], "task": task, "entry": json.loads(json.dumps(entry))} for entry in entries]

    found = check_golds([question(str(index), gold, "reasoning_gym") for index, gold in enumerate(golds)])

    assert list(found["question_id"]) == ["0", "1", "2"]
    assert all(reason.startswith("the wrong answer") for reason in found["reason"])


def test_no_questions_no_quarantine() -> None:
    assert check_golds([]).empty
