"""Sentinels on planted histories."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from restem.errors import ExperimentError
from restem.evaluation import intervals
from restem.evaluation.best_policy import recommend
from restem.evaluation.sentinels import (
    NOT_MEASURED,
    NOT_SEEN,
    SHOWN,
    SUSPECTED,
    Watched,
    fisher_p_value,
    refuse_if_stopped,
    watch,
)
from restem.parameters import EmParameters
from tests.builders import evaluation

N = 8


def suite(
    name: str, rates: "np.ndarray | float", *, n: int = 200, distinct: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    random = np.random.default_rng([seed, len(name)])
    chance = np.broadcast_to(rates, n)
    return evaluation(
        random.binomial(N, chance),
        n=N,
        suite=name,
        n_distinct=np.maximum(1, random.binomial(N, distinct, n)),
        greedy_correct=random.binomial(1, chance),
    )


def measured(seed: int, *, distinct: float = 0.9, **rates: "np.ndarray | float") -> pd.DataFrame:
    return pd.concat(
        [suite(name, rate, distinct=distinct, seed=seed) for name, rate in rates.items()], ignore_index=True
    )


def signs(
    now: pd.DataFrame,
    base: pd.DataFrame,
    before: pd.DataFrame | None = None,
    audits: tuple[dict[str, Any], dict[str, Any]] = ({}, {}),
) -> dict[str, str]:
    watched = Watched(now, base if before is None else before, base, audits[1], audits[0], (1, 8), seed=0)
    table = watch(watched, iteration=1)
    assert (table["evidence"].str.len() > 0).all()
    return dict(zip(table["sentinel"], table["sign"], strict=True))


def audit(n_disagreed: int, n_checked: int = 100) -> dict[str, Any]:
    from restem.evaluation.intervals import wilson_interval

    low, high = wilson_interval(n_disagreed, n_checked)
    rate = n_disagreed / n_checked
    return {
        "n_checked": n_checked,
        "n_disagreed": n_disagreed,
        "false_positive_rate": rate,
        "low": low,
        "high": high,
    }


BASE = measured(1, train=0.3, validation=0.3)


def test_a_healthy_iteration_raises_no_alarm() -> None:
    found = signs(measured(2, train=0.5, validation=0.45), BASE)

    assert found["overfitting"] == NOT_SEEN
    assert found["diversity_collapse"] == NOT_SEEN


def test_train_up_and_validation_down_is_overfitting() -> None:
    assert signs(measured(2, train=0.6, validation=0.15), BASE)["overfitting"] == SHOWN


def test_train_up_and_validation_a_little_down_is_only_suspected() -> None:
    now = BASE.copy()
    is_train = now["suite"] == "train"
    now.loc[is_train, "n_correct"] = np.minimum(N, now.loc[is_train, "n_correct"] + 2)
    right = now.index[(now["suite"] == "validation") & (now["n_correct"] > 0)]
    now.loc[right[:1], "n_correct"] -= 1
    by_one = signs(now, BASE)["overfitting"]
    now.loc[right[1:5], "n_correct"] -= 1

    assert (by_one, signs(now, BASE)["overfitting"]) == (NOT_SEEN, SUSPECTED)


def test_overfitting_is_judged_from_the_iteration_before_not_from_the_base_policy() -> None:
    before = measured(2, train=0.6, validation=0.5)
    now = measured(3, train=0.8, validation=0.35)

    assert signs(now, BASE)["overfitting"] == NOT_SEEN
    assert signs(now, BASE, before)["overfitting"] == SHOWN


def test_pass_at_1_up_and_pass_at_k_down_is_a_collapse() -> None:
    sure_of_half = np.array([0.98] * 100 + [0.0] * 100)

    assert signs(measured(2, validation=sure_of_half), BASE)["diversity_collapse"] == SHOWN


def test_fewer_distinct_completions_are_a_collapse_only_if_pass_at_k_does_not_rise() -> None:
    few = np.array([0.3] * 200)
    base = measured(1, validation=few)
    alike = base.copy()
    alike["n_distinct"] = 2
    alike["n_correct"] = np.where(base["n_correct"] > 0, np.minimum(N, base["n_correct"] + 1), 0)
    solves_more = measured(2, distinct=0.2, validation=0.7)

    assert signs(alike, base)["diversity_collapse"] == SHOWN
    assert signs(solves_more, base)["diversity_collapse"] == NOT_SEEN


def test_a_loss_on_one_of_several_transfer_suites_is_shown_and_named() -> None:
    rates = {"svamp": 0.4, "bbh": 0.4, "humaneval": 0.4}
    base = measured(1, validation=0.3, **rates)
    now = measured(2, validation=0.5, **{**rates, "bbh": 0.25})

    assert signs(now, base)["transfer_loss"] == SHOWN
    table = watch(Watched(now, base, base, {}, {}, (1, 8), seed=0), iteration=1).set_index("sentinel")
    assert "bbh -0.1" in table.loc["transfer_loss", "evidence"]


def test_an_audit_that_refuses_more_is_shown_beyond_its_interval() -> None:
    assert signs(BASE, BASE, audits=(audit(2), audit(20)))["worse_audit"] == SHOWN
    assert signs(BASE, BASE, audits=(audit(2), audit(4)))["worse_audit"] == NOT_SEEN
    assert signs(BASE, BASE, audits=(audit(2), audit(8)))["worse_audit"] == SUSPECTED
    assert signs(BASE, BASE, audits=(audit(4), audit(2)))["worse_audit"] == NOT_SEEN


@pytest.mark.parametrize(
    "counts", [(0, 8, 3, 5), (5, 5, 0, 9), (20, 100, 2, 100), (3, 7, 4, 40), (600, 2000, 500, 2000)]
)
def test_the_chance_of_so_many_refusals_is_that_of_fishers_test(counts: tuple[int, int, int, int]) -> None:
    n_refused, n, n_refused_before, n_before = counts
    table = [[n_refused, n - n_refused], [n_refused_before, n_before - n_refused_before]]

    assert fisher_p_value(*counts) == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-9)


def test_what_was_not_measured_is_said() -> None:
    found = signs(suite("test", 0.5), suite("test", 0.4))

    assert set(found.values()) == {NOT_MEASURED}


@pytest.mark.slow
def test_equal_policies_rarely_raise_an_alarm() -> None:
    shown = []
    for seed in range(60):
        chance = np.random.default_rng(seed).beta(0.5, 1.0, 200)
        base, now = (measured(100 * seed + i, train=chance, validation=chance, bbh=chance) for i in (1, 2))
        shown += [verdict for verdict in signs(now, base).values() if verdict == SHOWN]

    assert len(shown) <= 6  # of 180


def test_distinct_completions_fall_without_alarm_where_pass_at_k_rises_within_its_interval() -> None:
    base = BASE
    now = base.copy()
    few = now.index[now["n_correct"] == 0][:2]
    now.loc[few, "n_correct"] = N
    now["n_distinct"] = 2

    assert signs(now, base)["diversity_collapse"] == NOT_SEEN


@pytest.mark.slow
def test_a_sentinel_suspects_at_most_one_in_ten_iterations_in_which_nothing_went_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Policies that are equal on validation and transfer, however much better on what they were trained on."""
    monkeypatch.setattr(intervals, "RESAMPLES", 500)
    n, n_times = 24, 150
    raised: dict[str, int] = {}
    for seed in range(n_times):
        random = np.random.default_rng([n, seed])
        chance = random.beta(0.5, 1.0, n)
        wrong = random.uniform(0.0, 0.2)
        base, now = (
            pd.concat(
                [
                    suite("train", np.minimum(1.0, chance + gain), n=n, seed=10 * seed + i),
                    *(suite(name, chance, n=n, seed=10 * seed + i) for name in ("validation", "bbh", "svamp")),
                ],
                ignore_index=True,
            )
            for i, gain in ((1, 0.0), (2, 0.3))
        )
        audits = tuple(audit(int(random.binomial(100, wrong))) for _ in range(2))
        for name, verdict in signs(now, base, audits=audits).items():
            raised[name] = raised.get(name, 0) + (verdict in (SUSPECTED, SHOWN))

    # The standard error of 10 % of 150 is 2.4 %.
    assert {name: count for name, count in raised.items() if count / n_times > 0.10 + 2 * 0.024} == {}
    assert raised["overfitting"] > 0


