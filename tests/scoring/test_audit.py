from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.parameters import AuditParameters, ScoringParameters
from restem.rewards import load_reward
from restem.rewards.golden import GOLDEN, golden_cases
from restem.scoring.audit import audit_rewards, summarise_audit
from restem.scoring.inspection import doubts_of, format_sample, samples_to_read
from restem.scoring.verdicts import summarise_scoring
from restem.store.tables import ShardedTable
from tests.conftest import Logged, Project

ADD = {"tests": "assert add(1, 2) == 3\nassert add(2, 2) == 4", "entry_point": "add"}


def questions(reward: str, golds: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"question_id": name, "text": name, "gold": gold, "reward": reward, "split": "train"}
            for name, gold in golds.items()
        ]
    )


def scored(folder: Path, rows: list[tuple[str, str, float]]) -> ShardedTable:
    """Return a table of (question_id, completion, reward) in two shards."""
    table = pd.DataFrame(rows, columns=["question_id", "completion", "reward"])
    table["sample_index"] = range(len(rows))
    table["reason"] = ["correct" if reward == 1.0 else "wrong" for reward in table["reward"]]
    table["found_by"] = "box"
    table["n_tokens"] = 1
    table["reward_version"] = "exact-0"
    files = [folder / "a.parquet", folder / "b.parquet"]
    half = len(rows) // 2
    table[:half].to_parquet(files[0])
    table[half:].to_parquet(files[1])
    return ShardedTable(files)


def audited(table: ShardedTable | None, asked: pd.DataFrame, **options: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    parameters = ScoringParameters(options=options.pop("options", {}), audit=AuditParameters(**options))
    found = audit_rewards(table, asked, parameters=parameters, seed=0)
    return found, summarise_audit(found)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("math", {}),
        ("math", {"percent": "sign", "order": "keep", "units": "ignore", "assignment": "strict", "decimals": None}),
        ("math", {"bare": "none", "box": "first"}),
        ("code", {}),
        ("exact", {}),
        ("reasoning_gym", {}),
        *[("format", {"form": form}) for form in ("boxed", "hashes", "answer_is", "tag", "code_block")],
    ],
)
def test_every_known_case_earns_what_it_should_under_all_options(name: str, options: dict[str, Any]) -> None:
    cases = golden_cases(name, options)

    with load_reward(name, **options) as reward:
        verdicts = reward.score([case.question("q") for case in cases], [case.completion for case in cases])

    assert {case.reward for case in cases} == {0.0, 1.0}
    assert [verdict.reward for verdict in verdicts] == [case.reward for case in cases]


def test_a_known_case_that_other_options_settle_otherwise_is_left_out() -> None:
    assert len(golden_cases("math", {"order": "keep"})) == len(GOLDEN["math"]) - 1


def test_false_positives_are_counted_and_named(tmp_path: Path) -> None:
    asked = questions("math", {"q1": {"answer": "1/2"}, "q2": {"answer": "7"}})
    rows = [("q1", r"\boxed{0.5}", 1.0), ("q2", r"\boxed{8}", 1.0), ("q2", r"\boxed{9}", 0.0), ("q2", "so 7", 1.0)]

    found, summary = audited(scored(tmp_path, rows), asked)

    wrong = found[(found["check"] == "second verifier") & (found["agrees"] == "no")]
    assert list(zip(wrong["question_id"], wrong["sample_index"], strict=True)) == [("q2", 1)]
    assert (summary["n_checked"], summary["n_disagreed"]) == (3, 1)
    assert summary["false_positive_rate"] == pytest.approx(1 / 3)
    assert summary["low"] < 1 / 3 < summary["high"]
    assert (summary["golden_cases"], summary["golden_failed"]) == (len(GOLDEN["math"]), 0)
    assert (summary["canaries"], summary["canaries_failed"]) == (2, 0)


