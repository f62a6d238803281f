from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from restem.errors import EvaluationError
from restem.evaluation import intervals, pooled_seeds
from restem.evaluation.comparisons import compare, judge_together
from restem.evaluation.pooled_seeds import combine_groups, combine_pairs, combine_rates, differing
from tests.builders import evaluation

N = 8


def drawn(rates: np.ndarray, random: np.random.Generator, *, n_questions: int | None = None) -> pd.DataFrame:
    return evaluation(random.binomial(N, np.clip(rates, 0, 1))[:n_questions], n=N)


def made(
    random: np.random.Generator, *, n_seeds: int, n_questions: int, gain: float, seeds_vary: float
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """Experiments whose gain differs from question to question and from seed to seed."""
    chance = random.uniform(0.3, 0.5, n_questions)
    gains = gain + random.uniform(-0.1, 0.1, n_questions)
    shifts = random.normal(0, seeds_vary, n_seeds)
    before = [drawn(chance, random) for _ in range(n_seeds)]
    return before, [drawn(chance + gains + shift, random) for shift in shifts]


@pytest.fixture
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 400)
    monkeypatch.setattr(pooled_seeds, "RESAMPLES", 400)


@pytest.mark.usefixtures("fewer_resamples")
@pytest.mark.parametrize(("n_seeds", "seeds_vary"), [(3, 0.0), (3, 0.03), (5, 0.03)])
def test_intervals_over_seeds_and_questions_hold_the_truth_as_often_as_they_say(
    n_seeds: int, seeds_vary: float
) -> None:
    random = np.random.default_rng(31)
    held = 0
    for trial in range(400):
        chance, gains = random.uniform(0.3, 0.5, 48), 0.1 + random.uniform(-0.1, 0.1, 48)
        shifts = random.normal(0, seeds_vary, (n_seeds, 1))
        before = random.binomial(N, chance, (n_seeds, 48)) / N
        after = random.binomial(N, np.clip(chance + gains + shifts, 0, 1)) / N
        combined = combine_rates(before, after, [after - before], suite="test", seed=trial)
        held += combined.low <= 0.1 <= combined.high

    # The standard error of this share is 1.1 %.
    assert 0.92 <= held / 400 <= 0.98


def test_a_seed_that_goes_its_own_way_widens_the_interval() -> None:
    random = np.random.default_rng(32)
    alike = combine_pairs(*made(random, n_seeds=4, n_questions=200, gain=0.1, seeds_vary=0.0), suite="test", seed=0)
    unlike = combine_pairs(*made(random, n_seeds=4, n_questions=200, gain=0.1, seeds_vary=0.15), suite="test", seed=0)

    assert alike.conclusion == "better"
    assert unlike.high - unlike.low > 3 * (alike.high - alike.low)
    assert alike.sampled_p_value < 0.001 < unlike.sampled_p_value


@pytest.mark.parametrize("combine", [combine_pairs, combine_groups])
@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_one_seed_says_what_the_comparison_of_two_policies_says(
    combine: Callable[..., pooled_seeds.Combined], gain: float
) -> None:
    before, after = made(np.random.default_rng(33), n_seeds=1, n_questions=24, gain=gain, seeds_vary=0.0)

    combined = combine(before, after, suite="test", seed=3)

    alone = compare(before[0], after[0], suite="test", seed=3)
    shared = set(alone._fields) & set(combined._fields)
    assert shared > {"difference", "low", "high", "smallest_detectable", "conclusion", "sampled_p_value"}
    assert {name: getattr(combined, name) for name in shared} == pytest.approx(
        {name: getattr(alone, name) for name in shared}
    )
    assert (combined.n_seeds_before, combined.n_seeds) == (1, 1)


def test_groups_with_other_numbers_of_seeds_are_compared_on_the_same_questions() -> None:
    random = np.random.default_rng(34)
    chance = random.uniform(0.2, 0.6, 300)
    low = [drawn(chance, random) for _ in range(2)]
    high = [drawn(chance + 0.1, random) for _ in range(3)]

    combined = combine_groups(low, high, suite="test", seed=0)

    assert (combined.n, combined.n_seeds_before, combined.n_seeds) == (300, 2, 3)
    assert combined.conclusion == "better"
    assert combined.low < 0.1 < combined.high
    mirrored = combine_groups(high, low, suite="test", seed=0)
    assert mirrored.conclusion == "worse"
    assert mirrored.difference == pytest.approx(-combined.difference)


def test_policies_that_are_the_same_differ_by_nothing() -> None:
    same = [drawn(np.full(20, 0.5), np.random.default_rng(35))]

    combined = combine_pairs(same, same, suite="test", seed=0)

    assert (combined.low, combined.high, combined.sampled_p_value) == (0.0, 0.0, 1.0)
    assert combined.conclusion.startswith("no difference shown (n = 20")


def test_experiments_with_other_questions_are_refused_and_the_questions_named() -> None:
    random = np.random.default_rng(36)
    whole = drawn(np.full(4, 0.5), random)

    with pytest.raises(EvaluationError, match=r"1 of its questions are missing from the second .*test-00003"):
        combine_pairs([whole, whole], [whole, drawn(np.full(4, 0.5), random, n_questions=3)], suite="test", seed=0)


def test_what_is_shown_alone_must_hold_among_many() -> None:
    random = np.random.default_rng(37)
    pair = made(random, n_seeds=2, n_questions=60, gain=0.07, seeds_vary=0.0)
    alone = combine_pairs(*pair, suite="test", seed=0)._replace(sampled_p_value=0.03, conclusion="better")

    judged = judge_together([alone] * 3)

    assert [each.holm_p_value for each in judged] == pytest.approx([0.09] * 3)
    assert all(each.conclusion.startswith("no difference shown among 3 comparisons (n = 60") for each in judged)


def test_experiments_differ_in_their_parameters_but_for_seeds() -> None:
    parameters = {
        "a": {"em.seed": 0, "sampling.n": 16, "training.seed": 0},
        "b": {"em.seed": 1, "sampling.n": 32, "training.seed": 1},
    }

    assert differing(parameters) == {"sampling.n": [16, 32]}
