"""Whether one policy is better than another on the same questions."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar

from restem.errors import EvaluationError, first_few
from restem.evaluation.intervals import ALPHA, Z_95, PairedDifference, mcnemar, paired_bootstrap, sign_flip_test
from restem.store.tables import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_POWER = 0.8
_Z_POWER_80 = 0.8416212335729143  # one-sided 20 %
_DETECTABLE = Z_95 + _Z_POWER_80  # standard errors that a two-sided 5 % test finds with 80 % power
SHOWN = ("better", "worse")  # conclusions; all others begin with NOT_SHOWN
NOT_SHOWN = "no difference shown"
_FEWEST_DIFFERENT = 6  # 2 * 0.5**6 < 0.05 < 2 * 0.5**5: with fewer, no two-sided test can reject


class Comparison(NamedTuple):
    """What changed from policy a to policy b on the questions of one suite."""

    suite: str
    n: int  # questions
    difference: float  # of the sampled pass@1, b minus a
    low: float
    high: float
    greedy_difference: float  # of the greedy pass@1, b minus a
    p_value: float  # of the greedy difference: exact McNemar, two-sided
    newly_solved: tuple[str, ...]  # question_ids that greedy b answers and greedy a does not
    newly_lost: tuple[str, ...]
    smallest_detectable: float  # difference of the sampled pass@1 that n questions show in 80 % of trials
    conclusion: str  # "better", "worse", or "no difference shown (n = ..., smallest detectable ...)"
    sampled_p_value: float  # of the sampled difference: sign-flip test, two-sided
    holm_p_value: float  # the same, adjusted for all comparisons that are looked at together


def compare(evaluation_a: Table, evaluation_b: Table, *, suite: str, seed: int) -> Comparison:
    """Return what changed from policy a to policy b on one suite.

    Args:
        evaluation_a: The `evaluation` table of policy a; other suites in it are ignored.
        evaluation_b: The same for policy b.
        suite: Which questions.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: If the two were not measured on the same questions in the same way.
    """
    import numpy as np

    first, second = same_questions(evaluation_a, evaluation_b, suite)
    rate_a, rate_b = (frame["n_correct"].to_numpy() / frame["n"].to_numpy() for frame in (first, second))
    greedy_a, greedy_b = first["greedy_correct"].to_numpy(), second["greedy_correct"].to_numpy()
    questions = first.index.to_numpy()
    sampled = paired_bootstrap(rate_a, rate_b, seed=seed)
    n_different = int(np.count_nonzero(rate_a != rate_b))
    change = rate_b - rate_a
    error = float(change.std(ddof=1)) / math.sqrt(len(change)) if len(change) > 1 else 0.0
    detectable = smallest_detectable(change, error=error, freedom=len(change) - 1)
    conclusion = say(sampled, n=len(first), n_different=n_different, detectable=detectable)
    p_value = sign_flip_test(rate_a, rate_b, seed=seed)
    return Comparison(
        suite=suite,
        n=len(first),
        **sampled._asdict(),
        greedy_difference=float(greedy_b.mean() - greedy_a.mean()),
        p_value=mcnemar(greedy_a, greedy_b).p_value,
        newly_solved=tuple(questions[greedy_b > greedy_a]),
        newly_lost=tuple(questions[greedy_b < greedy_a]),
        smallest_detectable=detectable,
        conclusion=conclusion,
        sampled_p_value=p_value,
        holm_p_value=p_value,
    )


class _Judged(Protocol):
    """A comparison on its own."""

    @property
    def n(self) -> int: ...
    @property
    def smallest_detectable(self) -> float: ...
    @property
    def sampled_p_value(self) -> float: ...
    @property
    def conclusion(self) -> str: ...
    def _replace(self, *, holm_p_value: float = ..., conclusion: str = ...) -> Self: ...


_Compared = TypeVar("_Compared", bound=_Judged)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for there being several: below 0.05, the chance of any false alarm is below 5 %.

    Source: Holm 1979, https://www.jstor.org/stable/4615733.

    Args:
        p_values: Of tests that are looked at together.
    """
    n = len(p_values)
    adjusted, largest = [0.0] * n, 0.0
    for rank, index in enumerate(sorted(range(n), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (n - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def judge_together(comparisons: Sequence[_Compared]) -> list[_Compared]:
    """Return comparisons that are looked at together, adjusted for their number by Holm's method.

    What one comparison alone would call better may be chance among many: it must hold after the adjustment too.
    """
    adjusted = holm([single.sampled_p_value for single in comparisons])
    return [
        single._replace(holm_p_value=p, conclusion=_still_said(single, p, n_together=len(comparisons)))
        for single, p in zip(comparisons, adjusted, strict=True)
    ]


def _still_said(comparison: _Judged, p_value: float, *, n_together: int) -> str:
    """Return the conclusion that is left of a comparison's own when it is one of several."""
    if comparison.conclusion in SHOWN and p_value > ALPHA:
        return _not_shown(comparison.n, comparison.smallest_detectable, f" among {n_together} comparisons")
    return comparison.conclusion


def compare_all(evaluations: Sequence[Table], *, seed: int) -> Table:
    """Return a row per policy, suite and reference: what changed against the base policy and the one before.

    Verdicts and p-values are adjusted for all rows with the same reference being looked at together.

    Args:
        evaluations: The `evaluation` tables of policy_0, policy_1 ... in order.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: If two policies were not measured on the same questions in the same way.
    """
    import pandas as pd

    rows = []
    for reference in ("base", "previous"):
        pairs = [
            (iteration, 0 if reference == "base" else iteration - 1, suite)
            for iteration in range(1, len(evaluations))
            for suite in sorted(set(evaluations[iteration]["suite"]))
        ]
        compared = [compare(evaluations[a], evaluations[b], suite=suite, seed=seed) for b, a, suite in pairs]
        for (iteration, against, _), comparison in zip(pairs, judge_together(compared), strict=True):
            row: dict[str, object] = {"iteration": iteration, "reference": reference, "against": against}
            row |= comparison._asdict()
            row |= {"newly_solved": len(comparison.newly_solved), "newly_lost": len(comparison.newly_lost)}
            rows.append(row)
    table = pd.DataFrame(rows, columns=["iteration", "reference", "against", *Comparison._fields])
    return table.sort_values(["iteration", "reference", "suite"], ignore_index=True)


def say(sampled: PairedDifference, *, n: int, n_different: int, detectable: float) -> str:
    """Return the conclusion on a difference: better or worse only if its interval excludes zero.

    Args:
        sampled: The difference.
        n: Questions.
        n_different: Questions of them whose rate changed at all.
        detectable: The smallest difference that so many questions would show.
    """
    if n_different >= _FEWEST_DIFFERENT and sampled.low > 0:
        return "better"
    if n_different >= _FEWEST_DIFFERENT and sampled.high < 0:
        return "worse"
    return _not_shown(n, detectable)


def _not_shown(n: int, detectable: float, among: str = "") -> str:
    return f"{NOT_SHOWN}{among} (n = {n}, smallest detectable {detectable:.3f})"


def smallest_detectable(change: "NDArray[np.float64]", *, error: float, freedom: float) -> float:
    """Return the mean change that so many questions show, by a two-sided 5 % test, in 80 % of trials.

    Two things limit it, and the larger counts: how much changes vary, and that at least six questions must change.
    Where hardly any did, as under policies that are always wrong or always right, the second one does.

    Args:
        change: Of each question's rate, as it was seen.
        error: Standard error of the mean change.
        freedom: Its degrees of freedom.
    """
    import numpy as np
    from scipy.special import betaincinv, stdtrit

    n = len(change)
    if n < _FEWEST_DIFFERENT:
        return 1.0
    widening = float(stdtrit(max(1.0, freedom), 0.975)) / Z_95
    # The share of questions of which six or more change in 80 % of trials, by the binomial distribution.
    share = float(betaincinv(_FEWEST_DIFFERENT, n - _FEWEST_DIFFERENT + 1, _POWER))
    size = np.abs(change[change != 0])
    by_count = share * (float(size.mean()) if size.size else 1.0)
    return min(1.0, max(error * widening * _DETECTABLE, by_count))


def same_questions(a: Table, b: Table, suite: str) -> tuple[Table, Table]:
    """Return the rows of a suite of two evaluations, by question and in the same order.

    Raises:
        EvaluationError: If they were not measured on the same questions in the same way; the difference is named.
    """
    first, second = _of_suite(a, suite, "first"), _of_suite(b, suite, "second")
    for missing, where in (
        (first.index.difference(second.index), "second"),
        (second.index.difference(first.index), "first"),
    ):
        if len(missing):
            raise EvaluationError(
                f"suite {suite!r} cannot be compared: {len(missing)} of its questions are missing from the {where} "
                f"evaluation ({first_few(missing)}); evaluate both policies on the same questions"
            )
    decodings = sorted(set(first["decoding"]) | set(second["decoding"]))
    if len(decodings) > 1:
        raise EvaluationError(
            f"suite {suite!r} cannot be compared: it was sampled with {' and with '.join(map(repr, decodings))}; "
            "evaluate both policies with the same evaluation.temperature, top_k and top_p"
        )
    return first, second.loc[first.index]


def _of_suite(evaluation: Table, suite: str, which: str) -> Table:
    rows = evaluation[evaluation["suite"] == suite]
    if rows.empty:
        has = ", ".join(sorted(set(evaluation["suite"]))) or "none"
        raise EvaluationError(f"the {which} evaluation has no suite {suite!r}; it has: {has}")
    repeated = rows.loc[rows["question_id"].duplicated(), "question_id"]
    if len(repeated):
        raise EvaluationError(
            f"the {which} evaluation of suite {suite!r} has {len(repeated)} questions more than once "
            f"({first_few(repeated)}); pass the rows of one policy"
        )
    return rows.set_index("question_id").sort_index()
