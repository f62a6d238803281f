"""What is done with all samples is done shard by shard: memory does not grow with their number."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from restem.filtering.selection import Sources, select_training_set, summarise_filtering
from restem.filtering.solutions import accumulate
from restem.parameters import FilteringParameters
from restem.reporting.assemble import choose_examples
from restem.scoring.verdicts import summarise_scoring
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, write_shard

N_SAMPLES = 16  # per question
FEW, MANY = 3, 20  # shards of 4 questions


def shard(number: int) -> Any:
    n = 4 * N_SAMPLES
    return pd.DataFrame(
        {
            "policy_id": "p",
            "question_id": [f"q{number}-{row // N_SAMPLES}" for row in range(n)],
            "sample_index": [row % N_SAMPLES for row in range(n)],
            "completion": [f"{row} " * 500 for row in range(n)],
            "n_tokens": 500,
            "finish_reason": "stop",
            "reward": [float(row % 2) for row in range(n)],
            "reason": ["wrong", "correct"] * (n // 2),
            "answer": [f"{row} " for row in range(n)],
            "found_by": "marker",
            "reward_version": "exact-0",
        }
    )


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> ShardedTable:
    folder = tmp_path_factory.mktemp("scored")
    for number in range(MANY):
        write_shard(shard(number), folder / f"{number:02}.parquet")
    return ShardedTable(sorted(folder.glob("*.parquet")))


def asked(scored: ShardedTable) -> Any:
    names = scored["question_id"].unique()
    return pd.DataFrame({"question_id": names, "prompt_id": names, "prompt": "?", "text": "?"})


def select(scored: ShardedTable, folder: Path, follow_up: ShardedTable | None = None) -> ShardedTable:
    return select_training_set(
        Sources(scored, follow_up or ShardedTable([])),
        asked(scored),
        parameters=FilteringParameters(),
        seed=0,
        journal=Journal(folder),
    )


OPERATIONS: dict[str, Callable[[ShardedTable, ShardedTable, Path], Any]] = {
    "select_training_set": lambda scored, _, folder: select(scored, folder),
    "with follow-ups": lambda scored, _, folder: select(scored, folder, scored),
    "accumulate": lambda _, kept, folder: accumulate(kept, kept, journal=Journal(folder)),
    "summarise_scoring": lambda scored, _, __: summarise_scoring(scored, warn_above={}),
    "summarise_filtering": lambda scored, kept, _: summarise_filtering(scored, kept, parameters=FilteringParameters()),
    "choose_examples": lambda scored, kept, _: choose_examples(scored, kept, asked(scored), iteration=1, seed=0),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_memory_does_not_grow_with_the_number_of_samples(name: str, scored: ShardedTable, tmp_path: Path) -> None:
    kept = select(scored, tmp_path / "kept")
    one_shard = int(shard(0).memory_usage(deep=True).sum())

    def run(n_shards: int) -> None:
        OPERATIONS[name](
            ShardedTable(scored.files[:n_shards]), ShardedTable(kept.files[:n_shards]), tmp_path / str(n_shards)
        )

    def peak(n_shards: int) -> int:
        tracemalloc.start()
        run(n_shards)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    run(1)  # imports and caches

    assert peak(MANY) < peak(FEW) + 2 * one_shard


def test_examples_are_kept_and_other_samples_of_all_shards(scored: ShardedTable, tmp_path: Path) -> None:
    kept = select(scored, tmp_path)

    examples = choose_examples(scored, kept, asked(scored), iteration=2, seed=0)

    assert list(examples["kept"]) == [True] * 3 + [False] * 3
    assert set(examples.loc[examples["kept"], "reward"]) == {1.0}
    assert examples["question_id"].nunique() == 6
    assert not examples.equals(choose_examples(scored, kept, asked(scored), iteration=2, seed=1))
