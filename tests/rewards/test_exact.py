# ruff: noqa: E501 - tables of cases
from typing import Any

import pytest

from restem.rewards.exact import ExactJudge


def reason(gold: str, completion: str, **options: Any) -> str:
    judge = ExactJudge(**options)
    answer = judge.answer_of({"answer": gold}, completion)
    return "no_answer" if answer is None else judge.judge({"answer": gold}, answer.text).reason


@pytest.mark.parametrize(
    ("gold", "completion", "options", "expected"),
    [
        ("a  cat", " A cat\n", {}, "correct"),
        ("a cat", "A cat", {"case": "keep"}, "wrong"),
        ("a cat", "a cat, or a dog", {}, "wrong"),
        ("a cat", "  \n", {}, "no_answer"),
        ("", "", {}, "no_answer"),
        ("", "x", {}, "unparseable_gold"),
        ("1000", "1,000.0", {"kind": "number"}, "correct"),
        ("0.1", "1/10", {"kind": "number"}, "correct"),
        ("1/3", "0.33", {"kind": "number"}, "wrong"),
        ("1/3", "0.33", {"kind": "number", "tolerance": 0.01}, "correct"),
        ("1/3", "0.32", {"kind": "number", "tolerance": 0.01}, "wrong"),
        ("100000000000000000001", "100000000000000000000", {"kind": "number"}, "wrong"),
        ("12", "1,2", {"kind": "number"}, "unparseable_answer"),
        ("12", "9**9**9", {"kind": "number"}, "unparseable_answer"),
        ("12", "1/0", {"kind": "number"}, "unparseable_answer"),
        ("x", "12", {"kind": "number"}, "unparseable_gold"),
        (r"\d+ cats?", "12 cats", {"kind": "regex"}, "correct"),
        (r"\d+ cats?", "12 cats and a dog", {"kind": "regex"}, "wrong"),
        ("(", "(", {"kind": "regex"}, "unparseable_gold"),
        ("B", "(b)", {"kind": "choice"}, "correct"),
        ("(B)", "B. because", {"kind": "choice"}, "correct"),
        ("B", "C", {"kind": "choice"}, "wrong"),
        ("B", "Both", {"kind": "choice"}, "unparseable_answer"),
        ("18", "I think.\nThe answer is 17. No: the answer is 18.", {"extract": "answer_is"}, "correct"),
        ("18", "The answer: **18**\nAnother question: 19", {"extract": "answer_is"}, "correct"),
        ("18", "it is 18", {"extract": "answer_is"}, "no_answer"),
        ("18", "20 - 2\n18\n", {"extract": "last_line"}, "correct"),
        ("18", "18\n\nQ: and 5?", {"extract": "first_line"}, "correct"),
        ("18", "<answer>17</answer> no <answer> 18 </answer>", {"extract": "tag"}, "correct"),
        ("18", "so\n#### 18", {"extract": "tag,hashes"}, "correct"),
    ],
)
def test_verdict(gold: str, completion: str, options: dict[str, Any], expected: str) -> None:
    assert reason(gold, completion, **options) == expected


RIGHT = [
    "The correct option is D.", "The best choice is (D)", "D", "(D)", "d", "D.", "D)", "**D**", "**Answer: D**", r"Answer: \boxed{D}", "The answer is D because a train moves.",
    "answer is: D", "(D) 12 km", "D. 12 km", r"The answer is \textbf{(D)}", "A train leaves. The answer is D.", "Answer: option D",
    "The answer is (D), not (A).", r"so \boxed{\text{D}}", "D: 12", "The answer is D since A is wrong", "The answer is A. No: the answer is D",
]  # fmt: skip
WRONG = [
    "A", "(A) 12 km", "A train leaves with D.", "D or A", "D and A", "(A) or (D)", "The answer is A or D", "Dogs", "The answer is Dogs",
    "I think D", "DA", "D A", "(A) 1 (D) 2", "(D) 1 (A) 2", "The answer is not D", "12 km", r"\boxed{A} (D)", "(D)/(A)", "Answer: A, D",
    "The answer is D. No: the answer is A", "a D", "The answer is A because D is wrong",
]  # fmt: skip


@pytest.mark.parametrize("extract", ["whole", "answer_is,whole"])
def test_a_choice_is_found_where_a_careful_reader_finds_one(extract: str) -> None:
    assert [text for text in RIGHT if reason("D", text, kind="choice", extract=extract) != "correct"] == []


@pytest.mark.parametrize("extract", ["whole", "answer_is,whole", "last_line"])
def test_a_letter_that_is_a_word_or_one_of_several_is_no_choice(extract: str) -> None:
    assert [text for text in WRONG if reason("D", text, kind="choice", extract=extract) == "correct"] == []


def test_the_gold_may_choose_its_kind() -> None:
    assert ExactJudge().judge({"answer": "0.5", "kind": "number"}, "1/2").reason == "correct"


@pytest.mark.parametrize("extract", ["whole", "answer_is", "tag", "hashes", "last_line", "first_line"])
@pytest.mark.parametrize(("kind", "gold"), [("string", "a cat"), ("number", "-1/3"), ("choice", "A"), ("choice", "C")])
def test_accepts_its_own_gold_and_no_other(kind: str, gold: str, extract: str) -> None:
    judge = ExactJudge(kind=kind, extract=extract)
    completions = [judge.gold_completion({"answer": gold}), judge.wrong_completion({"answer": gold})]

    assert [reason(gold, str(text), kind=kind, extract=extract) for text in completions] == ["correct", "wrong"]
