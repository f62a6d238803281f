"""From the scored samples of a shard to counts, a row per question; in whole columns, since there may be millions."""

from typing import TYPE_CHECKING, Any

from restem.errors import EvaluationError, first_few
from restem.schemas import CORRECT
from restem.store.tables import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Codes = NDArray[np.int64]

QUESTION = ["policy_id", "suite", "question_id"]  # what names a row


def tally(shard: Table) -> Table:
    """Return the counts of every question and decoding of a shard: QUESTION, decoding, and the counts of `evaluation`.

    Args:
        shard: Scored samples; all completions of a question and decoding are in it.

    Raises:
        EvaluationError: If a completion is there twice, or has no verdict.
    """
    import numpy as np

    keys, group = _numbered(shard[[*QUESTION, "decoding"]])
    _check(shard, keys, group)
    n = np.bincount(group)
    rewards = shard["reward"].to_numpy(dtype=np.float64)
    is_correct = rewards >= CORRECT
    completions = _codes(shard["completion"])
    counts = {
        "n": n,
        "n_correct": np.bincount(group, is_correct).astype(np.int64),
        "n_distinct": _distinct(group, completions, len(n)),
        "n_distinct_correct": _distinct(group[is_correct], completions[is_correct], len(n)).astype(np.float64),
        "n_truncated": np.bincount(group, shard["finish_reason"].to_numpy() == "length").astype(np.int64),
        "majority_correct": _majority(group, _codes(shard["answer"]), is_correct, len(n)),
        "mean_reward": np.bincount(group, rewards) / n,
        "mean_tokens": np.bincount(group, shard["n_tokens"].to_numpy()) / n,
    }
    return keys.assign(**counts)


def _numbered(columns: Table) -> "tuple[Table, _Codes]":
    """Return the different rows of some columns in order of appearance, and for every row the number of its like."""
    import numpy as np
    import pandas as pd

    mixed = np.zeros(len(columns), dtype=np.int64)
    for _, column in columns.items():
        codes, values = pd.factorize(column)
        mixed = mixed * len(values) + codes
    numbers, groups = pd.factorize(mixed)
    first = np.zeros(len(groups), dtype=np.int64)
    first[numbers[::-1]] = np.arange(len(mixed))[::-1]
    return columns.iloc[first].reset_index(drop=True), numbers


def _codes(column: Any) -> "_Codes":
    """Return a number per different value, -1 for a missing one."""
    import pandas as pd

    codes: _Codes = pd.factorize(column)[0]
    return codes


def _distinct(group: "_Codes", codes: "_Codes", n_groups: int) -> "_Codes":
    """Return how many different codes every group has."""
    import numpy as np

    pairs = np.unique(group * (codes.max(initial=0) + 1) + codes)
    return np.bincount(pairs // (codes.max(initial=0) + 1), minlength=n_groups)


def _majority(
    group: "_Codes", answers: "_Codes", is_correct: "NDArray[np.bool_]", n_groups: int
) -> "NDArray[np.float64]":
    """Return the chance per group that a majority vote is correct, ties broken at random; 0 if nothing answered."""
    import numpy as np

    answered = answers >= 0
    width = answers.max(initial=0) + 1
    pairs, pair_of = np.unique(group[answered] * width + answers[answered], return_inverse=True)
    votes, owner = np.bincount(pair_of, minlength=len(pairs)), pairs // width
    earned = np.bincount(pair_of, is_correct[answered], minlength=len(pairs)) / np.maximum(votes, 1)
    most = np.zeros(n_groups, dtype=np.int64)
    np.maximum.at(most, owner, votes)
    tied = votes == most[owner]
    n_tied = np.bincount(owner[tied], minlength=n_groups)
    return np.bincount(owner[tied], earned[tied], minlength=n_groups) / np.maximum(n_tied, 1)


def _check(shard: Table, keys: Table, group: "_Codes") -> None:
    import numpy as np

    index = shard["sample_index"].to_numpy()
    pairs = group * (index.max(initial=0) + 1) + index
    repeated = np.ones(len(pairs), dtype=bool)
    repeated[np.unique(pairs, return_index=True)[1]] = False
    unjudged = shard["reason"].to_numpy() == "infrastructure"
    for bad, fault in (
        (repeated, "a {} completion more than once"),
        (unjudged, "completions without a verdict"),
    ):
        if bad.any():
            row = keys.iloc[group[bad][0]]
            named = first_few(f"question {name}" for name in sorted(set(keys["question_id"].iloc[group[bad]])))
            raise EvaluationError(
                f"{named} of suite {row['suite']!r} has {fault.format(row['decoding'])}; score the suite again"
            )