def test_samples_of_a_rare_form_are_looked_at_and_counted_apart(tmp_path: Path) -> None:
    asked = questions("math", {"q": {"answer": "7"}, "t": {"answer": "2:30"}, "s": {"answer": r"\{1,2\}"}})
    table = scored(
        tmp_path,
        [("q", r"\boxed{7}", 1.0)] * 40 + [("t", r"\boxed{8:30}", 1.0), ("s", r"\boxed{\{2,1\}}", 1.0)] * 3,
    )

    found, summary = audited(table, asked, n_samples=4, n_per_form=2, n_questions=0)

    accepted = {row["form"]: (row["n"], row["n_checked"], row["n_disagreed"]) for row in summary["accepted"]}
    assert (accepted["number"][0], accepted["time"], accepted["set"]) == (40, (3, 2, 2), (3, 2, 0))
    assert summary["n_checked"] == 4 and summary["rare_checked"] + 4 == sum(n for _, n, _ in accepted.values())
    of_rate = found[found["check"] == "second verifier"]
    assert summary["n_disagreed"] == int((of_rate["agrees"] == "no").sum())
    assert {row["found_by"] for row in summary["accepted"]} == {"box"}


def test_an_audit_of_no_samples_and_no_forms_only_counts(tmp_path: Path) -> None:
    table = scored(tmp_path, [("q", r"\boxed{7}", 1.0)] * 4)

    _, summary = audited(table, questions("math", {"q": {"answer": "7"}}), n_samples=0, n_per_form=0)

    assert (summary["n_checked"], summary["rare_checked"]) == (0, 0)
    assert [(row["form"], row["n"], row["n_checked"]) for row in summary["accepted"]] == [("number", 4, 0)]


@pytest.mark.parametrize(
    ("reward", "gold", "form"),
    [
        ("math", {"answer": "2:30 PM"}, "time"),
        ("math", {"answer": r"50\%"}, "percent"),
        ("math", {"answer": r"\$5"}, "money"),
        ("math", {"answer": "10 cm"}, "unit"),
        ("math", {"answer": r"90^\circ"}, "angle"),
        ("math", {"answer": "12 apples"}, "counted things"),
        ("math", {"answer": r"\frac{1}{2}"}, "fraction"),
        ("math", {"answer": r"-3"}, "number"),
        ("math", {"answer": r"2\pi"}, "constant"),
        ("math", {"answer": "x^2+1"}, "expression"),
        ("math", {"answer": "x < 1"}, "interval"),
        ("math", {"answer": "x=1, y=2"}, "several unknowns"),
        ("math", {"answer": "A"}, "choice"),
        ("exact", {"answer": "B", "kind": "choice"}, "choice"),
        ("code", ADD, "tests"),
        ("reasoning_gym", {"answer": "4", "task": "chain_sum"}, "chain_sum"),
        ("format", {"answer": "4"}, ""),
    ],
)
def test_a_gold_says_by_which_form_it_is_judged(reward: str, gold: dict[str, Any], form: str) -> None:
    options = {"form": "boxed"} if reward == "format" else {}

    assert load_reward(reward, **options).form_of({"question_id": "q", "gold": gold}) == form


def test_what_two_verifiers_disagree_on_is_read_first(tmp_path: Path) -> None:
    asked = questions("math", {"q": {"answer": "7"}})
    rows = [("q", r"\boxed{7}", 1.0)] * 20 + [("q", r"\boxed{8}", 1.0), ("q", r"\boxed{9}", 0.0)]
    table = scored(tmp_path, rows)
    found, _ = audited(table, asked, n_questions=0)

    shown = samples_to_read(table, asked, n_accepted=3, n_rejected=1, doubtful=doubts_of(found))

    first = {**shown[0], "answer": "8", "reward_version": "m"}
    assert (first["sample_index"], first["doubt"]) == (20, "math: wrong: 8")
    assert [row["reward"] for row in shown] == [1.0, 1.0, 1.0, 0.0]
    assert len({row["sample_index"] for row in shown}) == 4
    assert "a second verifier refuses it: math: wrong: 8" in format_sample(
        {**shown[0], "answer": "8", "reward_version": "m"}
    )


