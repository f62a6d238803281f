import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.errors import EmptyTrainingSetError
from restem.filtering.selection import Sources, at_iteration, equations, select_training_set, summarise_filtering
from restem.filtering.solutions import HUMAN, accumulate, human_solutions
from restem.parameters import FilteringParameters
from restem.store.journal import Journal
from restem.store.tables import ShardedTable

PROMPTS = pd.DataFrame({"question_id": ["q1", "q2"], "prompt_id": ["a", "b"], "prompt": ["1?", "2?\n"]})
QUESTIONS = pd.DataFrame(
    {
        "question_id": ["q1", "q2", "q3"],
        "split": ["train", "train", "test"],
        "gold": [json.dumps({"answer": "1", "solution": text}) for text in ("one", "two", "three")],
    }
)


def scored(
    question_id: str, completion: str, *, reward: float = 1.0, index: int = 0, policy: str = "p"
) -> dict[str, Any]:
    return {
        "policy_id": policy,
        "question_id": question_id,
        "sample_index": index,
        "completion": completion,
        "finish_reason": "stop",
        "reward": reward,
    }


def table(folder: Path, rows: list[dict[str, Any]], name: str = "scored") -> ShardedTable:
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return ShardedTable([folder / f"{name}.parquet"])


def selected(folder: Path, rows: ShardedTable, others: Any = None, **parameters: Any) -> pd.DataFrame:
    return select_training_set(
        Sources(rows, **(others or {})),
        PROMPTS,
        parameters=FilteringParameters(**parameters),
        seed=0,
        journal=Journal(folder / "journal"),
    ).to_pandas()


def test_human_solutions_are_training_rows_of_training_questions(tmp_path: Path) -> None:
    rows = human_solutions(QUESTIONS, PROMPTS, journal=Journal(tmp_path)).to_pandas()

    assert list(rows["completion"]) == [" one", "two"]
    assert set(rows["policy_id"]) == {HUMAN}


def test_questions_without_human_solutions_give_none(tmp_path: Path) -> None:
    bare = QUESTIONS.assign(gold=json.dumps({"answer": "1"}))

    assert len(human_solutions(bare, PROMPTS, journal=Journal(tmp_path))) == 0


@pytest.mark.parametrize(
    ("learn_from", "completions"),
    [
        (["samples"], ["new"]),
        (["human"], [" one", "two"]),
        (["samples", "human"], ["new", " one", "two"]),
        (["samples", "earlier"], ["new", "old"]),
        (["samples", "earlier", "human"], ["new", "old", " one", "two"]),
    ],
)
def test_learn_from_chooses_the_sources(tmp_path: Path, learn_from: list[str], completions: list[str]) -> None:
    human = human_solutions(QUESTIONS, PROMPTS, journal=Journal(tmp_path / "journal"))
    old = {**scored("q1", "old", policy="before"), "prompt": "1?", "weight": 1.0, "rank": 1}
    before = ShardedTable([*table(tmp_path, [old], "old").files, *human.files])

    rows = selected(tmp_path, table(tmp_path, [scored("q1", "new")]), {"kept_before": before}, learn_from=learn_from)

    assert list(rows["completion"]) == completions


def test_what_was_kept_before_is_not_learned_twice(tmp_path: Path) -> None:
    old = {**scored("q1", "same", policy="before"), "prompt": "1?", "weight": 1.0, "rank": 1}

    rows = selected(
        tmp_path,
        table(tmp_path, [scored("q1", "same")]),
        {"kept_before": table(tmp_path, [old], "old")},
        learn_from=["samples", "earlier"],
    )

    assert list(rows["policy_id"]) == ["p"]


