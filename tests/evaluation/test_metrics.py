import time
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from restem.errors import EvaluationError
from restem.evaluation import intervals
from restem.evaluation.intervals import share_interval, wilson_interval
from restem.evaluation.metrics import (
    evaluate_policy,
    majority_vote,
    pass_at_k,
    pass_at_k_curve,
    summarise_evaluation,
)
from restem.schemas import check
from tests.builders import evaluation

EVERY_COUNT = [(c, n, k) for n in (1, 4, 7) for c in range(n + 1) for k in range(1, n + 1)]
DECODING = "temperature=1.0 top_k=0 top_p=0.95"


def scored(question: str, index: int, reason: str, answer: str | None, **changed: object) -> dict[str, object]:
    sample = {
        "policy_id": "p0",
        "question_id": question,
        "suite": "test",
        "decoding": "sampled",
        "sample_index": index,
        "prompt_id": "prompt",
        "completion": f"it is {answer}",
        "n_tokens": 10,
        "finish_reason": "stop",
        "seed": 1,
        "reward": float(reason == "correct"),
        "reason": reason,
        "answer": answer,
        "reward_version": "exact",
        "seconds": 0.0,
    }
    return {**sample, **changed}


def shard(*rows: dict[str, object]) -> pd.DataFrame:
    return check("scored_samples", pd.DataFrame(list(rows)))


def questions(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"question_id": list(ids), "level": "easy", "source": "by hand"})


def greedy(question: str, reason: str = "wrong", **changed: object) -> dict[str, object]:
    return scored(question, 0, reason, "1", decoding="greedy", **changed)


@pytest.mark.parametrize(
    ("n_correct", "n", "k"), [(c, n, k) for n in (1, 4, 7) for c in range(n + 1) for k in range(1, n + 1)]
)
def test_pass_at_k_is_the_share_of_all_draws_of_k_with_a_correct_one(n_correct: int, n: int, k: int) -> None:
    samples = [True] * n_correct + [False] * (n - n_correct)
    draws = [any(draw) for draw in combinations(samples, k)]

    assert pass_at_k(n_correct, n, k=k) == pytest.approx(sum(draws) / len(draws), abs=1e-15)


def test_pass_at_k_of_many_samples_neither_overflows_nor_rounds_to_zero() -> None:
    assert pass_at_k(1, 10_000, k=5_000) == 0.5
    assert pass_at_k(1, 10**9, k=1) == 1e-9


@pytest.mark.parametrize(("n_correct", "n", "k"), [(1, 4, 5), (5, 4, 1), (-1, 4, 1), (1, 4, 0)])
def test_pass_at_k_refuses_impossible_counts(n_correct: int, n: int, k: int) -> None:
    with pytest.raises(ValueError, match="must be from"):
        pass_at_k(n_correct, n, k=k)


@pytest.mark.parametrize(("n_success", "n"), [(0, 1), (1, 1), (0, 128), (3, 128), (128, 128), (2_500, 5_000)])
def test_wilson_interval_agrees_with_statsmodels(n_success: int, n: int) -> None:
    expected = proportion_confint(n_success, n, alpha=0.05, method="wilson")

    assert wilson_interval(n_success, n) == pytest.approx(expected, abs=1e-12)


def test_wilson_interval_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="n_success=3, n=2"):
        wilson_interval(3, 2)


def test_a_share_that_is_the_same_everywhere_still_has_an_interval() -> None:
    assert share_interval([0.0] * 32, seed=0) == wilson_interval(0, 32)
    assert share_interval([1.0] * 32, seed=0) == wilson_interval(32, 32)


@pytest.mark.parametrize("end", [0, 1])
def test_the_interval_of_few_right_answers_reaches_no_less_far_than_that_of_none(end: int) -> None:
    for n in (8, 16, 64, 400):
        reach = 0.0
        for n_right in range(6):
            rates = np.zeros(n)
            rates[:n_right] = 0.25
            rates = abs(end - rates)
            low, high = share_interval(rates, seed=0)
            assert low <= rates.mean() <= high
            reached = high if end == 0 else 1 - low
            assert reached >= reach - 1e-9
            reach = reached


def test_intervals_of_rates_near_zero_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 500)
    random = np.random.default_rng(5)
    for mean in (0.005, 0.02, 0.1):
        held = 0
        for seed in range(300):
            chance = random.beta(0.2, 0.2 * (1 - mean) / mean, 40)
            low, high = share_interval(random.binomial(4, chance) / 4, seed=seed)
            held += low <= mean <= high
        assert held / 300 >= 0.93, mean


def test_majority_vote_takes_the_first_seen_of_equally_frequent_answers() -> None:
    assert majority_vote(["2", "1", "1", "2", None, None, None]) == "2"
    assert majority_vote([None, "3"]) == "3"
    assert majority_vote([None, None]) is None
    assert majority_vote([]) is None


