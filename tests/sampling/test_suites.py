"""The suites that every policy is measured on: which questions, drawn how, judged by what."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from restem.configuration.resolve import resolve
from restem.errors import ParameterError, QuestionsError
from restem.parameters import (
    EvaluationParameters,
    QuestionsParameters,
    SamplingParameters,
    ScoringParameters,
    SuiteParameters,
)
from restem.policies.policy import Policy
from restem.questions import load_questions
from restem.sampling.draws import evaluation_decodings, evaluation_draws, training_draw
from restem.sampling.sampler import EngineChoice, draw_samples
from restem.scoring.quarantine import quarantine_questions
from restem.store.journal import Journal
from tests.builders import NO_POLICY
from tests.conftest import Project

SAMPLING = SamplingParameters(max_new_tokens=8, stop=["\n"])
OWN = QuestionsParameters(n_train=8, n_validation=2, n_test=4, n_exemplars=0)


def questions() -> pd.DataFrame:
    splits = {"train": 6, "validation": 2, "test": 3}
    rows = [(f"{split}{i}", split, "made") for split, n in splits.items() for i in range(n)]
    rows += [("b0", "transfer", "bbh/navigate"), ("b1", "transfer", "bbh/snarks"), ("s0", "transfer", "svamp")]
    return pd.DataFrame(rows, columns=["question_id", "split", "source"]).assign(reward="exact")


def prompts() -> pd.DataFrame:
    names = questions()["question_id"]
    return pd.DataFrame({"question_id": names, "prompt_id": names, "prompt": names})


def suite_file(folder: Path, *golds: object) -> str:
    file = folder / "exam.jsonl"
    rows = [{"text": f"exam question {i}", "gold": gold, "split": "test"} for i, gold in enumerate(golds)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return str(file)


def test_suites_that_are_drawn_alike_are_one_draw() -> None:
    drawn = evaluation_draws(
        questions(), prompts(), SAMPLING, EvaluationParameters(n_train_questions=4), iteration=1, seed=0
    )

    assert [draw.decoding.name for draw in drawn] == ["greedy", "sampled"]
    for draw in drawn:
        counts = draw.prompts["suite"].value_counts().to_dict()
        assert counts == {"test": 3, "validation": 2, "train": 4, "bbh": 2, "svamp": 1}


def test_a_suite_is_drawn_in_its_own_way_where_it_has_one() -> None:
    own = SuiteParameters(n=1, max_new_tokens=512, stop=[])
    parameters = EvaluationParameters(n=8, of_suite={"bbh": own})

    drawn = evaluation_draws(questions(), prompts(), SAMPLING, parameters, iteration=1, seed=0)

    ways = {(draw.decoding.name, *sorted(set(draw.prompts["suite"]))): draw.decoding for draw in drawn}
    assert set(ways) == {
        ("greedy", "svamp", "test", "train", "validation"),
        ("greedy", "bbh"),
        ("sampled", "svamp", "test", "train", "validation"),
        ("sampled", "bbh"),
    }
    assert (ways["sampled", "bbh"].n, ways["sampled", "bbh"].temperature) == (1, 1.0)
    assert (ways["greedy", "bbh"].max_new_tokens, ways["greedy", "bbh"].stop) == (512, ())
    assert evaluation_decodings(questions(), SAMPLING, parameters)["test"].n == 8


def test_a_suite_of_ones_own_has_its_name_and_its_reward(tmp_path: Path) -> None:
    path = suite_file(tmp_path, {"answer": "1/2"}, {"answer": "3"})
    entry = {"source": "file", "path": path, "reward": "math"}

    table = load_questions(QuestionsParameters(**{**vars(OWN), "transfer": {"exam": entry, "other": None}}))

    suite = table[table["split"] == "transfer"]
    assert suite["source"].tolist() == ["exam/exam.jsonl"] * 2
    assert set(suite["reward"]) == {"math"}
    assert "math" not in set(table.loc[table["split"] == "test", "reward"])


def test_a_suite_without_gold_is_refused_by_name(tmp_path: Path) -> None:
    path = suite_file(tmp_path, {"answer": "3"}, None)

    with pytest.raises(QuestionsError, match=r"questions\.transfer\.exam: exam\.jsonl, line 2 has no gold"):
        load_questions(QuestionsParameters(**{**vars(OWN), "transfer": {"exam": {"source": "file", "path": path}}}))


def test_a_suite_of_which_no_gold_can_be_judged_is_refused_by_name(tmp_path: Path) -> None:
    path = suite_file(tmp_path, {"answer": r"\frac{1}{"}, {"answer": ""})
    entry = {"source": "file", "path": path, "reward": "math"}
    table = load_questions(QuestionsParameters(**{**vars(OWN), "transfer": {"exam": entry}}))

    with pytest.raises(
        QuestionsError, match=r"all questions of the transfer suite exam are quarantined, as .*exam=null"
    ):
        quarantine_questions(table, parameters=ScoringParameters(workers=1))


def test_limits_lower_the_samples_of_a_suite_too() -> None:
    parameters = {
        "limits": {"samples": 2},
        "sampling": {"n": 16},
        "evaluation": {"n": 8, "k": [1, 8], "of_suite": {"bbh": {"n": 4}, "svamp": {"temperature": 0.7}}},
    }

    limited = resolve(parameters, methods={"rest_em": None}, runtime=None)["evaluation"]

    assert limited["of_suite"] == {"bbh": {"n": 2}, "svamp": {"temperature": 0.7}}


def test_every_policy_is_measured_on_a_suite_of_ones_own(project: Project, tmp_path: Path) -> None:
    path = suite_file(tmp_path, *({"answer": str(i)} for i in range(6)))
    suite = {
        "questions__transfer": {"exam": {"source": "file", "path": path, "n_exemplars": 0}},
        "prompt__of_suite": {"exam": {"style": "zero_shot", "template": "Exam: {question}"}},
        "evaluation__of_suite": {"exam": {"n": 2, "temperature": 0.7}},
    }

    project.run("prepare", "baseline", **suite)

    catalog = project.catalog(**suite)
    rows = catalog.load("evaluation_0")
    exam = rows[rows["suite"] == "exam"]
    assert (len(exam), set(exam["n"])) == (6, {2})
    assert set(exam["decoding"]) == {"temperature=0.7 top_k=0 top_p=0.95"}
    assert set(rows.loc[rows["suite"] == "test", "n"]) == {4}
    metrics = catalog.load("record_0")["metrics"]
    assert "exam/pass_at_2" in metrics
    assert "exam/pass_at_4" not in metrics
    asked = catalog.load("prompts").set_index("question_id").loc[exam["question_id"], "prompt"]
    assert asked.str.startswith("Exam: ").all()


def test_a_way_of_drawing_for_no_suite_is_refused(project: Project) -> None:
    with pytest.raises(ParameterError, match=r"evaluation\.of_suite\.tset: the suites are test, validation, train"):
        project.catalog(evaluation__of_suite={"tset": {"n": 1}})


def test_every_policy_is_measured_with_the_same_random_numbers(tmp_path: Path) -> None:
    policy = NO_POLICY
    choice = EngineChoice("scripted", {"default": [str(number) for number in range(50)]}, True, questions_per_shard=4)
    evaluation = EvaluationParameters(n=4, k=[1], temperature=1.0)

    def answers(iteration: int, policy: Policy) -> list[str]:
        draws = evaluation_draws(questions(), prompts(), SAMPLING, evaluation, iteration=iteration, seed=0)
        drawn = draw_samples(draws, policy, choice=choice, journal=Journal(tmp_path), experiment_seed=7)
        return list(drawn["completion"])

    def trained_on(iteration: int) -> list[str]:
        draw = training_draw(questions(), prompts(), SAMPLING, iteration=iteration)
        drawn = draw_samples([draw], policy, choice=choice, journal=Journal(tmp_path), experiment_seed=7)
        return list(drawn["completion"])

    other = replace(policy, fingerprint="1" * 16, iteration=1)
    assert answers(0, policy) == answers(1, other)
    assert trained_on(1) != trained_on(2)


def test_what_was_measured_of_a_policy_is_found_again_whatever_its_iteration(tmp_path: Path) -> None:
    policy = NO_POLICY
    choice = EngineChoice("scripted", {"default": ["1"]}, True, questions_per_shard=4)

    def files(iteration: int) -> set[Path]:
        draws = evaluation_draws(
            questions(), prompts(), SAMPLING, EvaluationParameters(n=4, k=[1]), iteration=iteration, seed=0
        )
        return set(draw_samples(draws, policy, choice=choice, journal=Journal(tmp_path), experiment_seed=7).files)

    assert files(0) == files(3)
