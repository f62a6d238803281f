"""The reward without ground truth judges nothing that is evaluated."""

import json
from pathlib import Path
from typing import Any

import pytest

from restem.configuration.check import check_parameters
from restem.configuration.resolve import merged
from restem.errors import ParameterError, QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions import load_questions
from tests.builders import GROUPS

EMPTY: dict[str, Any] = {"experiment": "e", **{group: {} for group in GROUPS}}
BY_MAJORITY = {"questions": {"train_reward": "majority"}, "evaluation": {"n_train_questions": 0}}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"questions": {"reward": "majority"}}, "questions.reward=majority has no ground truth"),
        (
            {"questions": {"transfer": {"mine": {"source": "file", "path": "a", "reward": "majority"}}}},
            "questions.transfer.mine.reward=majority has no ground truth",
        ),
        ({"evaluation": {"n_train_questions": 4}}, "leave out the suite train with evaluation.n_train_questions=0"),
        ({"sampling": {"follow_up": {"rounds": 1}}}, "sampling.follow_up.rounds must be 0"),
    ],
)
def test_majorities_measure_nothing(changed: dict[str, Any], message: str) -> None:
    assert check_parameters(merged(EMPTY, BY_MAJORITY)).questions.train_reward == "majority"

    with pytest.raises(ParameterError, match=message):
        check_parameters(merged(merged(EMPTY, BY_MAJORITY), changed))


def rows(folder: Path, reward_of_test: str) -> QuestionsParameters:
    file = folder / "questions.jsonl"
    golds = {"gold": {"answer": "1"}}
    written = [
        {"text": "a", "split": "train", "reward": "majority"},
        {"text": "b", "split": "train", **golds},
        {"text": "c", "split": "test", "reward": reward_of_test, **golds},
    ]
    file.write_text("\n".join(map(json.dumps, written)))
    return QuestionsParameters(source="file", options={"path": str(file)}, n_validation=0)


def test_a_question_to_train_on_needs_no_gold_and_one_that_is_measured_has_another_reward(tmp_path: Path) -> None:
    loaded = load_questions(rows(tmp_path, "math")).set_index("text")

    assert loaded["reward"].to_dict() == {"a": "majority", "b": "exact", "c": "math"}
    assert loaded["gold"].to_dict()["a"] == "{}"
    with pytest.raises(QuestionsError, match="majority has no ground truth, so it cannot judge test questions"):
        load_questions(rows(tmp_path, "majority"))


def test_the_reward_of_training_questions_is_theirs_alone(tmp_path: Path) -> None:
    asked = QuestionsParameters(
        n_train=2, n_validation=1, n_test=1, n_exemplars=0, reward="math", train_reward="majority"
    )

    judged = load_questions(asked).groupby("split")["reward"].agg(set).to_dict()

    assert judged == {"train": {"majority"}, "validation": {"math"}, "test": {"math"}}
