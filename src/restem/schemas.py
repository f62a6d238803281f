"""The tables that flow through the pipelines: columns, types, units and ranges.

questions -> prompts -> samples -> scored_samples -> training_set -> (policy) -> evaluation
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from restem.errors import first_few
from restem.store.tables import ShardedTable, Table

if TYPE_CHECKING:
    from pandera.pandas import Column, DataFrameSchema

TRAINING_COLUMNS = [  # of the table `training_set`, in order
    "policy_id",
    "question_id",
    "sample_index",
    "prompt",
    "completion",
    "finish_reason",
    "weight",
    "rank",
    "token_ids",
]
OPTIONAL_COLUMNS = ["closing"]  # behind these, where samples have them
MEASURED = ("validation", "test", "transfer")  # splits by whose questions policies are measured
LEARNED_FROM = ("train", "exemplar")  # splits whose questions policies see
SPLITS = ("train", *MEASURED, "exemplar")
# The reward without any ground truth: it judges questions that are trained on, and none that is evaluated.
MAJORITY = "majority"
OWN_SUITES = ("test", "validation", "train")  # all others are transfer; the conclusion is on the first there is
REASONS = (
    "correct",
    "wrong",
    "no_answer",  # nothing in the completion looks like an answer
    "truncated",  # no answer, and the completion ran out of tokens
    "unparseable_answer",
    "unparseable_gold",
    "timeout",
    "crashed",
    "forbidden",  # the completion tried what the sandbox forbids
    "infrastructure",  # not the completion's fault; never counted as wrong
)
CORRECT = 1.0  # the reward of a correct completion; less is partly right, and counts as wrong
FROM_FILE = "file"  # in place of a decoding, and before the name of a policy, of what was not drawn but read
DECODINGS = ("greedy", "sampled", FROM_FILE)
FINISH_REASONS = ("stop", "length")


def _text(*, empty: bool = True) -> "Column":
    import pandera.pandas as pa

    return pa.Column(str, checks=None if empty else pa.Check.str_length(min_value=1), coerce=True)


def _one_of(values: tuple[str, ...]) -> "Column":
    import pandera.pandas as pa

    return pa.Column(str, pa.Check.isin(list(values)), coerce=True)


def _whole(low: int = 0) -> "Column":
    import pandera.pandas as pa

    return pa.Column("int64", pa.Check.ge(low))


def _whole_or_unknown(*, required: bool = True) -> "Column":
    """Return the column of a count that an engine knows, and a file of completions may not say."""
    import pandera.pandas as pa

    whole = pa.Check(lambda counts: counts % 1 == 0, name="whole")
    return pa.Column(None, [pa.Check.ge(0), whole], nullable=True, required=required)


def _one_of_or_unknown(values: tuple[str, ...]) -> "Column":
    import pandera.pandas as pa

    return pa.Column(str, pa.Check.isin(list(values)), nullable=True, coerce=True)


def _text_or_unknown(*, required: bool = True) -> "Column":
    import pandera.pandas as pa

    return pa.Column(str, nullable=True, coerce=True, required=required)


def _share(high: float = 1.0) -> "Column":
    import pandera.pandas as pa

    return pa.Column("float64", pa.Check.in_range(0.0, high))


def _count_or_unknown() -> "Column":
    import pandera.pandas as pa

    return pa.Column("float64", pa.Check.ge(0.0), nullable=True)


def _token_ids() -> "Column":
    """Return the column of generated tokens, a list per row; empty where an engine or a person gave text only."""
    import pandera.pandas as pa

    return pa.Column(object, nullable=True, coerce=True, required=False)


def _sample_columns() -> "Mapping[str, Column]":
    return {
        "policy_id": _text(empty=False),  # fingerprint of the policy that it was drawn from; of files file:WRITER
        "question_id": _text(empty=False),
        "suite": _text(empty=False),  # "train" in the E-step; the evaluation suite otherwise
        "decoding": _one_of(DECODINGS),
        "sample_index": _whole(),  # 0 .. n-1 within (question, decoding)
        "prompt_id": _text_or_unknown(),  # fingerprint of the exact prompt text; unknown of files only, as below
        "completion": _text(),  # what the policy returned, without the stop string
        "prefill": _text_or_unknown(required=False),  # what it was begun with, the end of its prompt; judged with it
        "n_tokens": _whole_or_unknown(),  # generated tokens, the end-of-sequence or stop tokens included
        "finish_reason": _one_of_or_unknown(FINISH_REASONS),
        "seed": _whole_or_unknown(),  # with sample_index and token position, the source of its random numbers
        "origin": _text_or_unknown(required=False),  # file and place that it was read from
        "token_ids": _token_ids(),  # the n_tokens that were generated, what ended them included
        # Where there is reasoning before answers: the character of prefill and completion at which the answer begins,
        # which alone is judged, and from and up to which of the completion an engine wrote the closing mark itself.
        "answer_at": _whole_or_unknown(required=False),
        "closing": _token_ids(),
    }


def _verdict_columns() -> "Mapping[str, Column]":
    import pandera.pandas as pa

    return {
        "reward": _share(),
        "reason": _one_of(REASONS),
        "answer": pa.Column(str, nullable=True, coerce=True),  # as extracted from the completion
        "found_by": pa.Column(str, nullable=True, coerce=True, required=False),  # how: "box", "last line" ...
        "reward_version": _text(empty=False),  # name and fingerprint of the reward and its options
        "seconds": pa.Column("float64", pa.Check.ge(0.0)),  # of the verdict, whole, rounded down: stable between reruns
    }


def _question_columns() -> "Mapping[str, Column]":
    import pandera.pandas as pa

    return {
        "question_id": pa.Column(str, pa.Check.str_length(min_value=1), unique=True, coerce=True),
        "text": _text(empty=False),
        # The turns of a chat that the text follows, a JSON list of {role, content}; empty where there are none.
        "context": pa.Column(str, coerce=True, required=False),
        "gold": _text(empty=False),  # JSON object: {"answer": ...} or {"tests": ...}
        "reward": _text(empty=False),  # name or dotted path for load_reward
        "level": _text(),  # difficulty, as the source names it
        "source": _text(empty=False),
        "split": _one_of(SPLITS),
        "licence": _text(),
    }


def _prompt_columns() -> "Mapping[str, Column]":
    import pandera.pandas as pa

    return {
        "question_id": pa.Column(str, unique=True, coerce=True),
        "prompt_id": _text(empty=False),
        "prompt": _text(empty=False),  # the exact text that every policy is given
        "prefill": _text_or_unknown(required=False),  # with which it ends, and with which every answer begins
    }


def _training_columns() -> "Mapping[str, Column]":
    import pandera.pandas as pa

    return {
        "policy_id": _text(empty=False),
        "question_id": _text(empty=False),
        "sample_index": _whole(),
        "prompt": _text(empty=False),
        "completion": _text(),
        "finish_reason": _one_of_or_unknown(FINISH_REASONS),
        "weight": pa.Column("float64", pa.Check.gt(0.0)),  # of the example in the loss; 1 for a binary reward
        "rank": _whole(1),  # 1 .. filtering.max_per_question within its question
        "token_ids": _token_ids(),  # of the sample; what is learnt, where they read as the completion
        "closing": _token_ids(),  # of the sample; what of the completion is not learnt
    }


def _evaluation_columns() -> "Mapping[str, Column]":
    import pandera.pandas as pa

    return {
        "policy_id": _text(empty=False),
        "suite": _text(empty=False),
        "question_id": _text(empty=False),
        "level": _text(),
        "source": _text(empty=False),
        "decoding": _text(empty=False),  # of the n samples, as "temperature=1.0 top_k=0 top_p=0.95"
        "n": _whole(),  # sampled completions
        "n_correct": _whole(),  # of n
        "n_distinct": _whole(),  # different completions among the n
        "n_distinct_correct": _count_or_unknown(),  # different correct completions; NaN: not counted then
        "n_truncated": _whole(),  # of n
        "greedy_correct": _whole(),  # 0 or 1
        "majority_correct": _share(),  # chance that a majority vote over the n is correct, ties shared
        "mean_reward": pa.Column("float64", pa.Check.in_range(0.0, 1.0), nullable=True),  # of the n; NaN as above
        "mean_tokens": pa.Column("float64", pa.Check.ge(0.0)),  # generated tokens per sampled completion
    }


def _scored_columns() -> "Mapping[str, Column]":
    return {**_sample_columns(), **_verdict_columns()}


_TABLES = {
    "questions": _question_columns,
    "prompts": _prompt_columns,
    "samples": _sample_columns,
    "scored_samples": _scored_columns,
    "training_set": _training_columns,
    "evaluation": _evaluation_columns,
}


def training_columns(rows: Table) -> list[str]:
    """Return the columns of training rows that are made of samples."""
    return [*TRAINING_COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in rows)]


@cache  # as long to make as to use
def schema(table: str) -> "DataFrameSchema":
    """Return the pandera schema of a table of this module."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(dict(_TABLES[table]()), name=table, strict=False)


