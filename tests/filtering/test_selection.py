from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.errors import EmptyTrainingSetError
from restem.filtering.selection import Sources, best_distinct, select_training_set, summarise_filtering
from restem.parameters import FilteringParameters
from restem.store.journal import Journal
from restem.store.tables import ShardedTable


def scored(question_id: str, completion: str, *, reward: float = 1.0, index: int = 0) -> dict[str, Any]:
    return {
        "policy_id": "p",
        "question_id": question_id,
        "sample_index": index,
        "completion": completion,
        "finish_reason": "stop",
        "reward": reward,
    }


def kept_completions(rows: list[dict[str, Any]], **parameters: Any) -> list[str]:
    return list(best_distinct(pd.DataFrame(rows), parameters=FilteringParameters(**parameters), seed=0)["completion"])


def test_drops_repeated_completions_of_the_same_question() -> None:
    rows = [scored("q1", "2", index=0), scored("q1", "2", index=1), scored("q2", "2")]

    assert kept_completions(rows) == ["2", "2"]


def test_keeps_repeated_completions_when_distinct_is_off() -> None:
    rows = [scored("q1", "2", index=0), scored("q1", "2", index=1)]

    assert kept_completions(rows, distinct=False) == ["2", "2"]


def test_drops_what_is_not_fully_correct() -> None:
    rows = [scored("q1", "right", reward=1.0), scored("q1", "partly", reward=0.9, index=1)]

    assert kept_completions(rows) == ["right"]


def test_what_was_cut_off_is_not_learned_from_although_it_was_correct() -> None:
    rows = [scored("q1", "right"), scored("q1", "right, and then", index=1) | {"finish_reason": "length"}]

    assert kept_completions(rows) == ["right"]
    assert set(kept_completions(rows, keep_truncated=True)) == {"right", "right, and then"}


def test_what_was_cut_off_is_counted_by_its_own_reason(tmp_path: Path) -> None:
    cut_off = {"finish_reason": "length"}
    rows = [
        scored("q1", "a"),
        scored("q1", "a", index=1),
        scored("q1", "b", index=2) | cut_off,
        scored("q1", "", index=3) | cut_off,
        scored("q1", "c", reward=0.0, index=4) | cut_off,
    ]
    samples, kept = one_shard(tmp_path, rows), ShardedTable([])

    dropped, with_them = (
        summarise_filtering(samples, kept, parameters=FilteringParameters(keep_truncated=keep))["dropped"]
        for keep in (False, True)
    )

    assert dropped == {"over_cap": 1, "repeated": 1, "truncated": 2, "below_min_reward": 1}
    assert with_them == {"over_cap": 2, "repeated": 1, "truncated": 1, "below_min_reward": 1}


def test_an_empty_training_set_says_that_all_were_cut_off(tmp_path: Path) -> None:
    samples = one_shard(tmp_path, [scored("q1", "b") | {"finish_reason": "length"}])
    prompts = pd.DataFrame({"question_id": ["q1"], "prompt_id": ["a"], "prompt": ["?"]})

    with pytest.raises(EmptyTrainingSetError, match=r"all of the 1 samples .* filtering.keep_truncated is false"):
        select_training_set(
            Sources(samples), prompts, parameters=FilteringParameters(), seed=0, journal=Journal(tmp_path / "j")
        )


def test_keeps_at_most_the_cap_of_a_question() -> None:
    rows = [scored("q1", str(i), index=i) for i in range(30)] + [scored("q2", "x")]

    kept = best_distinct(pd.DataFrame(rows), parameters=FilteringParameters(), seed=0)

    assert kept["question_id"].value_counts().to_dict() == {"q1": 10, "q2": 1}
    assert sorted(kept.loc[kept["question_id"] == "q1", "rank"]) == list(range(1, 11))


def test_random_choice_depends_on_the_seed_and_not_on_row_order() -> None:
    rows = pd.DataFrame([scored("q1", str(i), index=i) for i in range(30)])
    parameters = FilteringParameters(max_per_question=5)

    first = best_distinct(rows, parameters=parameters, seed=0)
    shuffled = best_distinct(rows.sample(frac=1, random_state=1), parameters=parameters, seed=0)
    other = best_distinct(rows, parameters=parameters, seed=1)

    assert list(first["completion"]) == list(shuffled["completion"])
    assert set(first["completion"]) != set(other["completion"])


def test_shortest_prefers_short_completions() -> None:
    rows = [scored("q1", "x" * i, index=i) for i in (5, 1, 3)]

    assert kept_completions(rows, choose="shortest", max_per_question=2) == ["x", "xxx"]


def one_shard(folder: Path, rows: list[dict[str, Any]]) -> ShardedTable:
    pd.DataFrame(rows).to_parquet(folder / "scored.parquet")
    return ShardedTable([folder / "scored.parquet"])


def test_summary_accounts_for_every_sample(tmp_path: Path) -> None:
    rows = [scored("q1", str(i), index=i) for i in range(12)]
    rows += [scored("q1", "0", index=12), scored("q1", "no", reward=0.0, index=13), scored("q2", "no", reward=0.0)]
    table = one_shard(tmp_path, rows)
    prompts = pd.DataFrame({"question_id": ["q1", "q2"], "prompt_id": ["a", "b"], "prompt": ["1", "2"]})
    parameters = FilteringParameters()

    kept = select_training_set(
        Sources(table), prompts, parameters=parameters, seed=0, journal=Journal(tmp_path / "journal")
    )
    summary = summarise_filtering(table, kept, parameters=parameters)

    assert summary["n_kept"] + sum(summary["dropped"].values()) == summary["n_samples"] == 15
    assert summary["dropped"] == {
        "below_min_reward": 2,
        "truncated": 0,
        "repeated": 1,
        "over_cap": 2,
    }
    assert (summary["n_questions"], summary["n_questions_kept"]) == (2, 1)


def test_nothing_correct_says_what_to_change(tmp_path: Path) -> None:
    table = one_shard(tmp_path, [scored("q1", "no", reward=0.0)])
    prompts = pd.DataFrame({"question_id": ["q1"], "prompt_id": ["a"], "prompt": ["1"]})

    with pytest.raises(EmptyTrainingSetError, match=r"raise sampling\.n"):
        select_training_set(
            Sources(table), prompts, parameters=FilteringParameters(), seed=0, journal=Journal(tmp_path / "journal")
        )