def test_the_second_verifier_of_programs_runs_listed_tests_the_other_way_round(tmp_path: Path) -> None:
    calls = [{"args": [number], "expected": number} for number in (1, 2)]
    asked = questions("code", {"q1": {"call_tests": calls, "entry_point": "f"}, "q2": ADD})
    counts = "seen = []\ndef f(x):\n    seen.append(x)\n    return x if seen == sorted(seen) else None\n"
    right = "def add(a, b):\n    return a + b\n"

    _, summary = audited(scored(tmp_path, [("q1", counts, 1.0), ("q2", right, 1.0)]), asked, n_questions=0)

    assert (summary["n_checked"], summary["n_disagreed"]) == (2, 1)


@pytest.mark.parametrize(
    ("gold", "answer", "expected"),
    [
        ({"answer": "1/2", "kind": "number"}, "0.5", (1, 0, 0)),
        ({"answer": "1/2", "kind": "number"}, "0.6", (1, 1, 0)),
        ({"answer": "B", "kind": "choice"}, "(b) because", (1, 0, 0)),
        ({"answer": "B", "kind": "choice"}, "(c)", (1, 1, 0)),
        ({"answer": "a  cat"}, "A cat", (1, 0, 0)),
        ({"answer": "a cat"}, "a dog", (1, 1, 0)),
        ({"answer": "ab+", "kind": "regex"}, "abb", (1, 0, 0)),
        ({"answer": "ab+", "kind": "regex"}, "abbc", (1, 1, 0)),
    ],
)
def test_answers_of_every_kind_are_compared_again(
    tmp_path: Path, gold: dict[str, Any], answer: str, expected: tuple[int, int, int]
) -> None:
    _, summary = audited(scored(tmp_path, [("q", answer, 1.0)] * 2), questions("exact", {"q": gold}), n_samples=1)

    assert (summary["n_checked"], summary["n_disagreed"], summary["n_unchecked"]) == expected


def test_a_task_with_many_right_answers_is_not_said_to_be_checked(tmp_path: Path) -> None:
    asked = questions("reasoning_gym", {"q": {"answer": "(())", "task": "none"}, "p": {"answer": "4", "task": "none"}})
    rows = [("q", "()()", 1.0), ("p", "<answer>4.0</answer>", 1.0), ("p", "5", 1.0)]

    _, summary = audited(scored(tmp_path, rows), asked, n_questions=0)

    assert (summary["n_checked"], summary["n_disagreed"], summary["n_unchecked"]) == (2, 1, 1)


def test_a_reward_without_a_second_verifier_says_why(tmp_path: Path) -> None:
    own = "tests.rewards.own_rewards:exact_text"
    options = {"all_of": {"rewards": {"math": {}, "format": {"form": "boxed"}, own: None}}}
    asked = questions("all_of", {"q": {"answer": "4"}})

    _, summary = audited(scored(tmp_path, [("q", r"\boxed{4}", 1.0)] * 2), asked, options=options, n_questions=0)

    assert set(summary["not_audited"]) == {"format", own}
    assert (summary["n_checked"], summary["n_disagreed"]) == (2, 0)
    assert summary["golden_cases"] == len(golden_cases("math", {})) + 2


def test_a_gold_that_fails_is_counted() -> None:
    _, summary = audited(None, questions("math", {"good": {"answer": "4"}, "bad": {"answer": ""}}))

    assert (summary["canaries"], summary["canaries_failed"]) == (2, 1)
    assert summary["false_positive_rate"] is None


def test_the_same_seed_looks_at_the_same_samples(tmp_path: Path) -> None:
    asked = questions("exact", {f"q{number}": {"answer": "4"} for number in range(40)})
    table = scored(tmp_path, [(f"q{number}", "4", 1.0) for number in range(40)])

    first, again = (audited(table, asked, n_samples=5, n_questions=3)[0] for _ in range(2))

    assert first.equals(again)
    assert (len(first[first["check"] == "second verifier"]), len(first[first["check"] == "canary"])) == (5, 3)


