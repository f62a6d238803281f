import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, bootstrap, permutation_test
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from restem.errors import EvaluationError
from restem.evaluation import intervals
from restem.evaluation.comparisons import compare, compare_all, holm, judge_together
from restem.evaluation.intervals import (
    bootstrap_interval,
    bootstrap_intervals,
    mcnemar,
    paired_bootstrap,
    sign_flip_test,
    wilson_interval,
)
from restem.evaluation.pooled_seeds import combine_pairs
from tests.builders import evaluation


@pytest.mark.parametrize(("only_a", "only_b", "both"), [(0, 0, 5), (1, 8, 3), (8, 1, 0), (5, 5, 5), (40, 71, 300)])
def test_mcnemar_agrees_with_scipy_and_statsmodels(only_a: int, only_b: int, both: int) -> None:
    a = np.array([1] * only_a + [0] * only_b + [1] * both)
    b = np.array([0] * only_a + [1] * only_b + [1] * both)

    result = mcnemar(a, b)

    assert (result.n_only_a, result.n_only_b) == (only_a, only_b)
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert result.p_value == pytest.approx(expected, rel=1e-9)
    assert result.p_value == pytest.approx(statsmodels_mcnemar([[both, only_a], [only_b, 0]]).pvalue, rel=1e-9)


def test_mcnemar_refuses_rates_and_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="0 and 1"):
        mcnemar([0.5, 1], [0, 1])
    with pytest.raises(ValueError, match="got 2 and 3"):
        mcnemar([0, 1], [0, 1, 1])


def test_paired_bootstrap_agrees_with_scipy() -> None:
    random = np.random.default_rng(3)
    a, b = random.binomial(8, 0.4, 200) / 8, random.binomial(8, 0.5, 200) / 8
    expected = bootstrap((b - a,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval

    result = paired_bootstrap(a, b, seed=0)

    assert result.difference == pytest.approx(b.mean() - a.mean())
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_paired_bootstrap_of_many_different_values_agrees_with_scipy() -> None:
    a, b = np.random.default_rng(4).random((2, 300))
    expected = bootstrap((b - a,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval

    result = paired_bootstrap(a, b, seed=0)

    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=0.005)


def test_paired_bootstrap_is_the_same_for_the_same_seed() -> None:
    a, b = np.random.default_rng(5).random((2, 100))

    assert paired_bootstrap(a, b, seed=7) == paired_bootstrap(a, b, seed=7)
    assert paired_bootstrap(a, b, seed=7) != paired_bootstrap(a, b, seed=8)


@pytest.mark.parametrize(("n_changed", "shown"), [(0, False), (5, False), (6, True)])
def test_one_sided_changes_leave_zero_where_the_exact_sign_test_rejects(n_changed: int, shown: bool) -> None:
    a, b = np.zeros(128), np.array([1.0] * n_changed + [0.0] * (128 - n_changed))

    assert (paired_bootstrap(a, b, seed=0).low > 0) is shown
    assert (mcnemar(a, b).p_value < 0.05) is shown


@pytest.mark.parametrize("bad", [[], [0.1, float("nan")], [[0.1], [0.2]]])
def test_intervals_refuse_anything_but_one_finite_number_per_question(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="one finite number per question"):
        bootstrap_interval(bad, seed=0)


def rows_that_are_compared(n: int) -> pd.DataFrame:
    """Return an evaluation's columns that a comparison reads: simulations of thousands take all the others' time."""
    return evaluation([0] * n)[["suite", "question_id", "decoding", "n", "n_correct", "greedy_correct"]]


@pytest.mark.slow
def test_95_percent_intervals_hold_the_truth_in_95_percent_of_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 1_000)
    random = np.random.default_rng(11)
    n_experiments, of_rates, of_both = 2_000, 0, 0
    for seed in range(n_experiments):
        chance = random.beta(0.5, 2.0, 64)
        rates = random.binomial(8, chance) / 8
        low, high = bootstrap_interval(rates, seed=seed)
        of_rates += low <= 0.2 <= high
        (low, high), _ = bootstrap_intervals(np.stack([rates, 1 - rates], axis=1), seed=seed)
        of_both += low <= 0.2 <= high

    # The standard error of these shares is 0.5 %.
    assert 0.93 <= of_rates / n_experiments <= 0.97
    assert 0.93 <= of_both / n_experiments <= 0.97


def test_95_percent_intervals_of_shares_hold_the_truth_in_95_percent_of_experiments() -> None:
    random = np.random.default_rng(16)
    truth = random.uniform(0.05, 0.95, 2_000)
    counts = random.binomial(128, truth)

    held = [
        low <= p <= high for p, (low, high) in zip(truth, (wilson_interval(int(c), 128) for c in counts), strict=True)
    ]

    assert 0.93 <= np.mean(held) <= 0.97


@pytest.mark.slow
def test_a_null_difference_is_called_better_or_worse_in_at_most_5_percent_of_experiments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 1_000)
    random = np.random.default_rng(12)
    conclusions, p_values, rows = [], [], rows_that_are_compared(48)
    for seed in range(1_000):
        chance = random.beta(0.5, 2.0, 48)
        a, b = (rows.assign(n_correct=random.binomial(8, chance)) for _ in range(2))
        compared = compare(a, b, suite="test", seed=seed)
        conclusions.append(compared.conclusion)
        p_values.append(compared.sampled_p_value)

    assert conclusions.count("better") / 1_000 <= 0.05
    assert conclusions.count("worse") / 1_000 <= 0.05
    assert np.mean(np.array(p_values) < 0.05) <= 0.065


def test_sign_flip_test_agrees_with_scipy() -> None:
    random = np.random.default_rng(6)
    a, b = random.binomial(8, 0.4, 60) / 8, random.binomial(8, 0.45, 60) / 8
    expected = permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(0)
    )

    assert sign_flip_test(a, b, seed=0) == pytest.approx(expected.pvalue, abs=0.02)
    assert sign_flip_test(a, a, seed=0) == 1.0


