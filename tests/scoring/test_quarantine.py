import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters, ScoringParameters
from restem.questions import load_questions
from restem.questions.exemplars import EXEMPLARS_FILE
from restem.scoring.quarantine import quarantine_questions, quarantine_unasked, summarise_questions

SCORING = ScoringParameters(workers=2, timeout_s=20)


def question(name: str, split: str, gold: dict[str, str], source: str = "made") -> dict[str, str]:
    return {
        "question_id": name,
        "text": f"{name}?",
        "gold": json.dumps(gold),
        "reward": "exact",
        "level": "",
        "source": source,
        "split": split,
        "licence": "",
    }


def test_exemplar_of_a_file_needs_no_answer_and_a_question_does() -> None:
    rows = [
        question("shown", "exemplar", {"solution": "so"}, EXEMPLARS_FILE),
        question("good", "train", {"answer": "1"}),
        question("bad", "train", {"answer": ""}),
        question("tested", "test", {"answer": "2"}),
    ]

    trusted, quarantined = quarantine_questions(pd.DataFrame(rows), parameters=SCORING)

    assert list(trusted["question_id"]) == ["shown", "good", "tested"]
    assert list(quarantined["question_id"]) == ["bad"]


def test_question_that_the_policy_cannot_read_is_quarantined_with_the_reason() -> None:
    rows = [
        question(name, split, {"answer": "1"}) for name, split in [("e", "exemplar"), ("a", "train"), ("b", "test")]
    ]
    asked = pd.DataFrame([*rows, question("long", "test", {"answer": "1"})])
    unjudgeable = pd.DataFrame([question("bad", "train", {"answer": ""})]).assign(reason=["no gold"])

    questions, quarantined = quarantine_unasked(asked, unjudgeable, pd.DataFrame({"question_id": ["a", "b"]}))

    assert list(questions["question_id"]) == ["e", "a", "b"]
    assert list(quarantined["question_id"]) == ["bad", "long"]
    assert list(quarantined["reason"]) == ["no gold", "its prompt fills the policy's context window"]


def test_no_test_question_that_the_policy_can_read_is_an_error() -> None:
    asked = pd.DataFrame([question("a", "train", {"answer": "1"}), question("long", "test", {"answer": "1"})])

    with pytest.raises(QuestionsError, match="all questions of split test are quarantined, as long: its prompt fills"):
        quarantine_unasked(asked, asked.head(0).assign(reason=[]), pd.DataFrame({"question_id": ["a"]}))


def test_summary_counts_near_duplicates_found_and_kept() -> None:
    questions = pd.DataFrame([question(name, "train", {"answer": "1"}) for name in "abc"])
    near = pd.DataFrame({"question_id": ["a", "gone"]})
    nothing = questions.head(0).assign(reason=[])
    prompts = pd.DataFrame({"prompt_id": ["1"]})

    summary = summarise_questions(questions, nothing, near, prompts)

    assert (summary["n_near_duplicates"], summary["n_near_duplicates_kept"]) == (2, 1)


def test_real_apps_solutions_earn_1_by_scripts_and_by_calls(real_data: Callable[[str], Path]) -> None:
    parameters = QuestionsParameters(
        source="apps",
        n_train=None,
        n_validation=0,
        n_test=2,
        n_exemplars=0,
        options={"path": str(real_data("apps/apps_sample5.jsonl.gz"))},
    )

    _, quarantined = quarantine_questions(load_questions(parameters), parameters=SCORING)

    assert list(quarantined["reason"]) == []


def test_real_gsm8k_golds_earn_1(real_data: Callable[[str], Path]) -> None:
    parameters = QuestionsParameters(
        source="gsm8k", n_train=100, n_validation=0, n_test=100, options={"path": str(real_data("gsm8k"))}
    )

    trusted, _ = quarantine_questions(load_questions(parameters), parameters=SCORING)

    assert len(trusted) == 202
