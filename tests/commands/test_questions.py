"""`restem questions`: a first look at a data set."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from restem.__main__ import restem
from tests.conftest import Project


def look(*arguments: str) -> Result:
    return CliRunner().invoke(restem, ["questions", *arguments, "--env", "tiny"])


def jsonl(rows: list[dict[str, Any]]) -> str:
    """Write a file of rows where the project is, and return its name."""
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "mine.jsonl"


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """A command sets up the log; leave it as it was."""
    kept = logging.root.manager.disable
    yield
    logging.disable(kept)


SUMS = [
    {"problem": f"{i} + 1?", "worked": f"It is \\boxed{{{i + 1}}}", "meta": {"difficulty": i % 3}} for i in range(40)
]


def test_rows_columns_guesses_golds_and_five_prompts_are_shown_and_the_yaml_makes_a_run(project: Project) -> None:
    path = jsonl([*SUMS, {"problem": "odd?", "worked": "no box"}])

    shown = look(path, "--column", "gold=worked", "--extract", "boxed", "--write", "mine")

    assert shown.exit_code == 0, shown.output
    assert "mine.jsonl: 41 rows (in one piece: 41)" in shown.output
    assert "  meta.difficulty  number         filled  98%  0" in shown.output
    assert "golds that math can judge: 40 of 41" in shown.output
    assert "not 'odd?': its own gold earns 0" in shown.output
    assert "prompt 5 of 5, " in shown.output
    written = project.folder / "conf/mine/parameters.yml"
    assert f"written: {written}; next: " in shown.output
    assert "kedro run --pipelines=prepare --env mine\n" in shown.output
    assert yaml.safe_load(written.read_text()) == {
        "questions": {
            "source": "file",
            **{
                "n_train": 24,
                "n_validation": 8,
                "n_test": 16,
                "n_exemplars": 1,
            },  # of the environment it was looked from
            "options": {
                "path": "mine.jsonl",
                "columns": {"text": "problem", "level": "meta.difficulty", "gold": "worked"},
                "extract": "boxed",
                "reward": "math",
            },
        }
    }
    tiny = yaml.safe_load((project.folder / "conf/tiny/parameters.yml").read_text())["policy"]

    project.run("prepare", env="mine", policy=tiny)

    questions = project.catalog(env="mine").load("questions")
    assert len(questions) == 40
    assert set(questions["split"]) == {"train", "test", "validation", "exemplar"}


def test_a_set_too_small_for_the_numbers_of_the_project_is_shown_with_lower_ones(project: Project) -> None:
    shown = look(jsonl(SUMS[:20]), "--column", "gold=worked", "--extract", "boxed")

    assert shown.exit_code == 0, shown.output
    assert "  n_train: 24\n  n_validation: 2\n  n_test: 5\n  n_exemplars: 1\n" in shown.output


def test_what_is_there_already_is_not_written_over(project: Project) -> None:
    path = jsonl(SUMS)

    for name, message in (("tiny", "is there already"), ("base", "of your own"), ("../x", "of your own")):
        refused = look(path, "--write", name)
        assert refused.exit_code == 1
        assert message in refused.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.jsonl"], "there is no file"),
        (["mine.jsonl", "--configuration", "main"], "configuration is not an option of questions.source=file"),
        (["mine.jsonl", "--column", "gold"], "must be FIELD=COLUMN"),
        (["mine.jsonl", "--column", "gold=nothing"], "lacks column nothing (columns.gold)"),
        (["mine.jsonl", "--column", "gold=meta", "--extract", "("], "no regular expression"),
        (["owner/name"], "HF_HUB_OFFLINE is set"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(project: Project, arguments: list[str], message: str) -> None:
    jsonl(SUMS)

    refused = look(*arguments)

    assert refused.exit_code in (1, 2)
    assert message in refused.output


def test_chats_are_shown_with_the_template_and_few_shot_is_not_guessed_for_them(project: Project) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2?"},
        {"role": "assistant", "content": "\\boxed{2}"},
    ]
    path = jsonl(
        [
            {
                "messages": [
                    *turns,
                    {"role": "user", "content": f"{i}?"},
                    {"role": "assistant", "content": f"\\boxed{{{i}}}"},
                ]
            }
            for i in range(40)
        ]
    )

    shown = look(path)

    assert shown.exit_code == 0, shown.output
    assert "columns: {messages: messages}\n    extract: boxed\n    reward: math\nprompt:\n  style: chat" in shown.output