def test_sign_flip_test_of_few_changes_is_exact() -> None:
    a, b = np.zeros(20), np.array([1.0] * 4 + [0.0] * 16)

    assert sign_flip_test(a, b, seed=0) == pytest.approx(2 / 2**4, abs=0.01)


def test_holm_agrees_with_statsmodels() -> None:
    p_values = [0.04, 0.001, 0.5, 0.02, 0.02]

    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_a_difference_that_one_comparison_shows_may_be_chance_among_many() -> None:
    a, b = evaluation([4] * 40), evaluation([5] * 9 + [3] * 1 + [4] * 30)
    alone = compare(a, b, suite="test", seed=0)
    assert alone.conclusion == "better"

    together = judge_together([alone] * 6)

    assert together[0].holm_p_value == pytest.approx(6 * alone.sampled_p_value)
    assert together[0].conclusion.startswith("no difference shown among 6 comparisons (n = 40, smallest detectable")
    assert judge_together([alone]) == [alone]


def test_a_planted_regression_is_called_worse() -> None:
    random = np.random.default_rng(13)
    a, b = (evaluation(list(random.binomial(8, rate, 128))) for rate in (0.5, 0.4))

    comparison = compare(a, b, suite="test", seed=0)

    assert comparison.conclusion == "worse"
    assert comparison.low < comparison.difference < comparison.high < 0


def test_comparison_names_what_is_newly_solved_and_lost() -> None:
    a = evaluation([8, 8, 0, 0])
    b = evaluation([8, 0, 8, 0]).sample(frac=1, random_state=0)

    comparison = compare(a, b, suite="test", seed=0)

    assert comparison.newly_solved == ("test-00002",)
    assert comparison.newly_lost == ("test-00001",)
    assert (comparison.n, comparison.greedy_difference, comparison.p_value) == (4, 0.0, 1.0)
    assert comparison.conclusion == "no difference shown (n = 4, smallest detectable 1.000)"


@pytest.mark.slow
@pytest.mark.parametrize("n", [16, 64, 128])
@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
def test_the_smallest_detectable_difference_is_shown_in_80_percent_of_trials(
    n: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At zero and at one too, where nothing changed before."""
    monkeypatch.setattr(intervals, "RESAMPLES", 500)
    random = np.random.default_rng([n, int(10 * rate)])
    rows = rows_that_are_compared(n)
    before, noise = (rows.assign(n_correct=random.binomial(8, rate, n)) for _ in range(2))
    detectable = compare(before, noise, suite="test", seed=0).smallest_detectable
    shown = 0
    for seed in range(200):
        a, b = random.binomial(8, rate, n), random.binomial(8, min(1.0, rate + detectable), n)
        if rate in (0.0, 1.0):  # so many questions change as a whole
            b = np.where(random.random(n) < detectable, 8 - a, a)
        tables = (rows.assign(n_correct=counts) for counts in (a, b))
        shown += not compare(*tables, suite="test", seed=seed).conclusion.startswith("no")

    assert 0 < detectable < 1
    assert 0.65 <= shown / 200 <= 0.95


def test_the_smallest_detectable_difference_is_the_same_from_one_seed_as_from_two_policies() -> None:
    for changed in ([0] * 16, [1] + [0] * 15, [4, -2, 1] * 5 + [0]):
        a = evaluation([4] * 16)
        b = evaluation([4 + each for each in changed])

        together = combine_pairs([a], [b], suite="test", seed=0).smallest_detectable

        assert together == pytest.approx(compare(a, b, suite="test", seed=0).smallest_detectable)
        assert together > 0


def test_fewer_questions_than_any_test_needs_are_never_called_better() -> None:
    comparison = compare(evaluation([0] * 5), evaluation([8] * 5), suite="test", seed=0)

    assert comparison.conclusion.startswith("no difference shown (n = 5")


def test_comparison_of_different_questions_names_them() -> None:
    with pytest.raises(EvaluationError, match=r"2 of its questions are missing from the second .*test-00001"):
        compare(evaluation([1, 1, 1]), evaluation([1]), suite="test", seed=0)


def test_comparison_of_different_decodings_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"temperature=0\.7"):
        compare(evaluation([1]), evaluation([1], decoding="temperature=0.7"), suite="test", seed=0)


def test_comparison_on_a_suite_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(EvaluationError, match="no suite 'transfer'; it has: test"):
        compare(evaluation([1]), evaluation([1]), suite="transfer", seed=0)


def test_every_policy_is_compared_with_the_base_and_with_the_one_before() -> None:
    evaluations = [evaluation([n_correct] * 20) for n_correct in (1, 5, 4)]

    table = compare_all(evaluations, seed=0)

    against = table.set_index(["iteration", "reference"])
    assert list(against.index) == [(1, "base"), (1, "previous"), (2, "base"), (2, "previous")]
    assert against["difference"].tolist() == [0.5, 0.5, 0.375, -0.125]
    assert against["conclusion"].tolist() == ["better", "better", "better", "worse"]
    assert against["newly_lost"].tolist() == [0, 0, 0, 20]


def test_one_policy_alone_has_no_comparisons() -> None:
    assert compare_all([evaluation([1])], seed=0).empty
