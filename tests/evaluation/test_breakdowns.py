import pandas as pd
import pytest

from restem.errors import EvaluationError
from restem.evaluation.breakdowns import DIFFICULTIES, break_down, pass_at_k_curves
from tests.builders import evaluation

BASE = evaluation([8, 6, 5, 4, 3, 2, 1, 0], level=["a"] * 4 + ["b"] * 4)


def numbers(table: pd.DataFrame, by: str, metric: str = "pass_at_1", iteration: int = 0) -> dict[str, float]:
    chosen = table[(table["by"] == by) & (table["metric"] == metric) & (table["iteration"] == iteration)]
    return dict(zip(chosen["group"], chosen["value"], strict=True))


def test_difficulty_is_the_base_policys_share_of_correct_samples() -> None:
    table = break_down({0: BASE, 1: evaluation([0] * 8, level=list("aaaabbbb"))}, k=[1], seed=0)

    of_base = numbers(table, "difficulty")
    assert list(of_base) == list(DIFFICULTIES)
    assert list(of_base.values()) == pytest.approx([7 / 8, 4.5 / 8, 2.5 / 8, 0.5 / 8])
    assert numbers(table, "difficulty", iteration=1) == dict.fromkeys(DIFFICULTIES, 0.0)
    counts = table[(table["by"] == "difficulty") & (table["metric"] == "pass_at_1") & (table["iteration"] == 1)]["n"]
    assert counts.tolist() == [2, 2, 2, 2]


def test_every_number_of_a_group_has_its_interval() -> None:
    table = break_down({0: BASE}, k=[1, 8], seed=0)

    assert numbers(table, "level") == pytest.approx({"a": 23 / 32, "b": 6 / 32})
    assert (table["low"] <= table["value"] + 1e-12).all()
    assert (table["value"] <= table["high"] + 1e-12).all()
    assert {"pass_at_8", "greedy_pass_at_1", "distinct_share", "mean_tokens"} <= set(table["metric"])


def test_a_source_that_all_questions_share_is_no_group() -> None:
    assert set(break_down({0: BASE}, k=[1], seed=0)["by"]) == {"level", "difficulty"}


def test_k_above_the_samples_of_a_suite_is_left_out() -> None:
    table = break_down({0: BASE}, k=[1, 8, 16], seed=0)

    assert "pass_at_16" not in set(table["metric"])
    assert "pass_at_8" in set(table["metric"])


def test_a_question_that_the_base_policy_was_not_asked_has_no_difficulty() -> None:
    with pytest.raises(EvaluationError, match=r"iteration 1 was evaluated on questions that .* test-00008"):
        break_down({0: BASE, 1: evaluation([1] * 9)}, k=[1], seed=0)


def test_curves_are_of_every_policy_and_suite() -> None:
    both = pd.concat([BASE, evaluation([1, 2], suite="train")], ignore_index=True)

    table = pass_at_k_curves({0: both, 1: both}, seed=0)

    assert len(table) == 2 * 2 * 8
    last = table.set_index(["iteration", "suite", "k"])["value"]
    assert last[0, "test", 8] == pytest.approx(7 / 8)
    assert last[1, "train", 8] == 1.0