def record(i: int, value: float | None, **changed: Any) -> dict[str, Any]:
    measured = {} if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 32}
    metrics = {"validation/pass_at_1": measured, "test/pass_at_1": {"value": 1 - (value or 0)}}
    made = {
        "iteration": i,
        "policy": f"policy{i}",
        "parent": f"policy{i - 1}" if i else None,
        "base": "policy0",
        "metrics": metrics if measured else {"test/pass_at_1": {"value": 0.5}},
        "sentinels": [],
    }
    return {**made, **changed}


def test_the_iteration_to_keep_is_the_best_on_validation_questions_whatever_the_test_says() -> None:
    records = {i: record(i, value) for i, value in enumerate((0.2, 0.5, 0.4))}

    assert recommend(records).iteration == 1
    assert "on the 32 validation questions is the best: 0.500 [0.400, 0.600]" in recommend(records).reason


def test_of_equally_good_iterations_the_first_is_kept_and_the_base_policy_may_win() -> None:
    assert recommend({0: record(0, 0.5), 1: record(1, 0.5)}).iteration == 0


def test_stale_iterations_are_not_recommended() -> None:
    records = {0: record(0, 0.2), 1: record(1, 0.3), 2: record(2, 0.9, parent="another")}

    assert recommend(records).iteration == 1


def test_without_validation_questions_the_last_iteration_is_kept_and_the_reason_said() -> None:
    chosen = recommend({0: record(0, None), 1: record(1, None)})

    assert (chosen.iteration, "no validation questions" in chosen.reason) == (1, True)


def test_a_recommended_iteration_in_trouble_says_so() -> None:
    trouble = [{"sentinel": "transfer_loss", "sign": SHOWN, "evidence": "bbh fell"}]

    assert recommend({0: record(0, 0.2), 1: record(1, 0.5, sentinels=trouble)}).reason.endswith(
        "but it shows transfer loss"
    )


def test_only_what_is_named_and_shown_stops_the_experiment() -> None:
    trouble = [{"sentinel": "overfitting", "sign": SHOWN, "evidence": "train +0.1, validation -0.1"}]
    doubt = [{"sentinel": "overfitting", "sign": SUSPECTED, "evidence": "a little"}]
    asked = EmParameters(stop_when=["overfitting"])

    with pytest.raises(ExperimentError, match=r"iteration 2 is not begun: iteration 1 shows overfitting.*train \+0\.1"):
        refuse_if_stopped(record(1, 0.5, sentinels=trouble), asked)
    refuse_if_stopped(record(1, 0.5, sentinels=doubt), asked)
    refuse_if_stopped(record(1, 0.5, sentinels=trouble), EmParameters())
    refuse_if_stopped(record(1, 0.5, sentinels=trouble), EmParameters(stop_when=["transfer_loss"]))
    refuse_if_stopped(record(1, 0.5, sentinels=trouble), EmParameters(stop_when=["overfitting"], iteration=2))
