"""Tables are held to their columns."""

from typing import Any

import pandas as pd
import pytest

from restem.schemas import check, schema

ROWS: dict[str, Any] = {
    **{name: ["a", "b"] for name in ("policy_id", "question_id", "suite", "prompt_id", "reward_version", "text")},
    **{name: ["a", "b"] for name in ("gold", "level", "source", "licence", "prompt", "completion", "answer")},
    "reward": [0.0, 1.0],
    "decoding": ["greedy", "sampled"],
    "finish_reason": ["stop", "length"],
    "reason": ["wrong", "correct"],
    "split": ["train", "test"],
    "sample_index": [0, 1],
    "n_tokens": [1, 2],
    "seed": [1, 2],
    "rank": [1, 2],
    "weight": [1.0, 0.5],
    "seconds": [0.0, 1.0],
    "token_ids": [[1], [2, 3]],
    **{name: [0, 1] for name in ("n", "n_correct", "n_distinct", "n_truncated", "greedy_correct")},
    **{name: [0.0, 1.0] for name in ("n_distinct_correct", "majority_correct", "mean_reward", "mean_tokens")},
}
TABLES = ("questions", "prompts", "samples", "scored_samples", "training_set", "evaluation")


def one_column_per_rule() -> list[tuple[str, str]]:
    """Return a table and a column of each kind of column."""
    found: dict[tuple[Any, ...], tuple[str, str]] = {}
    for table in TABLES:
        for name, column in schema(table).columns.items():
            rule = str(column.dtype), str(column.checks), column.nullable, column.unique, column.required
            found.setdefault(rule, (table, name))
    return list(found.values())


def rows(table: str) -> pd.DataFrame:
    wanted = ROWS | ({"reward": ["math", "code"]} if table == "questions" else {})
    return pd.DataFrame({name: wanted[name] for name, column in schema(table).columns.items() if column.required})


@pytest.mark.parametrize("table", TABLES)
def test_what_is_right_is_left_as_it_is(table: str) -> None:
    frame = rows(table)

    assert check(table, frame) is frame
    pd.testing.assert_frame_equal(schema(table).validate(frame), frame)


@pytest.mark.parametrize(("table", "name"), one_column_per_rule())
def test_no_value_passes_that_pandera_refuses(table: str, name: str) -> None:
    from pandera.errors import SchemaError

    values: list[Any] = [None, "", -1, -0.5, 0, 0.5, 1.5, "elsewhere", True, float("nan"), [1]]
    frames = [rows(table).assign(**{name: pd.Series([value] * 2)}) for value in values]
    for value, frame in zip(values, frames, strict=True):
        try:
            as_pandera = schema(table).validate(frame)
        except SchemaError:
            with pytest.raises(ValueError, match=f"table '{table}': column '{name}'"):
                check(table, frame)
        else:
            pd.testing.assert_frame_equal(check(table, frame), as_pandera, obj=repr(value))
