"""What is counted over an iteration's verdicts."""

from pathlib import Path

import pandas as pd
import pytest

from restem.scoring.verdicts import summarise_scoring
from restem.store.tables import ShardedTable

Sample = tuple[str, str, float]  # question, completion, reward


def table(folder: Path, rows: list[Sample], reward: str = "exact") -> ShardedTable:
    frame = pd.DataFrame(rows, columns=["question_id", "completion", "reward"])
    frame = frame.assign(reason="correct", found_by="box", n_tokens=1, reward_version=f"{reward}-0")
    frame.to_parquet(folder / "a.parquet")
    return ShardedTable([folder / "a.parquet"])


def test_the_share_of_samples_that_agree_is_said(tmp_path: Path) -> None:
    rows = [("a", "1", 1.0)] * 3 + [("a", "2", 0.0)] + [("b", "1", 1.0)] * 2 + [("c", "1", 0.0), ("c", "2", 0.0)]

    assert summarise_scoring(table(tmp_path, rows), warn_above={})["majority"] == {}
    assert summarise_scoring(table(tmp_path, rows, "majority"), warn_above={})["majority"] == {
        "n_questions": 3,
        "n_labelled": 2,
        "agreement": pytest.approx(0.875),
    }


@pytest.mark.parametrize(
    ("rows", "n_same", "is_warned"),
    [
        ([("a", "1", 1.0), ("a", "1", 1.0), ("b", "2", 0.0), ("b", "2", 0.0)], 2, True),
        ([("a", "1", 1.0), ("a", "2", 1.0), ("b", "2", 0.0), ("b", "2", 0.0)], 1, False),
        ([("a", "1", 1.0), ("b", "2", 0.0)], 0, False),  # a sample each
        ([("a", "1", 1.0), ("a", "1", 1.0)], 1, False),  # one question says little
    ],
)
def test_a_server_that_gives_one_answer_n_times_is_noticed(
    tmp_path: Path, rows: list[Sample], n_same: int, is_warned: bool
) -> None:
    summary = summarise_scoring(table(tmp_path, rows), warn_above={})

    assert summary["questions_all_same"] == n_same
    assert [warning.partition(" for ")[0] for warning in summary["warnings"]] == (
        ["all samples of a question are one and the same text"] if is_warned else []
    )
