"""What can go wrong from one iteration to the next: each a sign with its evidence.

A sign is `shown` where intervals leave no room for chance, `suspected` where chance alone would say so in at most
10 % of iterations in which nothing went wrong, `not seen`, or `not measured`. Decisions rest on validation and transfer
questions, never on test questions. What is watched for is in Singh et al. 2023, https://arxiv.org/abs/2312.06585,
sections 5.1 to 5.3; the rules below are ours.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from restem import suggestions
from restem.errors import ExperimentError
from restem.evaluation.comparisons import Comparison, compare, judge_together
from restem.evaluation.intervals import PairedDifference, in_text, paired_bootstrap, sign_flip_test
from restem.evaluation.metrics import chances
from restem.parameters import EmParameters
from restem.schemas import OWN_SUITES
from restem.store.tables import Table

SHOWN, SUSPECTED, NOT_SEEN, NOT_MEASURED = "shown", "suspected", "not seen", "not measured"
SIGNS = (NOT_SEEN, SUSPECTED, SHOWN)  # the worse the later
COLUMNS = ["iteration", "sentinel", "sign", "evidence"]
_FALSE_ALARMS = 0.1  # share of iterations in which nothing went wrong that a sentinel may suspect; ours
_CHOSEN_BY, _TRAINED_ON = "validation", "train"


class Sighting(NamedTuple):
    """What a sentinel says."""

    sign: str
    evidence: str


class Watched(NamedTuple):
    """An iteration and what it is held against."""

    now: Table  # its evaluation
    before: Table  # that of the policy that it sampled from
    base: Table  # that of the base policy
    audit: Mapping[str, Any]  # the audit_summary; may be empty
    audit_before: Mapping[str, Any]  # that of the iteration before
    k: Sequence[int]  # `evaluation.k`
    seed: int  # of the bootstrap


def watch(watched: Watched, *, iteration: int) -> Table:
    """Return a row per sentinel: iteration, sentinel, sign, evidence.

    Raises:
        EvaluationError: If two evaluations cannot be compared.
    """
    import pandas as pd

    sightings = {name: sentinel(watched) for name, sentinel in SENTINELS.items()}
    rows = [{"iteration": iteration, "sentinel": name, **sighting._asdict()} for name, sighting in sightings.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def refuse_if_stopped(record_before: Mapping[str, Any], em: EmParameters) -> None:
    """Raise if the experiment ends with the last iteration, which may just have been made.

    Raises:
        ExperimentError: With the evidence, and how to go on.
    """
    refuse_to_begin(record_before["iteration"] + 1, why_stopped(record_before, em))


def refuse_to_begin(iteration: int, reason: str) -> None:
    """Raise if there is a reason to end the experiment before this iteration.

    Raises:
        ExperimentError: With it, and how to go on.
    """
    if reason:
        go_on = suggestions.run("em_iteration", params={"em.iteration": iteration})
        raise ExperimentError(
            f"iteration {iteration} is not begun: {reason}. See the report: {suggestions.run('compare')}. Go on all "
            f"the same: {go_on}"
        )


def why_stopped(record: Mapping[str, Any], em: EmParameters) -> str:
    """Return which sentinel of `em.stop_when` ends the experiment here; nothing if it goes on, asked or forced to."""
    for row in record.get("sentinels", ()) if em.iteration is None else ():
        if row["sign"] == SHOWN and row["sentinel"] in em.stop_when:
            shown = f"iteration {record['iteration']} shows {row['sentinel']}, which em.stop_when names"
            return f"{shown} ({row['evidence']})"
    return ""


def overfitting(watched: Watched) -> Sighting:
    """Return whether the iteration got better on what it was trained on and worse on validation questions."""
    missing = _missing(watched, _TRAINED_ON, _CHOSEN_BY)
    if missing:
        return missing
    train, held_out = (
        compare(watched.before, watched.now, suite=suite, seed=watched.seed) for suite in (_TRAINED_ON, _CHOSEN_BY)
    )
    evidence = f"from the iteration before: train {_change(train)}, validation {_change(held_out)}"
    return Sighting(
        _sign(
            shown=train.low > 0 and held_out.conclusion == "worse",
            suspected=train.difference > 0 and _falls(held_out.difference, held_out.sampled_p_value, _FALSE_ALARMS),
        ),
        evidence,
    )


def diversity_collapse(watched: Watched) -> Sighting:
    """Return whether pass@1 rose since the base policy while pass@k, or the share of distinct completions, fell.

    Fewer distinct completions alone are no collapse where pass@k is shown to rise: then more questions can be solved.
    """
    missing = _missing(watched, _CHOSEN_BY)
    if missing:
        return missing
    first, last = (_rows(table, _CHOSEN_BY) for table in (watched.base, watched.now))
    n = int(first["n"].iloc[0])
    k = max((size for size in watched.k if size <= n), default=1)
    if k == 1:
        return Sighting(NOT_MEASURED, "evaluation.k has no k above 1")
    solved = chances(n, [1, k])
    at_1, at_k = (
        _paired(solved[first["n_correct"], column], solved[last["n_correct"], column], watched) for column in (0, 1)
    )
    distinct = _paired(first["n_distinct"] / n, last["n_distinct"] / n, watched)
    k_falls, fewer_distinct = (
        _falls(change.difference, sign_flip_test(a, b, seed=watched.seed), _FALSE_ALARMS / 2)  # two ways to be wrong
        for change, a, b in (
            (at_k, solved[first["n_correct"], 1], solved[last["n_correct"], 1]),
            (distinct, first["n_distinct"] / n, last["n_distinct"] / n),
        )
    )
    numbers = f"pass@1 {_of(at_1)}, pass@{k} {_of(at_k)}, distinct {_of(distinct)}"
    rises = at_1.low > 0
    return Sighting(
        _sign(
            shown=rises and (at_k.high < 0 or (distinct.high < 0 and at_k.difference <= 0)),
            suspected=at_1.difference > 0 and (k_falls or (fewer_distinct and at_k.difference <= 0)),
        ),
        f"on validation, from the base policy: {numbers}",
    )


def transfer_loss(watched: Watched) -> Sighting:
    """Return whether the iteration does worse than the base policy on a transfer or general suite."""
    suites = sorted(set(watched.now["suite"]) - set(OWN_SUITES))
    if not suites:
        return Sighting(NOT_MEASURED, "questions.transfer has no suite")
    compared = judge_together([compare(watched.base, watched.now, suite=each, seed=watched.seed) for each in suites])
    evidence = "from the base policy: " + ", ".join(f"{each.suite} {_change(each)}" for each in compared)
    return Sighting(
        _sign(
            shown=any(each.conclusion == "worse" for each in compared),
            suspected=any(_falls(each.difference, each.holm_p_value, _FALSE_ALARMS) for each in compared),
        ),
        evidence,
    )


def worse_audit(watched: Watched) -> Sighting:
    """Return whether more of the accepted samples are wrong, by the second verifier, than an iteration before.

    Source: of the interval of a difference, Newcombe 1998, method 10, https://doi.org/10.1002/sim.4780170801.
    """
    last, first = watched.audit, watched.audit_before
    if last.get("false_positive_rate") is None:
        return Sighting(NOT_MEASURED, "no accepted sample was audited")
    share = in_text(last["false_positive_rate"], last["low"], last["high"])
    now = f"{share} of {last['n_checked']} accepted samples are refused"
    if first.get("false_positive_rate") is None:
        return Sighting(NOT_MEASURED, f"{now}; there is no audit before it")
    rise = last["false_positive_rate"] - first["false_positive_rate"]
    low = rise - math.hypot(last["false_positive_rate"] - last["low"], first["high"] - first["false_positive_rate"])
    before = f"{first['false_positive_rate']:.3f} of {first['n_checked']} before"
    n_refused, n_refused_before = (round(each["false_positive_rate"] * each["n_checked"]) for each in (last, first))
    n, n_before = last["n_checked"], first["n_checked"]
    p_value = fisher_p_value(n_refused, n, n_refused_before, n_before)
    return Sighting(_sign(shown=low > 0, suspected=rise > 0 and p_value <= _FALSE_ALARMS), f"{now}, {before}")


def fisher_p_value(n_success: int, n: int, n_success_before: int, n_before: int) -> float:
    """Return the chance of so many successes or more among n, of those of both, if both are equally likely to have one.

    Source: Fisher 1935, The Design of Experiments, chapter 2: his exact test, one-sided. Whole numbers give it at once,
    where scipy.stats takes a second to import.
    """
    total, n_successes = n + n_before, n_success + n_success_before
    as_many = range(n_success, min(n_successes, n) + 1)
    ways = sum(math.comb(n_successes, k) * math.comb(total - n_successes, n - k) for k in as_many)
    return ways / math.comb(total, n)


SENTINELS = {each.__name__: each for each in (overfitting, diversity_collapse, transfer_loss, worse_audit)}


def _falls(difference: float, p_value: float, level: float) -> bool:
    """Return whether a number fell, by a one-sided test.

    Args:
        difference: How much it changed.
        p_value: Two-sided, of the difference.
        level: In how many cases chance alone may say so.
    """
    return difference < 0 and p_value <= 2 * level


def _sign(*, shown: bool, suspected: bool) -> str:
    if shown:
        return SHOWN
    return SUSPECTED if suspected else NOT_SEEN


def _missing(watched: Watched, *suites: str) -> Sighting | None:
    missing = [suite for suite in suites if suite not in set(watched.now["suite"])]
    return Sighting(NOT_MEASURED, f"there are no questions of suite {' and '.join(missing)}") if missing else None


def _rows(evaluation: Table, suite: str) -> Table:
    return evaluation[evaluation["suite"] == suite].sort_values("question_id", ignore_index=True)


def _paired(first: Any, last: Any, watched: Watched) -> PairedDifference:
    return paired_bootstrap(first, last, seed=watched.seed)


def _change(comparison: Comparison) -> str:
    return _of(PairedDifference(comparison.difference, comparison.low, comparison.high))


def _of(change: PairedDifference) -> str:
    return in_text(*change, signed=True)
