from pathlib import Path

import pandas as pd
import pytest

from restem.schemas import TableValidator, check
from restem.store.tables import RowsByQuestion, ShardedTable, write_shard


@pytest.fixture
def table(tmp_path: Path) -> ShardedTable:
    for number, values in enumerate(([1, 2], [3])):
        write_shard(pd.DataFrame({"x": values, "y": [str(v) for v in values]}), tmp_path / f"{number}.parquet")
    return ShardedTable(sorted(tmp_path.glob("*.parquet")))


def test_counts_rows_and_names_columns_of_all_shards(table: ShardedTable) -> None:
    assert len(table) == 3
    assert table.columns == ["x", "y"]


def test_reads_one_column_across_shards(table: ShardedTable) -> None:
    assert list(table["x"]) == [1, 2, 3]


def test_iterates_shard_by_shard(table: ShardedTable) -> None:
    assert [list(shard["x"]) for shard in table] == [[1, 2], [3]]


def test_head_crosses_shards(table: ShardedTable) -> None:
    assert list(table.head(3)["y"]) == ["1", "2", "3"]


def test_failed_write_leaves_the_old_shard(tmp_path: Path) -> None:
    write_shard(pd.DataFrame({"x": [1]}), tmp_path / "a.parquet")

    with pytest.raises(Exception, match=r"mixed|convert|type"):
        write_shard(pd.DataFrame({"x": [1, object()]}), tmp_path / "a.parquet")

    assert list(pd.read_parquet(tmp_path / "a.parquet")["x"]) == [1]


def prompts(**changes: object) -> pd.DataFrame:
    return pd.DataFrame({"question_id": ["a", "b"], "prompt_id": ["x", "y"], "prompt": ["1", "2"]} | changes)


def test_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="table 'prompts': column 'prompt' is missing"):
        check("prompts", prompts().drop(columns="prompt"))


def test_impossible_value_is_named_with_its_row() -> None:
    with pytest.raises(ValueError, match=r"column 'prompt' fails .* at row 1: ''"):
        check("prompts", prompts(prompt=["1", ""]))


def test_repeated_id_is_named() -> None:
    with pytest.raises(ValueError, match=r"column 'question_id' .* row 1: 'a'"):
        check("prompts", prompts(question_id=["a", "a"]))


def test_bad_shard_is_found_when_it_is_read(tmp_path: Path) -> None:
    write_shard(prompts(prompt=["1", ""]), tmp_path / "a.parquet")
    table = TableValidator("prompts").validate(ShardedTable([tmp_path / "a.parquet"]))

    with pytest.raises(ValueError, match="column 'prompt'"):
        list(table)


def test_shard_that_changed_since_it_was_checked_is_checked_again(tmp_path: Path) -> None:
    good = pd.DataFrame({"question_id": ["a", "b"], "prompt_id": ["1", "2"], "prompt": ["x", "y"]})
    write_shard(good, tmp_path / "0.parquet")
    table = ShardedTable([tmp_path / "0.parquet"]).checked_by(TableValidator("prompts").check)
    assert len(table.to_pandas()) == len(table.to_pandas()) == 2

    write_shard(good.assign(prompt_id=["1", ""]), tmp_path / "0.parquet")

    with pytest.raises(ValueError, match="prompt_id"):
        table.to_pandas()


def test_shard_whose_types_a_check_mends_is_mended_each_time(tmp_path: Path) -> None:
    numbers = pd.DataFrame({"question_id": [1, 2], "prompt_id": ["1", "2"], "prompt": ["x", "y"]})
    write_shard(numbers, tmp_path / "0.parquet")
    table = ShardedTable([tmp_path / "0.parquet"]).checked_by(TableValidator("prompts").check)

    assert [list(table.to_pandas()["question_id"]) for _ in range(2)] == [["1", "2"]] * 2


def test_rows_of_questions_are_found_in_all_shards_that_hold_them(tmp_path: Path) -> None:
    for number, names in enumerate((["a", "b"], ["c"], ["b", "b"])):
        frame = pd.DataFrame({"question_id": names, "shard": number})
        write_shard(frame, tmp_path / f"{number}.parquet")
    rows = RowsByQuestion(ShardedTable(sorted(tmp_path.glob("[0-9].parquet"))))
    (tmp_path / "1.parquet").write_text("not read again")

    assert rows.rows(["b", "unknown"]).to_dict("list") == {"question_id": ["b", "b", "b"], "shard": [0, 2, 2]}
    assert rows.rows(["unknown"]).empty
