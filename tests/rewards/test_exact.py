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


def test_the_gold_may_choose_its_kind() -> None:
    assert ExactJudge().judge({"answer": "0.5", "kind": "number"}, "1/2").reason == "correct"


@pytest.mark.parametrize("extract", ["whole", "answer_is", "tag", "hashes", "last_line", "first_line"])
@pytest.mark.parametrize(("kind", "gold"), [("string", "a cat"), ("number", "-1/3"), ("choice", "A"), ("choice", "C")])
def test_accepts_its_own_gold_and_no_other(kind: str, gold: str, extract: str) -> None:
    judge = ExactJudge(kind=kind, extract=extract)
    completions = [judge.gold_completion({"answer": gold}), judge.wrong_completion({"answer": gold})]

    assert [reason(gold, str(text), kind=kind, extract=extract) for text in completions] == ["correct", "wrong"]
