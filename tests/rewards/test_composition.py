import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.errors import RewardError
from restem.rewards import Verdict, check_golds, load_reward
from tests.conftest import Project

HALF = {"question_id": "q", "gold": {"answer": "1/2"}}
RIGHT, BARE, WRONG = "so \\boxed{0.5}", "The answer is 0.5", "so \\boxed{3}"
MATH_BOXED = {"math": {}, "format": {"form": "boxed"}}


def test_all_of_gives_what_the_least_generous_gives_and_its_reason() -> None:
    with load_reward("all_of", rewards=MATH_BOXED) as reward:
        verdicts = reward.score([HALF] * 4, [RIGHT, BARE, WRONG, " "])

    assert [(verdict.reward, verdict.reason) for verdict in verdicts] == [
        (1.0, "correct"),
        (0.0, "wrong"),
        (0.0, "wrong"),
        (0.0, "no_answer"),
    ]
    assert [(verdict.answer, verdict.found_by) for verdict in verdicts[:2]] == [("0.5", "box"), ("0.5", "answer is")]


def test_all_of_does_not_show_a_part_what_another_gave_nothing(tmp_path: Path) -> None:
    log = tmp_path / "seen"

    with load_reward(
        "all_of", rewards={"format": {"form": "boxed"}, "own_rewards:counting": {"log": str(log)}}
    ) as reward:
        reward.score([HALF] * 3, [RIGHT, BARE, WRONG])

    assert sorted(log.read_text().splitlines()) == sorted([RIGHT, WRONG])


def test_weighted_is_the_weighted_sum() -> None:
    with load_reward("weighted", rewards=MATH_BOXED, weights={"math": 0.9, "format": 0.1}) as reward:
        verdicts = reward.score([HALF] * 3, [RIGHT, BARE, WRONG])

    assert [(verdict.reward, verdict.reason) for verdict in verdicts] == [
        (1.0, "correct"),
        (0.9, "wrong"),
        (0.1, "wrong"),
    ]


def test_parts_may_be_made_of_parts() -> None:
    inner = {"rewards": MATH_BOXED}
    options = {"rewards": {"all_of": inner, "own_rewards:exact_text": None}}

    with load_reward("weighted", **options, weights={"all_of": 0.5, "own_rewards:exact_text": 0.5}) as reward:
        verdicts = reward.score([HALF], [RIGHT])

    assert verdicts == [Verdict(0.5, "wrong", "0.5", 0.0, "box")]


def test_the_version_follows_parts_options_weights_and_order() -> None:
    other_form = {**MATH_BOXED, "format": {"form": "tag"}}
    versions = [
        load_reward("all_of", rewards=MATH_BOXED).version,
        load_reward("all_of", rewards=other_form).version,
        load_reward("all_of", rewards=dict(reversed(MATH_BOXED.items()))).version,
        load_reward("weighted", rewards=MATH_BOXED, weights={"math": 0.9, "format": 0.1}).version,
        load_reward("weighted", rewards=MATH_BOXED, weights={"math": 0.8, "format": 0.2}).version,
    ]

    assert len(set(versions)) == 5
    assert load_reward("all_of", rewards=MATH_BOXED).version == versions[0]


def containing_itself() -> dict[str, Any]:
    rewards: dict[str, Any] = {}
    rewards["all_of"] = {"rewards": rewards}
    return {"rewards": rewards}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("all_of", {}, "'all_of' needs rewards"),
        ("all_of", {"rewards": {}}, "'all_of' needs rewards"),
        ("all_of", {"rewards": ["math"]}, "'all_of' needs rewards"),
        ("all_of", {"rewards": {"maths": {}}}, r"all_of\.rewards\.maths: there is no reward 'maths'"),
        ("all_of", {"rewards": {"math": {"box": "second"}}}, r"all_of\.rewards\.math: .* box must be one of"),
        ("all_of", {"rewards": {"math": 1}}, r"all_of\.rewards\.math must be a mapping of options, got 1"),
        ("all_of", {"rewards": {"math": {}}, "weights": {"math": 1}}, r"takes rewards, got \['rewards', 'weights'\]"),
        ("all_of", containing_itself(), "'all_of' contains itself"),
        ("weighted", {"rewards": MATH_BOXED}, "must give every one of math, format a weight, got None"),
        ("weighted", {"rewards": MATH_BOXED, "weights": {"math": 1.0}}, "must give every one of math, format a weight"),
        ("weighted", {"rewards": MATH_BOXED, "weights": {"math": 0.9, "format": 0.2}}, "sum to 1"),
        ("weighted", {"rewards": MATH_BOXED, "weights": {"math": 1.1, "format": -0.1}}, "above 0"),
        ("weighted", {"rewards": MATH_BOXED, "weights": {"math": "1", "format": 0.1}}, "above 0"),
    ],
)
def test_bad_parts_are_refused_when_the_reward_is_loaded(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RewardError, match=said):
        load_reward(name, **options)


@pytest.mark.parametrize("form", ["boxed", "answer_is", "tag"])
def test_a_gold_is_brought_into_every_form_that_is_asked_for_and_earns_one(form: str) -> None:
    question = {**HALF, "gold": {"answer": r"\frac{1}{2}"}, "reward": "all_of"}
    rewards = {"math": {}, "format": {"form": form}}

    with load_reward("all_of", rewards=rewards) as reward:
        completion = reward.gold_completion(question)
        found = check_golds([question], open_reward=lambda name: reward)

    assert completion is not None and r"\boxed" in completion
    assert found.empty


def test_a_gold_that_cannot_please_all_parts_is_quarantined_with_the_part_or_the_reason() -> None:
    questions = [{"question_id": name, "gold": {"answer": name}, "reward": "all_of"} for name in ("12", "1/2", "")]
    rewards = {"math": {}, "format": {"form": "hashes"}}

    with load_reward("all_of", rewards=rewards) as reward:
        found = check_golds(pd.DataFrame(questions), open_reward=lambda name: reward)

    assert dict(zip(found["question_id"], found["reason"], strict=True)) == {
        "1/2": "format: its own gold earns 0: wrong",
        "": "math: its own gold earns 0: no_answer",
    }


def test_a_program_can_be_asked_for_in_a_block() -> None:
    solution = "def add(a, b):\n    return a + b\n"
    gold = {"tests": "assert add(1, 2) == 3", "entry_point": "add", "solution": solution}
    rewards = {"format": {"form": "code_block"}, "code": {}}

    with load_reward("all_of", rewards=rewards) as reward:
        completion = reward.gold_completion({"gold": gold})
        verdicts = reward.score([{"gold": gold}] * 2, [str(completion), solution])

    assert completion == f"```python\n{solution}```"
    assert [verdict.reward for verdict in verdicts] == [1.0, 0.0]


def test_restem_score_takes_a_composed_reward(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({**HALF, "completion": text}) + "\n" for text in (RIGHT, BARE)))

    result = CliRunner().invoke(
        restem, ["score", str(file), "--reward", "all_of", "--option", f"rewards={json.dumps(MATH_BOXED)}"]
    )

    assert [json.loads(line)["reward"] for line in result.stdout.splitlines()] == [1.0, 0.0]


def test_an_experiment_is_judged_by_the_reward_that_questions_reward_names(project: Project) -> None:
    options = {"all_of": {"rewards": {"reasoning_gym": {}, "format": {"pattern": r"\d+", "example": "{answer}"}}}}

    project.run("prepare", questions__reward="all_of", scoring__options=options)

    questions = project.catalog().load("questions")
    assert set(questions["reward"]) == {"all_of"}
    assert project.catalog().load("quarantined_questions").empty