def test_further_samples_share_the_cap_of_their_question(tmp_path: Path) -> None:
    first = table(tmp_path, [scored("q1", str(i), index=i) for i in range(3)] + [scored("q2", "no", reward=0.0)])
    further = table(tmp_path, [scored("q1", f"more {i}", index=10 + i) for i in range(3)], "further")

    rows = selected(tmp_path, first, {"follow_up": further}, max_per_question=4)
    summary = summarise_filtering(
        first,
        table(tmp_path, rows.to_dict("records"), "kept"),
        parameters=FilteringParameters(max_per_question=4),
        follow_up=further,
    )

    assert len(rows) == 4
    assert summary["n_kept"] + sum(summary["dropped"].values()) == summary["n_samples"] == 7


def test_accumulated_rows_are_those_of_all_iterations_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    rows = [{**scored("q1", name, policy=name), "prompt": "1?", "weight": 1.0, "rank": 1} for name in ("old", "new")]
    before, both = table(tmp_path, rows[:1], "before"), table(tmp_path, rows, "both")

    kept = accumulate(before, both, journal=journal).to_pandas()

    assert list(kept["completion"]) == ["old", "new"]


def test_questions_solved_for_the_first_time_are_added_to_what_was_learned_before(tmp_path: Path) -> None:
    rows = [{**scored(name, name), "prompt": "?", "weight": 1.0, "rank": 1} for name in ("q1", "q2")]
    before, first_time = table(tmp_path, rows[:1], "before"), table(tmp_path, rows[1:], "first-time")

    kept = accumulate(before, first_time, journal=Journal(tmp_path / "journal")).to_pandas()

    assert list(kept["question_id"]) == ["q1", "q2"]


def test_learning_from_people_without_their_solutions_says_so(tmp_path: Path) -> None:
    with pytest.raises(EmptyTrainingSetError, match=r"no training question has a human solution"):
        selected(tmp_path, table(tmp_path, [scored("q1", "1")]), learn_from=["human"])


def test_exponential_weights_keep_wrong_samples_with_less_weight(tmp_path: Path) -> None:
    rows = table(tmp_path, [scored("q1", "right"), scored("q1", "wrong", reward=0.0, index=1)])

    kept = selected(tmp_path, rows, min_reward=0.0, weight="exponential", weight_temperature=0.5)

    assert dict(zip(kept["completion"], kept["weight"].round(4), strict=True)) == {"right": 1.0, "wrong": 0.1353}


def test_weights_of_nothing_are_left_out(tmp_path: Path) -> None:
    rows = table(tmp_path, [scored("q1", "right"), scored("q1", "wrong", reward=0.0, index=1)])

    assert list(selected(tmp_path, rows, min_reward=0.0)["completion"]) == ["right"]


def test_best_takes_the_highest_reward(tmp_path: Path) -> None:
    rows = table(
        tmp_path, [scored("q1", str(reward), reward=reward, index=i) for i, reward in enumerate((0.2, 0.9, 0.5))]
    )

    kept = selected(tmp_path, rows, min_reward=0.1, choose="best", max_per_question=1)

    assert list(kept["completion"]) == ["0.9"]


def test_threshold_rises_with_every_iteration_and_ends_at_one() -> None:
    parameters = FilteringParameters(min_reward=0.7, min_reward_step=0.2)

    assert [round(at_iteration(parameters, i).min_reward, 6) for i in (1, 2, 3, 9)] == [0.7, 0.9, 1.0, 1.0]


def test_solutions_with_the_same_equations_are_the_same(tmp_path: Path) -> None:
    texts = ["He has 2 * 3 = 6 apples.", "So 2*3=6.", "3 + 3 = $6", "No equation", "none"]

    kept = selected(
        tmp_path,
        table(tmp_path, [scored("q1", text, index=i) for i, text in enumerate(texts)]),
        distinct_by="equations",
    )

    assert set(kept["completion"]) == {texts[0], texts[2], texts[3], texts[4]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("48/2 = 24 clips, then $1,000 x 2 = $2,000.", "48/2=24;1000x2=2000"),
        ("x = 5", "x=5"),
        ("the answer = 5", "the answer = 5"),
        ("9" * 20_000, "9" * 20_000),
    ],
)
def test_equations_of_a_solution(text: str, found: str) -> None:
    assert equations(text) == found