def majority_correct(answers: Sequence[str | None], rewards: Sequence[float]) -> float:
    """Return the chance that a majority vote is correct when ties are broken at random; 0 if nothing answered."""
    earned: dict[str, list[float]] = {}
    for answer, reward in zip(answers, rewards, strict=True):
        if answer is not None:
            earned.setdefault(answer, []).append(reward)
    if not earned:
        return 0.0
    most = max(map(len, earned.values()))
    tied = [sum(group) / most for group in earned.values() if len(group) == most]
    return float(sum(tied) / len(tied))


def test_evaluation_of_a_small_table_is_as_computed_by_hand() -> None:
    first = shard(
        scored("q2", 0, "correct", "4", n_tokens=4),
        scored("q2", 1, "correct", "4", n_tokens=6),
        scored("q2", 2, "wrong", "5", n_tokens=8),
        scored("q2", 3, "truncated", None, n_tokens=32, finish_reason="length"),
        greedy("q2", "correct"),
    )
    second = shard(
        *(scored("q1", i, reason, answer) for i, (reason, answer) in enumerate([("wrong", "7"), ("correct", "8")] * 2)),
        greedy("q1"),
    )

    result = evaluate_policy([first, second], questions("q1", "q2", "q3"), decoding=DECODING)

    expected = {
        "policy_id": ["p0", "p0"],
        "suite": ["test", "test"],
        "question_id": ["q1", "q2"],
        "level": ["easy", "easy"],
        "source": ["by hand", "by hand"],
        "decoding": [DECODING, DECODING],
        "n": [4, 4],
        "n_correct": [2, 2],
        "n_distinct": [2, 3],
        "n_distinct_correct": [1.0, 1.0],
        "n_truncated": [0, 1],
        "greedy_correct": [0, 1],
        "majority_correct": [0.5, 1.0],
        "mean_reward": [0.5, 0.5],
        "mean_tokens": [10.0, 12.5],
    }
    assert check("evaluation", result).to_dict("list") == expected


