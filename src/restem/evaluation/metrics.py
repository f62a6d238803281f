"""How good a policy is: from scored samples to one row per question, and from there to numbers with intervals."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from restem.errors import EvaluationError, first_few
from restem.evaluation.intervals import (
    Interval,
    bootstrap_intervals,
    independent_difference,
    widened_for_few,
    wilson_interval,
)
from restem.evaluation.tallies import QUESTION, tally
from restem.schemas import schema
from restem.store.tables import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NO_SHARES = {"mean_tokens", "distinct_correct"}  # numbers that are not between 0 and 1
GAP = "train_test_gap"  # pass@1 on train minus pass@1 on test


class Measured(TypedDict):
    """A number, its 95 % interval, and how many questions it rests on."""

    value: float
    low: float
    high: float
    n: int


def pass_at_k(n_correct: int, n_samples: int, *, k: int) -> float:
    """Return the unbiased chance that one of k samples is correct, in whole numbers until the last division.

    Source: Chen et al. 2021, equation 1, https://arxiv.org/abs/2107.03374.

    Args:
        n_correct: Of n_samples.
        n_samples: Drawn for the question.
        k: At most n_samples.

    Raises:
        ValueError: If the counts are impossible or k is out of range.
    """
    if not 0 <= n_correct <= n_samples:
        raise ValueError(f"n_correct must be from 0 to n_samples = {n_samples}, got {n_correct}")
    if not 1 <= k <= n_samples:
        raise ValueError(f"k must be from 1 to n_samples = {n_samples}, got {k}")
    draws = math.comb(int(n_samples), int(k))
    return (draws - math.comb(int(n_samples - n_correct), int(k))) / draws


def majority_vote(answers: Sequence[str | None]) -> str | None:
    """Return the most frequent answer, the first seen of equally frequent ones; None if nothing answered.

    Answers are compared as text: what the reward extracted, not what it would find equal.
    """
    votes = Counter(answer for answer in answers if answer is not None)
    return max(votes, key=votes.__getitem__) if votes else None


def evaluate_policy(scored: Iterable[Table], questions: Table, *, decoding: str | Mapping[str, str]) -> Table:
    """Return the `evaluation` table of one policy: a row per suite and question, in the order of `questions`.

    Args:
        scored: Shards of scored samples, greedy and sampled, read one at a time; all sampled completions of
            a question are in one shard.
        questions: For level, source and order.
        decoding: How the sampled completions were drawn, as "temperature=1.0 top_k=0 top_p=0.95"; by suite
            where they differ.

    Raises:
        EvaluationError: If samples are missing, repeated, of several policies, or without a verdict.
    """
    import pandas as pd

    shards = [scored] if isinstance(scored, pd.DataFrame) else scored
    tallies = [tally(shard) for shard in shards if len(shard)]
    if not tallies:
        raise EvaluationError("there are no scored samples to evaluate; draw and score samples first")
    counts = pd.concat(tallies, ignore_index=True)
    _check_complete(counts)
    is_greedy = counts["decoding"] == "greedy"
    greedy = counts.loc[is_greedy, [*QUESTION, "n_correct"]].rename(columns={"n_correct": "greedy_correct"})
    rows = counts[~is_greedy].merge(greedy, on=QUESTION, validate="one_to_one")
    of_suite = decoding if isinstance(decoding, Mapping) else dict.fromkeys(rows["suite"], decoding)
    return _described(rows.assign(decoding=rows["suite"].map(of_suite)), questions)


def _described(rows: Table, questions: Table) -> Table:
    described = questions.set_index("question_id")[["level", "source"]].assign(order=range(len(questions)))
    unknown = rows.loc[~rows["question_id"].isin(described.index), "question_id"]
    if len(unknown):
        raise EvaluationError(f"{len(unknown)} scored questions are not in questions ({first_few(unknown)})")
    rows = rows.join(described, on="question_id").sort_values(["suite", "order"], ignore_index=True)
    return rows[list(schema("evaluation").columns)]


def summarise_evaluation(evaluation: Table, *, k: Sequence[int], seed: int) -> dict[str, Measured]:
    """Return the numbers of one policy as {"suite/metric": value, low, high, n}, n in questions.

    `pass_at_1` is the share of sampled completions that are correct, `greedy_pass_at_1` that of greedy ones.

    Args:
        evaluation: Of one policy.
        k: Of pass@k; 1 is always among them. A suite with fewer samples per question has no number for a larger k.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: If k is more than the samples per question, or these are not equally many in a suite.
    """
    if not len(evaluation):
        raise EvaluationError("the evaluation is empty: no question was judged")
    if evaluation["policy_id"].nunique() > 1:
        raise EvaluationError(f"an evaluation is of one policy, got {first_few(evaluation['policy_id'].unique())}")
    most = int(evaluation["n"].max())
    if max(k, default=1) > most:
        raise EvaluationError(f"evaluation.k must be at most {most}, the samples per question, got {max(k)}")
    summary: dict[str, Measured] = {}
    rates: dict[Any, Any] = {}
    for suite, rows in evaluation.groupby("suite"):
        rates[suite] = rows["n_correct"] / rows["n"]
        for name, measured in _summarise_suite(rows, suite=str(suite), k=sorted({1, *k}), seed=seed).items():
            summary[f"{suite}/{name}"] = measured
    if {"train", "test"} <= rates.keys():
        gap = independent_difference(rates["train"], rates["test"], seed=seed)
        n = len(rates["train"]) + len(rates["test"])
        summary[GAP] = Measured(value=gap.difference, low=gap.low, high=gap.high, n=n)
    return summary


def _summarise_suite(rows: Table, *, suite: str, k: Sequence[int], seed: int) -> dict[str, Measured]:
    n = int(rows["n"].min())
    if n != rows["n"].max():
        raise EvaluationError(f"suite {suite!r} has {n} to {rows['n'].max()} samples per question; draw equally many")
    k = [size for size in k if size <= n]
    solved = chances(n, k)[rows["n_correct"].to_numpy()]
    numbers = {
        **{f"pass_at_{size}": solved[:, column] for column, size in enumerate(k)},
        f"maj_at_{n}": rows["majority_correct"],
        "mean_reward": rows["mean_reward"],
        "distinct_share": rows["n_distinct"] / n,
        "distinct_correct": rows["n_distinct_correct"],
        "truncated_share": rows["n_truncated"] / n,
        "mean_tokens": rows["mean_tokens"],
    }
    greedy = rows["greedy_correct"]
    measured = {"greedy_pass_at_1": _measured(greedy, wilson_interval(int(greedy.sum()), len(greedy)))}
    return measured | _with_intervals(numbers, seed=seed)


def _with_intervals(numbers: Mapping[str, Any], *, seed: int) -> dict[str, Measured]:
    """Return the mean of every number with its interval."""
    import pandas as pd

    table = pd.DataFrame(numbers).astype("float64")
    intervals = dict(zip(map(str, table), bootstrap_intervals(table, seed=seed), strict=True))
    for name, values in table.items():
        if name not in _NO_SHARES:
            intervals[str(name)] = widened_for_few(intervals[str(name)], values.to_numpy())
    return {name: _measured(table[name], interval) for name, interval in intervals.items()}


def pass_at_k_curve(rows: Table, *, seed: int) -> Table:
    """Return pass@k for every k up to the samples per question: columns k, value, low, high, n.

    Args:
        rows: Of an evaluation: one policy and one suite.
        seed: Of the bootstrap.
    """
    import pandas as pd

    n = int(rows["n"].min())
    solved = chances(n, range(1, n + 1))[rows["n_correct"].to_numpy()]
    measured = _with_intervals({str(k): column for k, column in enumerate(solved.T, start=1)}, seed=seed)
    return pd.DataFrame([{"k": int(k), **number} for k, number in measured.items()])


def chances(n: int, k: Sequence[int]) -> "NDArray[np.float64]":
    """Return pass@k `(n + 1, len(k))` for every possible number of correct samples, as pass_at_k but for rounding."""
    import numpy as np

    n_wrong = np.arange(n, -1, -1.0)[:, None]
    drawn = np.arange(n, dtype=np.float64)
    # The chance that all of the first k draws are wrong; a factor is 0 once no wrong one is left.
    missed = np.cumprod(np.maximum(n_wrong - drawn, 0.0) / (n - drawn), axis=1)
    return np.asarray(1.0 - missed[:, np.asarray(k) - 1], dtype=np.float64)


def _measured(values: Any, interval: Interval) -> Measured:
    return Measured(value=float(values.mean()), low=interval.low, high=interval.high, n=len(values))


def _check_complete(counts: Table) -> None:
    policies = sorted(set(counts["policy_id"]))
    if len(policies) > 1:
        raise EvaluationError(f"an evaluation is of one policy, the scored samples are of {first_few(policies)}")
    rows = list(counts[["suite", "question_id", "decoding", "n"]].itertuples(index=False, name=None))
    seen: dict[str, set[tuple[str, str]]] = {"greedy": set(), "sampled": set()}
    for suite, question, drawn, n in rows:
        if (suite, question) in seen[drawn]:
            raise EvaluationError(
                f"{_named(suite, question)} has {drawn} completions in several shards; score the suite again"
            )
        if drawn == "greedy" and n > 1:
            raise EvaluationError(f"{_named(suite, question)} has {n} greedy completions; it needs one")
        seen[drawn].add((suite, question))
    for what, other in (("greedy", "sampled"), ("sampled", "greedy")):
        lone = sorted(seen[other] - seen[what])
        if lone:
            named = first_few(_named(*keys) for keys in lone)
            raise EvaluationError(f"there are {len(lone)} questions without a {what} completion ({named})")


def _named(suite: str, question: str) -> str:
    return f"question {question} of suite {suite!r}"