def test_shares_of_reasons_above_their_limits_are_warned_of(tmp_path: Path, warned: Logged) -> None:
    table = scored(tmp_path, [("q", "x", 1.0), ("q", "y", 0.0), ("q", "y", 0.0), ("q", "y", 0.0)])

    summary = summarise_scoring(table, warn_above={"wrong": 0.5, "timeout": 0.0})

    assert summary["rates"] == {"timeout": 0.0, "wrong": 0.75}
    (warning,) = summary["warnings"]
    assert warning.startswith("75.0% of the verdicts are wrong, more than scoring.warn_above.wrong = 0.5")
    assert [record.getMessage() for record in warned] == [warning]
    assert summary["accepted_by_found"] == {"box": 1}


def test_an_iteration_is_audited_recorded_reported_and_logged(finished: Project) -> None:
    from mlflow import MlflowClient

    catalog = finished.catalog()
    audit = catalog.load("record_1")["audit"]
    client = MlflowClient(tracking_uri=f"sqlite:///{finished.folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("restem")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`restem.iteration` = '1'")  # type: ignore[union-attr]

    assert len(catalog.load("iteration_1.reward_audit")) > 50
    assert audit["golden_cases"] == len(GOLDEN["reasoning_gym"]) and audit["golden_failed"] == 0
    assert audit["n_checked"] == min(100, catalog.load("record_1")["scoring"]["by_reason"]["correct"])
    assert audit["n_disagreed"] == 0 == run.data.metrics["audit/n_disagreed"] == audit["false_positive_rate"]
    assert run.data.metrics["audit/high"] == pytest.approx(audit["high"])
    assert "Audit of the rewards" in catalog.load("report_markdown")


def test_restem_audit_prints_the_audit(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    command = ["audit", "--env", "tiny", "--reward", "reasoning_gym", "--samples", "4", "--questions", "3"]

    result = CliRunner().invoke(restem, command)

    assert result.exit_code == 0, result.output
    assert "experiment tiny, iteration 2" in result.stdout
    assert "golds that failed: 0 of 3" in result.stdout
    assert "second verifier refuses: 0 of 4, false-positive rate 0.000 [0.000, " in result.stdout


def test_restem_audit_names_a_reward_that_judges_nothing(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)

    result = CliRunner().invoke(restem, ["audit", "--env", "tiny", "--reward", "math"])

    assert result.exit_code == 1
    assert "no question of experiment tiny is judged by the reward 'math'" in result.stderr


def test_restem_inspect_shows_accepted_and_rejected_samples(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    command = ["inspect", "--env", "tiny", "--iteration", "1", "--accepted", "2", "--rejected", "1"]

    first, again = (CliRunner().invoke(restem, command) for _ in range(2))
    other = CliRunner().invoke(restem, [*command, "--seed", "1"])

    assert first.exit_code == 0, first.output
    assert (first.stdout.count("ACCEPTED "), first.stdout.count("REJECTED ")) == (2, 1)
    assert "  answer, found by: whole:\n" in first.stdout and "  gold:\n" in first.stdout
    assert first.stdout == again.stdout != other.stdout
    doubtful = CliRunner().invoke(restem, [*command, "--doubtful"])
    assert "a second verifier refuses 0 of the accepted ones that it looked at" in doubtful.stdout


def test_restem_inspect_shows_one_reason(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)

    result = CliRunner().invoke(restem, ["inspect", "--env", "tiny", "--reason", "wrong", "--rejected", "4"])
    missing = CliRunner().invoke(restem, ["inspect", "--env", "tiny", "--iteration", "9"])

    assert result.stdout.count("verdict: 0, wrong") == 4 and "ACCEPTED" not in result.stdout
    assert missing.exit_code == 1 and "has no scored samples of iteration 9 yet" in missing.stderr


def test_what_a_model_wrote_cannot_move_the_cursor() -> None:
    row = {"question_id": "q", "sample_index": 0, "text": "t", "completion": "a\x1b[2Jb\r\nc", "gold": "{}"}
    shown = format_sample({**row, "answer": None, "reward": 0.0, "reason": "no_answer", "reward_version": "math-1"})

    assert "\x1b" not in shown and "\r" not in shown
    assert "    a\\x1b[2Jb\\r\n    c" in shown
