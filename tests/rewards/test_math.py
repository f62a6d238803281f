# ruff: noqa: E501, RUF001 - tables of cases, look-alike characters among them
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restem.rewards import Verdict, check_golds, load_reward
from restem.rewards.math import MathJudge

# Cases of ../shared/data/math_equivalence_cases.jsonl.gz where we differ from the suite's expectation, and why.
DISPUTED: dict[str, str] = {"me0386": "any text is no unit"}
ENDLESS = r"\sum_{n=1}^{\infty}\frac{1}{n}"  # its value is looked for until the limit


def verdict(gold: str, completion: str, **policies: Any) -> Verdict:
    judge = MathJudge(**policies)
    answer = judge.answer_of({"answer": gold}, completion)
    return Verdict(0.0, "no_answer", None) if answer is None else judge.judge({"answer": gold}, answer.text)


SAME = [
    ("0.5", r"\frac12"), ("3.5", r"3\frac{1}{2}"), ("3.5", "3 1/2"), ("1/3", "0.333333"), (r"\frac{1}{3}", r"0.\overline{3}"),
    ("1000000", "1 million"), ("1234567", "1,234,567"), ("15000", r"\boxed{\$15,\!000}"), ("0.001", "1e-3"),
    ("1200", r"1.2\times10^3"), ("-3", "−3"), ("50%", "0.5"), ("50", r"50\%"), ("10 cm", "10 centimeters"),
    ("10", r"10\text{ cm}^2"), (r"90^\circ", "90 degrees"), ("5", "x = 5"), ("x=5", "5"), ("12", "so we get 12."),
    ("12", "**12**"), ("18", "She makes $18"), ("18", "Thus\n#### $18.00"), ("2/3", "The final answer is $\\frac{2}{3}$. I hope it is correct."),
    ("6", "So the answer is 6, because 2*3 = 6."), ("1,2", "2 and 1"), (r"\{1,2\}", "2, 1"), ("(1,2)", "(1, 2)"),
    (r"3\pm\sqrt{2}", r"3-\sqrt2, 3+\sqrt2"), ("x^2+2x+1", "(x+1)^2"), (r"\sqrt{8}", r"2\sqrt{2}"), (r"\sin^2 x + \cos^2 x", "1"),
    ("(1+i)^2", "2i"), (r"\frac{\pi^2}{6}", r"\sum_{n=1}^{\infty} \frac{1}{n^2}"), ("[0,1)", r"0 \le x < 1"), ("x<1", r"(-\infty, 1)"),
    ("y=2x+3", "2x-y+3=0"), ("x<1", "-x>-1"), (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\ \frac42\end{bmatrix}"),
    ("A", r"\text{(A)}"), ("Even", r"\text{even}"), ("1/2004!", r"\boxed{1/2004!}"), ("x=1,y=2", "y=2, x=1"),
    ("1", r"<think>\boxed{2}</think> It is \boxed{1}"), (r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)"),
]  # fmt: skip

DIFFERENT = [
    ("1/3", "0.33"), ("1/3", "0.333334"), ("1/2004!", "1/2006!"), ("1/2004!", "0"), ("0", "10^{-100}"), ("1", "1.0000001"),
    ("100000000000000000001", "100000000000000000000"), ("28", "0.28"), ("28%", "2800"), ("3", "3 million"), ("10 cm", "10 m"),
    ("10 cm", "10 cm^2"), ("$5", "5 cents"), ("5", "5m"), ("5", "5x"), ("3", "3 squared"), ("x=5", "y=5"), ("x=1,y=2", "2,1"),
    ("(1,2)", "(2,1)"), ("(1,2)", "[1,2]"), (r"\{1,2\}", "(1,2)"), ("12", "1,2"), ("1.2", "1,2"), ("1,2", "1,2,3"),
    ("18", "The answer is 17 or 18"), ("18", "17, 18"), ("7", "so 5 + 7"), ("5", "it lies between 3 and 5"),
    ("5", r"so x=\sqrt{5}"), ("5", "so it is 2^5"), ("x>5", r"x\ge 5"), ("x>5", "x<5"), ("x>5", "5"), ("x^2=-1", "x^2=-2"),
    ("2x+3", "2x+3y"), ("2R", "2r"), ("A", "a"), ("A", "B"), ("red", "der"), (r"\sqrt{x^2}", "x"), ("204_5", "204"), ("1", "True"),
    (r"\infty", r"-\infty"), ("1", r"\frac{\infty}{\infty}"), ("12", r"12, no: \boxed{13}"), ("3:2", "2:3"), (r"\pi", "3.14"),
    ("0", "__import__('os').system('touch marker') or 0"), ("0", "open('marker', 'w').write('x') or 0"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"), ("2x + z = 1", "1"), ("1", "2x + z = 1"),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "completion"), SAME)
def test_the_same_answer_written_otherwise_is_correct(gold: str, completion: str) -> None:
    assert verdict(gold, completion).reason == "correct"


@pytest.mark.parametrize(("gold", "completion"), DIFFERENT)
def test_another_answer_is_never_correct(gold: str, completion: str) -> None:
    assert verdict(gold, completion).reward == 0.0


@pytest.mark.parametrize(
    ("policy", "gold", "completion", "expected"),
    [
        ({"percent": "sign"}, "50%", "0.5", "wrong"),
        ({"percent": "value"}, "50%", "50", "wrong"),
        ({"percent": "value"}, "50%", "0.5", "correct"),
        ({"units": "ignore"}, "10 cm", "10 m", "correct"),
        ({"order": "keep"}, "1, 2", "2, 1", "wrong"),
        ({"assignment": "strict"}, "5", "x = 5", "wrong"),
        ({"decimals": None}, "1/3", "0.333333", "wrong"),
        ({"decimals": 9}, "1/3", "0.333333", "wrong"),
        ({"box": "first"}, "1", r"\boxed{1} no: \boxed{2}", "correct"),
        ({"box": "last_alone"}, "2", r"\boxed{1} and \boxed{2}", "correct"),
        ({"bare": "whole"}, "12", "so we get 12.", "no_answer"),
        ({"bare": "none"}, "12", "12", "no_answer"),
    ],
)
def test_a_policy_decides_where_graders_differ(
    policy: dict[str, Any], gold: str, completion: str, expected: str
) -> None:
    assert verdict(gold, completion, **policy).reason == expected


@pytest.mark.parametrize(
    ("gold", "completion", "reason"),
    [("12", "", "no_answer"), ("12", r"\boxed{}", "no_answer"), ("", "12", "unparseable_gold"), ("12", r"\boxed{\frac{}", "no_answer"),
     ("12", r"\boxed{\frac{1}{}}", "unparseable_answer"), ("12", "7" * 2000, "unparseable_answer")],
)  # fmt: skip
def test_says_why(gold: str, completion: str, reason: str) -> None:
    assert verdict(gold, completion).reason == reason


def test_accepts_its_own_gold_and_no_other() -> None:
    golds = {gold for gold, _ in SAME + DIFFERENT}
    questions = [{"question_id": gold, "reward": "math", "gold": {"answer": gold}} for gold in golds]

    assert list(check_golds(questions)["question_id"]) == []


def test_bombs_cost_at_most_their_limit_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bombs = [
        r"\boxed{9^{9^{9^{9}}}}", "9**9**9**9", "__import__('os').system('touch marker')", r"\boxed{__import__('os').system('touch marker')}",
        r"\boxed{" + "(" * 300 + "1" + ")" * 300 + "}", r"\boxed{" + "{" * 400 + "}" * 400 + "}", "\x00", "\ud800", r"\boxed{1e99999999}",
    ]  # fmt: skip

    with load_reward("math", timeout_s=0.5) as reward:
        verdicts = reward.score([{"question_id": "q", "gold": {"answer": "12"}}] * 10, [*bombs, r"\boxed{12}"])

    assert [found.reward for found in verdicts] == [0.0] * 9 + [1.0]
    assert list(tmp_path.iterdir()) == []


def test_one_hanging_completion_among_many_costs_at_most_its_limit() -> None:
    completions = [rf"\boxed{{{number}}}" for number in range(999)]
    took = []
    with load_reward("math", timeout_s=1.0, workers=2) as reward:
        reward.score([{"gold": {"answer": "7"}}] * 2, ["x", "y"])  # the workers have started
        for last in (r"\boxed{1000}", rf"\boxed{{{ENDLESS}}}"):
            start = time.monotonic()
            verdicts = reward.score([{"gold": {"answer": "7"}}] * 1000, [*completions, last])
            took.append(time.monotonic() - start)

    assert verdicts[-1].reason == "timeout"
    assert [verdict.reward for verdict in verdicts].count(1.0) == 1
    assert took[1] - took[0] < 1.0 + 2.0  # the limit, and a machine that does other things


@pytest.mark.parametrize(
    "completion",
    [
        "I doubt that it is 37", "It is unlikely to be 37", "I wonder whether it is 37", "It is hardly 37", "Suppose it is 37",
        "Perhaps 37 is it", "It is false that it is 37", "It might be 37", "### Answer\nnot 37", "**Answer**\n37 or 38",
        "Nobody would deny 37", "Assuming that x is 37",
    ],
)  # fmt: skip
def test_a_number_that_its_sentence_takes_back_is_no_answer(completion: str) -> None:
    assert verdict("37", completion).reward == 0.0


@pytest.mark.parametrize(
    "completion",
    [
        "### Answer\n37", "## Final Answer\n\n$37$", "**Answer**\n37", "5 + 32\n\n**Final Answer**\n\n37", "#### Answer\n37",
        "We assume nothing of it. So there are 37.",
    ],
)  # fmt: skip
def test_an_answer_below_a_heading_is_one(completion: str) -> None:
    assert verdict("37", completion).reward == 1.0


def test_public_graders_cases(shared_rows: Callable[[str], list[dict[str, Any]]]) -> None:
    cases = shared_rows("math_equivalence_cases.jsonl.gz")
    questions = [{"question_id": case["id"], "gold": {"answer": case["gold"]}} for case in cases]

    with load_reward("math", timeout_s=30) as reward:  # the machine may be busy
        verdicts = reward.score(questions, [case["pred"] for case in cases])

    differs = {
        case["id"] for case, found in zip(cases, verdicts, strict=True) if (found.reward == 1.0) != case["expected"]
    }
    false_positives = [
        case["id"] for case, found in zip(cases, verdicts, strict=True) if found.reward and not case["expected"]
    ]
    assert false_positives == []
    assert differs == set(DISPUTED)


def test_graded_gsm8k_solutions_get_the_label(shared_rows: Callable[[str], list[dict[str, Any]]]) -> None:
    rows = shared_rows("graded/gsm8k_graded_outputs.jsonl.gz")
    questions = [{"question_id": row["id"], "gold": {"answer": row["gold"]}} for row in rows]

    with load_reward("math") as reward:
        verdicts = reward.score(questions, [row["response"] for row in rows])

    differs = [row["id"] for row, found in zip(rows, verdicts, strict=True) if (found.reward == 1.0) != row["expected"]]
    assert differs == []


def test_the_version_names_the_options() -> None:
    versions = [load_reward("math", **options).version for options in ({}, {"percent": "sign"})]

    assert versions[0] != versions[1]
    assert all(re.fullmatch(r"math-[0-9a-f]{16}", version) for version in versions)
