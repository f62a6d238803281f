"""The parts of the report that come from tables of the catalog, and what they are made from."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from restem.evaluation.best_policy import Recommendation
from restem.evaluation.breakdowns import break_down, pass_at_k_curves
from restem.evaluation.solved_and_lost import LOST, SOLVED, changed_questions, greedy_answers
from restem.planning.cost import Drawn, ModelSize, cost_table, count_cost, model_size, seconds_by_stage
from restem.policies.policy import Policy
from restem.reporting.report import Report, ReportInputs, build_report
from restem.reporting.table_sections import Tables, changed_questions_section, curves_of
from restem.store.tables import ShardedTable, write_shard
from tests.reporting.planted import EVALUATIONS, Page, inputs, record

QUESTIONS = pd.DataFrame(
    {
        "question_id": ["q<1>", "q2", "q3"],
        "level": ["a", "a", "b"],
        "text": ["1 + 1 < 3?", "2 + 2", "3 + 3"],
        "gold": ['{"answer": "yes"}', '{"answer": "4"}', '{"tests": "assert True"}'],
    }
)


def answers(*correct: bool) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "policy_id": "p",
            "suite": "test",
            "question_id": QUESTIONS["question_id"],
            "completion": [f"I say {'right' if each else 'wrong'}" for each in correct],
            "answer": ["4" if each else None for each in correct],
            "reward": [float(each) for each in correct],
            "reason": ["correct" if each else "wrong" for each in correct],
        }
    )


CHANGED = changed_questions({0: answers(False, True, True), 1: answers(True, True, False)}, QUESTIONS)


@pytest.fixture(scope="module")
def report() -> Report:
    sentinels = [
        {"sentinel": "transfer_loss", "sign": "shown", "evidence": "svamp -0.100 [-0.150, -0.050]"},
        {"sentinel": "overfitting", "sign": "not seen", "evidence": "train +0.1"},
    ]
    records: Any = {0: record(0), 1: record(1, sentinels=sentinels), 2: record(2, sentinels=sentinels)}
    cost = cost_table(
        {
            i: each | {"cost": {"tokens_sampled": 12345.0, "accepted_per_1000_tokens": 7.25}}
            for i, each in records.items()
        },
        EVALUATIONS,
        {"iteration_1.draw_samples": 60.0, "iteration_1.train_policy": 120.0, "iteration_2.watch_iteration": 1.0},
        suite="test",
        seed=0,
    )
    tables = Tables(break_down(EVALUATIONS, k=[1, 8], seed=0), pass_at_k_curves(EVALUATIONS, seed=0), CHANGED, cost)
    keep = Recommendation(1, "its pass@1 on the 32 validation questions is the best")
    svgs = {"pass_at_1": "<svg></svg>", "difficulty": '<svg id="hard"></svg>'}
    return build_report(ReportInputs(**inputs(records=records, tables=tables, recommendation=keep, svgs=svgs)))


def test_changed_questions_hold_both_answers() -> None:
    rows = CHANGED.set_index("question_id")

    assert dict(rows["change"]) == {"q3": LOST, "q<1>": SOLVED}
    assert rows.loc["q<1>", ["before", "after", "gold"]].tolist() == ["I say wrong", "I say right", "yes"]
    assert rows.loc["q3", "gold"] == ""
    assert changed_questions({0: answers(True, True, True)}, QUESTIONS).empty


def test_greedy_answers_are_found_among_the_samples(tmp_path: Any) -> None:
    greedy = answers(True, False, True).assign(decoding="greedy")
    write_shard(pd.concat([greedy, greedy.assign(decoding="sampled")]), tmp_path / "0.parquet")

    found = greedy_answers(ShardedTable([tmp_path / "0.parquet"]))

    assert found["question_id"].tolist() == QUESTIONS["question_id"].tolist()
    assert found["reward"].tolist() == [1.0, 0.0, 1.0]


def test_a_changed_question_leads_to_its_samples_in_the_page(report: Report) -> None:
    page = Page(report.html)

    assert 'href="#sample-q-1-"' in report.html
    assert "sample-q-1-" in page.ids
    assert len(page.ids) == len(set(page.ids))
    assert "I say right" in page.text
    assert "<1>" not in report.html
    assert "1 newly solved, 1 newly lost" in report.markdown


def test_page_says_which_iteration_to_keep_and_what_went_wrong_before_the_numbers(report: Report) -> None:
    for text in (Page(report.html).text, report.markdown):
        results = text.index("Results by iteration")
        assert text.index("its pass@1 on the 32 validation questions is the best.") < results
        assert text.index("Transfer loss is shown in iteration 2: svamp -0.100") < results


def test_page_has_difficulty_sentinels_and_cost(report: Report) -> None:
    for text in (Page(report.html).text, report.markdown):
        for expected in ("under 25 %", "25-50 %", "12,345", "7.25", "gain per hour", "accepted per 1,000 tokens"):
            assert expected in text
    assert "hard" in Page(report.html).ids


def test_curves_of_every_k_are_those_of_the_table() -> None:
    curves = curves_of(pass_at_k_curves(EVALUATIONS, seed=0), suite="test")

    assert list(curves) == ["base policy", "iteration 1", "iteration 2"]
    assert list(curves["base policy"]) == list(range(1, 9))


def test_nothing_changed_is_no_section() -> None:
    assert not any(changed_questions_section(CHANGED.iloc[:0], suite="test")[1:])


def test_cost_follows_the_formulae() -> None:
    log = pd.DataFrame({"n_tokens_total": [100, 200]})

    cost = count_cost(
        ModelSize(1000, 800, 4000), 10.0, sampled=Drawn(2, 50, 5), evaluated=Drawn(3, 20, 1), training_log=log
    )

    assert cost["flops_sampling"] == 2 * 800 * (50 + 2 * 10)
    assert cost["flops_evaluation"] == 2 * 800 * (20 + 3 * 10)
    assert cost["flops_training"] == 6 * 800 * 300
    assert cost["accepted_per_1000_tokens"] == pytest.approx(100.0)
    nothing = count_cost(
        ModelSize(1000, 800, 4000), 10.0, sampled=Drawn.of(), evaluated=Drawn(3, 20, 1), training_log=None
    )
    assert (nothing["tokens_trained"], "accepted_per_1000_tokens" in nothing) == (0.0, False)


def test_size_of_a_model_is_read_from_its_files(base: Policy) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base.path)
    names = {name: weight.numel() for name, weight in model.named_parameters()}

    size = model_size(base.folder)

    assert size.n_parameters == sum(names.values())
    assert size.n_without_embeddings == sum(
        n for name, n in names.items() if "embed" not in name and "lm_head" not in name
    )
    assert 0 < size.n_without_embeddings < size.n_parameters


def test_gain_per_hour_is_over_the_whole_iteration() -> None:
    seconds = {"iteration_1.draw_samples": 60.0, "iteration_1.train_policy": 120.0, "iteration_2.draw_samples": 9.0}
    records = {i: {"cost": {}} for i in range(2)}

    row = cost_table(records, EVALUATIONS, seconds, suite="test", seed=0).iloc[1]

    assert seconds_by_stage(seconds, 1)["training"] == 120.0
    assert row["seconds"] == 180.0
    assert row["gain_per_hour"] == pytest.approx(20 * row["gain"])
    assert row["gain_low"] <= row["gain"] <= row["gain_high"]
    assert np.isfinite(row["gain"])
