import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restem.__main__ import restem

ROWS = [
    {"question_id": "q1", "gold": {"answer": "4"}, "completion": "So 2 + 2 = 4"},
    {"question_id": "q2", "gold": {"answer": "4"}, "completion": r"\boxed{5}"},
    {"gold": '{"answer": "4"}', "completion": " "},
]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


def test_prints_a_verdict_per_line_and_a_summary_apart(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(TEXT)

    result = CliRunner().invoke(restem, ["score", str(file), "--reward", "math"])

    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [(row["reward"], row["reason"], row["answer"]) for row in verdicts] == [
        (1.0, "correct", "4"),
        (0.0, "wrong", "5"),
        (0.0, "no_answer", None),
    ]
    assert [row.get("question_id") for row in verdicts] == ["q1", "q2", None]
    assert "3 judged" in result.stderr and "33.3%" in result.stderr


def test_reads_gzip_and_options(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps({"gold": {"answer": "0.30"}, "completion": "0.3"}).encode()))
    command = ["score", str(file), "--reward", "exact", "--option", "kind=number", "--option", "tolerance=0.01"]

    result = CliRunner().invoke(restem, command)

    assert json.loads(result.stdout)["reason"] == "correct"


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    for broken, said in [
        ("{", "line 4, character 2: not JSON"),
        ("[" * 200_000, "line 4: not JSON"),
        ('{"gold": {}}', "line 4: 'completion'"),
        ("[]", "line 4: must be"),
    ]:
        file = tmp_path / "rows.jsonl"
        file.write_text(TEXT + broken)

        result = CliRunner().invoke(restem, ["score", str(file), "--reward", "exact"])

        assert result.exit_code == 1
        assert said in result.stderr


def test_an_unknown_reward_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(TEXT)

    result = CliRunner().invoke(restem, ["score", str(file), "--reward", "maths"])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: there is no reward 'maths'")


def test_reads_standard_input_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "restem", "score", "-", "--reward", "math"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    for content in (TEXT.encode(), gzip.compress(TEXT.encode())):
        done = subprocess.run(command, input=content, env=environment, capture_output=True, check=True)

        assert [json.loads(line)["reward"] for line in done.stdout.splitlines()] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("gold", ["4", 4, {"answer": 4}, '{"answer": "4"}'])
def test_a_gold_is_taken_as_a_file_of_questions_has_it(gold: Any, tmp_path: Path) -> None:
    file = tmp_path / "completions.jsonl"
    file.write_text(json.dumps({"gold": gold, "completion": "4"}))

    result = CliRunner().invoke(restem, ["score", str(file), "--reward", "exact"])

    assert json.loads(result.stdout)["reason"] == "correct"


def test_broken_json_is_named_by_its_line_and_character(tmp_path: Path) -> None:
    file = tmp_path / "completions.jsonl"
    file.write_text('{"gold": "4", "completion": "4"}\n{"gold": "4" "completion"}\n')

    result = CliRunner().invoke(restem, ["score", str(file), "--reward", "exact"])

    assert result.exit_code == 1
    assert "line 2, character 14: not JSON: Expecting ',' delimiter" in result.output