def _holds(frame: Table, name: str, column: "Column") -> bool:
    """Return whether a column is there as the schema wants it: with its type, and with no impossible value."""
    if name not in frame:
        return not column.required
    values = frame[name]
    usual = "int64" if column.dtype is None else column.dtype.type  # of counts, where all are known
    return (
        values.dtype == usual
        and (column.nullable or not values.hasnans)
        and not (column.unique and values.duplicated().any())
        and all(rule(values).check_passed for rule in column.checks)
    )


@dataclass(frozen=True)
class TableValidator:
    """A validator for catalog entries, plain or sharded: a sharded table is checked shard by shard when read."""

    table: str  # of this module

    def validate(self, data: "Table | ShardedTable") -> "Table | ShardedTable":
        """Return the data, or raise with the column, the values and the rows."""
        if isinstance(data, ShardedTable):
            return data.checked_by(self.check)
        return self.check(data)

    def check(self, frame: Table) -> Table:
        """Return the frame with its columns' types.

        Raises:
            ValueError: If a column is missing or holds an impossible value.
        """
        from pandera.errors import SchemaErrors

        known = schema(self.table)
        # pandera's own way takes ten times as long: it is for what is to be converted or refused.
        if all(_holds(frame, name, column) for name, column in known.columns.items()):
            return frame
        try:
            checked: Table = known.validate(frame, lazy=True)
            return checked
        except SchemaErrors as errors:
            raise ValueError(_explain(self.table, errors.failure_cases)) from errors


def check(table: str, frame: Table) -> Table:
    """Return the frame with the types of the named table, or raise ValueError."""
    return TableValidator(table).check(frame)


def _explain(table: str, failures: Table) -> str:
    lines = []
    for (column, rule), cases in failures.groupby(["column", "check"], dropna=False):
        if rule == "column_in_dataframe":
            lines.append(f"column {cases['failure_case'].iloc[0]!r} is missing")
            continue
        rows = (f"row {index}: {value!r}" for index, value in zip(cases["index"], cases["failure_case"], strict=True))
        lines.append(f"column {column!r} fails {rule} at {first_few(rows)}")
    return f"table {table!r}: " + "; ".join(lines)
