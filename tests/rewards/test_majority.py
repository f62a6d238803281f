"""The reward whose labels are the majorities of the samples that it judges."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.errors import RewardError
from restem.rewards import Reward, check_golds, load_reward, opinions
from restem.rewards.loading import deciding_reward_options


@pytest.fixture(scope="module")
def majority() -> Iterator[Reward]:
    with load_reward("majority") as reward:
        yield reward


def judged(reward: Reward, *answers: str, name: str = "q") -> list[str]:
    question = {"question_id": name, "text": "?", "gold": {}}
    return [verdict.reason for verdict in reward.score([question] * len(answers), list(answers))]


def boxed(*answers: str) -> list[str]:
    return [rf"\boxed{{{answer}}}" for answer in answers]


def test_what_most_samples_answer_is_right_however_it_is_written(majority: Reward) -> None:
    answers = [*boxed("0.5", r"\frac{1}{2}", "7", "3"), "so the answer is 1/2", "no idea"]

    assert judged(majority, *answers) == ["correct", "correct", "wrong", "wrong", "correct", "no_answer"]


@pytest.mark.parametrize(
    "answers",
    [
        ("1", "1", "2", "2"),
        ("1", "2"),
        ("1",),
        ("0.5", "1/2", "2", "2.0"),  # a tie of spellings
        ("1/0", "1/0", "2"),  # what has no value is no label
    ],
)
def test_a_tie_a_single_answer_and_nothing_of_value_give_no_label(majority: Reward, answers: tuple[str, ...]) -> None:
    assert set(judged(majority, *boxed(*answers))) == {"unparseable_gold"}


def test_spellings_of_a_label_must_equal_one_another(majority: Reward) -> None:
    verdicts = judged(majority, *boxed("10", "10", "10", "10 cm", "10 m", "11", "11"))

    assert verdicts[:3] == ["correct"] * 3 and verdicts[5:] == ["wrong"] * 2
    assert sorted(verdicts[3:5]) == ["correct", "wrong"]  # a length is one of them


def test_what_only_the_unit_holds_together_is_no_majority(majority: Reward) -> None:
    assert set(judged(majority, *boxed("10", "10 cm", "10 m", "11", "11"))) == {"unparseable_gold"}


def test_what_is_said_often_and_answers_nothing_is_no_label(majority: Reward) -> None:
    assert set(judged(majority, *["I do not know"] * 5, *boxed("4", "4"))) == {"no_answer", "correct"}
    assert set(judged(majority, *boxed("red", "red"), "the answer is red")) == {"correct"}


def test_questions_vote_apart_wherever_their_samples_stand(majority: Reward) -> None:
    questions = [{"question_id": name, "text": "?", "gold": {}} for name in "abababa"]

    verdicts = majority.score(questions, boxed("1", "2", "1", "2", "2", "1", "1"))

    assert [verdict.reward for verdict in verdicts] == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]


def test_a_gold_that_is_there_is_not_looked_at(majority: Reward) -> None:
    question = {"question_id": "q", "text": "?", "gold": json.dumps({"answer": "2"})}

    assert [verdict.reward for verdict in majority.score([question] * 3, boxed("1", "1", "2"))] == [1.0, 1.0, 0.0]
    assert check_golds([{**question, "reward": "majority"}], open_reward=lambda name: majority).empty


def test_a_share_can_be_asked_for_and_answers_be_compared_exactly() -> None:
    with load_reward("majority", of="exact", kind="string", min_share=0.5) as reward:
        assert judged(reward, "a", "A", "b", "c") == ["correct", "correct", "wrong", "wrong"]
        assert set(judged(reward, "a", "A", "b", "c", "")) == {"unparseable_gold", "no_answer"}


def test_unfinished_reasoning_has_no_vote(majority: Reward) -> None:
    assert judged(majority, "<think>1", "<think>1", "2", "2") == ["truncated", "truncated", "correct", "correct"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "code"}, "majority.of must be one of math, exact, got 'code'"),
        ({"min_share": 1.5}, r"majority.min_share must be in \[0, 1\], got 1.5"),
        ({"box": "middle"}, "box must be one of"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RewardError, match=message):
        load_reward("majority", **options)


def test_it_is_no_part_of_others_and_its_version_follows_the_options() -> None:
    with pytest.raises(RewardError, match="judges all samples of a question, and stands alone"):
        load_reward("all_of", rewards={"majority": {}, "format": {"form": "boxed"}})
    versions = {load_reward("majority", **options).version for options in ({}, {"box": "first"}, {"min_share": 0.5})}
    assert len(versions) == 3 and all(version.startswith("majority-") for version in versions)
    assert deciding_reward_options("majority", {"box": "first"}) == {"of": "math", "min_share": 0.0, "box": "first"}
    assert opinions(["majority"], {})["majority"].endswith("without any ground truth")


def test_restem_score_lets_all_samples_of_a_file_vote(tmp_path: Path) -> None:
    rows = [{"question_id": f"q{number % 300}", "completion": rf"\boxed{{{number // 900}}}"} for number in range(1200)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))

    result = CliRunner().invoke(restem, ["score", str(tmp_path / "a.jsonl"), "--reward", "majority"])

    rewards = [json.loads(line)["reward"] for line in result.stdout.splitlines()]
    assert rewards == [1.0] * 900 + [0.0] * 300
    assert "without any ground truth, not a check" in result.stderr