def test_evaluation_takes_one_shard_alone_and_greedy_in_another_shard() -> None:
    sampled, other = shard(scored("q1", 0, "correct", "1")), shard(greedy("q1", "correct"))

    assert evaluate_policy([sampled, other], questions("q1"), decoding=DECODING)["greedy_correct"].tolist() == [1]
    both = pd.concat([sampled, other], ignore_index=True)
    assert evaluate_policy(both, questions("q1"), decoding=DECODING)["n_correct"].tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([scored("q1", 0, "correct", "1")], "1 questions without a greedy completion .question q1 of suite"),
        ([greedy("q1")], "1 questions without a sampled completion"),
        ([scored("q1", 0, "wrong", "1"), scored("q1", 0, "wrong", "2"), greedy("q1")], "more than once"),
        ([scored("q1", 0, "infrastructure", None), greedy("q1")], "without a verdict"),
        ([scored("q1", 0, "wrong", "1"), greedy("q1", policy_id="p1")], "of p0, p1"),
        ([scored("q9", 0, "wrong", "1"), greedy("q9")], r"not in questions \(q9\)"),
        ([scored("q1", 0, "wrong", "1"), greedy("q1"), greedy("q1", sample_index=1)], "2 greedy completions"),
    ],
)
def test_evaluation_refuses_samples_that_would_make_its_numbers_wrong(rows: list[dict[str, object]], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        evaluate_policy([shard(*rows)], questions("q1"), decoding=DECODING)


def test_evaluation_refuses_a_question_that_two_shards_share() -> None:
    half = [shard(scored("q1", i, "wrong", "1")) for i in range(2)]

    with pytest.raises(EvaluationError, match="question q1 of suite 'test' has sampled completions in several shards"):
        evaluate_policy([*half, shard(greedy("q1"))], questions("q1"), decoding=DECODING)


def test_evaluation_of_nothing_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no scored samples"):
        evaluate_policy([], questions("q1"), decoding=DECODING)


def test_summary_is_as_computed_by_hand() -> None:
    table = evaluation([0, 4, 8, 8], n_truncated=[0, 0, 0, 8], n_distinct=[8, 4, 2, 2], mean_tokens=[10.0, 20, 30, 40])

    summary = summarise_evaluation(table, k=[2, 8], seed=0)

    values = {name: measured["value"] for name, measured in summary.items()}
    assert values == pytest.approx(
        {
            "test/greedy_pass_at_1": 0.5,
            "test/pass_at_1": 2.5 / 4,
            "test/pass_at_2": (0 + (1 - 6 / 28) + 1 + 1) / 4,
            "test/pass_at_8": 3 / 4,
            "test/maj_at_8": 0.5,
            "test/mean_reward": 2.5 / 4,
            "test/distinct_share": 0.5,
            "test/distinct_correct": 1.5,
            "test/truncated_share": 0.25,
            "test/mean_tokens": 25.0,
        }
    )
    assert all(
        measured["n"] == 4 and measured["low"] <= measured["value"] <= measured["high"] for measured in summary.values()
    )
    assert (summary["test/greedy_pass_at_1"]["low"], summary["test/greedy_pass_at_1"]["high"]) == wilson_interval(2, 4)


def test_majority_of_many_questions_at_once_is_that_of_each_alone() -> None:
    random = np.random.default_rng(21)
    answers = random.choice(["1", "2", "3", ""], size=(50, 6))
    rewards = random.choice([0.0, 0.5, 1.0], size=(50, 6))
    rows = [
        scored(f"q{q}", i, "wrong", answers[q, i] or None, reward=float(rewards[q, i]))
        for q in range(50)
        for i in range(6)
    ]

    table = evaluate_policy(
        shard(*rows, *(greedy(f"q{q}") for q in range(50))), questions(*(f"q{q}" for q in range(50))), decoding=DECODING
    )

    for q, row in enumerate(table.itertuples()):
        alone = majority_correct([each or None for each in answers[q]], [float(each >= 1.0) for each in rewards[q]])
        assert row.majority_correct == pytest.approx(alone)
        assert row.mean_reward == pytest.approx(rewards[q].mean())


def test_curve_has_every_k_and_agrees_with_the_exact_formula() -> None:
    table = evaluation([0, 1, 4, 7, 8])

    curve = pass_at_k_curve(table, seed=0)

    assert curve["k"].tolist() == list(range(1, 9))
    exact = [np.mean([pass_at_k(c, 8, k=k) for c in table["n_correct"]]) for k in curve["k"]]
    assert curve["value"].tolist() == pytest.approx(exact, abs=1e-12)
    assert curve["value"].is_monotonic_increasing
    assert (curve["low"] <= curve["value"]).all()
    assert (curve["value"] <= curve["high"]).all()
    assert set(curve["n"]) == {5}


def test_curve_and_summary_are_the_same_numbers() -> None:
    table = evaluation([0, 1, 4, 7, 8] * 20)

    at_4 = pass_at_k_curve(table, seed=0).set_index("k").loc[4]

    summarised = summarise_evaluation(table, k=[4], seed=0)["test/pass_at_4"]
    assert (at_4["value"], at_4["low"], at_4["high"]) == pytest.approx(
        (summarised["value"], summarised["low"], summarised["high"])
    )


def test_gap_is_train_minus_test() -> None:
    random = np.random.default_rng(14)
    train = evaluation(list(random.binomial(8, 0.7, 100)), suite="train")
    test = evaluation(list(random.binomial(8, 0.4, 200)))

    gap = summarise_evaluation(pd.concat([train, test]), k=[1], seed=0)["train_test_gap"]

    assert gap["value"] == pytest.approx(train["n_correct"].mean() / 8 - test["n_correct"].mean() / 8)
    assert 0 < gap["low"] < gap["value"] < gap["high"]
    assert gap["n"] == 300


def test_summary_refuses_k_above_the_samples_drawn() -> None:
    with pytest.raises(EvaluationError, match=r"evaluation\.k must be at most 8"):
        summarise_evaluation(evaluation([1, 2]), k=[16], seed=0)


def test_summary_refuses_two_policies_and_unequally_many_samples() -> None:
    with pytest.raises(EvaluationError, match="of one policy, got p0, p1"):
        summarise_evaluation(evaluation([1, 2], policy_id=["p0", "p1"]), k=[1], seed=0)
    with pytest.raises(EvaluationError, match="has 8 to 9 samples"):
        summarise_evaluation(evaluation([1, 2], n=[8, 9]), k=[1], seed=0)


@pytest.mark.slow
def test_5000_questions_of_64_samples_are_evaluated_in_seconds_of_processor_time() -> None:
    random = np.random.default_rng(15)
    n_questions, n = 5_000, 64
    ids = [f"q{i}" for i in range(n_questions)]
    right = random.random((n_questions, n + 1)) < random.beta(0.5, 1.0, (n_questions, 1))
    shards = [
        pd.DataFrame(
            [
                scored(ids[q], i, "correct" if right[q, i] else "wrong", str(9 if right[q, i] else i % 8)) | drawn
                for q in range(start, min(start + 64, n_questions))
                for i in range(n + 1)
                for drawn in ({"decoding": "sampled" if i < n else "greedy"},)
            ]
        )
        for start in range(0, n_questions, 64)
    ]

    started = time.process_time()
    summary = summarise_evaluation(evaluate_policy(shards, questions(*ids), decoding=DECODING), k=[1, 8, 64], seed=0)
    seconds = time.process_time() - started

    assert summary["test/pass_at_1"]["value"] == pytest.approx(right[:, :n].mean())
    assert seconds < 15  # a row at a time takes minutes
