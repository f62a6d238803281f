"""restem prompt: what a policy is given, token by token, and where the loss begins."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.policies.policy import Policy
from restem.training.reading import read_prompt, read_row
from tests.builders import training_row
from tests.conftest import Project


@pytest.fixture
def shown(finished: Project, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(finished.folder)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(restem, ["prompt", "--env", "tiny", *arguments])

    return run


@pytest.fixture(scope="session")
def learned(finished: Project) -> dict[str, Any]:
    """A row that the last iteration learned from."""
    return dict(finished.catalog().load("iteration_2.training_set").head(1).to_dict("records")[0])


def test_a_question_is_shown_with_a_completion_that_was_learned_from(
    finished: Project, learned: dict[str, Any], shown: Any
) -> None:
    result = shown(learned["question_id"][:12])

    lines = result.output.splitlines()
    table = finished.catalog().load("prompts").set_index("question_id")
    assert result.exit_code == 0, result.output
    assert lines[0].startswith(f"question {learned['question_id']}: train, read by ")
    assert f"prompt {table['prompt_id'][learned['question_id']]}: style few_shot" in lines
    assert [f"    {line}" for line in table["prompt"][learned["question_id"]].split("\n")] == lines[
        lines.index("text:") + 1 : lines.index("text:") + 1 + table["prompt"][learned["question_id"]].count("\n") + 1
    ]
    assert any(line.startswith("prompt, ") and line.endswith("tokens, read, not learnt:") for line in lines)
    assert any(line.startswith("completion, ") and line.endswith("tokens, learnt:") for line in lines)
    assert lines[-1].startswith("the loss begins at token ")


def test_parameters_can_be_tried(learned: dict[str, Any], shown: Any) -> None:
    tried = "prompt.style=zero_shot,prompt.prefill=' it is',sampling.reasoning={budget: 3},sampling.max_new_tokens=9"
    result = shown(learned["question_id"], f"--params={tried}")

    assert result.exit_code == 0, result.output
    assert "style zero_shot, prefill ' it is'" in result.output
    assert "the experiment has another one, of other parameters: " in result.output
    assert "closed by the engine after 3 tokens" in result.output
    assert "prefill, 6 tokens, read, not learnt:" in result.output


def test_an_unknown_question_lists_near_ones(learned: dict[str, Any], shown: Any) -> None:
    result = shown(f"{learned['question_id'][:-1]}_")

    assert result.exit_code != 0
    assert f"near it: {learned['question_id']}" in result.output


def test_it_needs_questions_and_no_samples(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    before = CliRunner().invoke(restem, ["prompt", "--env", "tiny", "x"])
    project.run("prepare")
    name = project.catalog().load("questions").query("split == 'train'")["question_id"].iloc[0]
    after = CliRunner().invoke(restem, ["prompt", "--env", "tiny", name])

    assert "run this first" in before.output
    assert after.output.splitlines()[-1].startswith("the loss begins behind these ")


def test_every_token_of_a_row_is_said_to_be_read_or_learnt(base: Policy) -> None:
    row = pd.DataFrame([training_row("q", "1 + 1 = so", "hm</think> 2", closing=[2, 10])])

    stretches = read_row(base, row, " so", add_special_tokens=True, learn_after=None)

    assert [(one.what, len(one.tokens), one.is_learnt) for one in stretches] == [
        ("prompt", 8, False), ("prefill", 3, False), ("completion", 2, True), ("closing mark", 8, False),
        ("completion", 3, True),
    ]  # fmt: skip
    assert [token.piece for token in stretches[1].tokens] == [" ", "s", "o"]
    assert stretches[0].tokens[0] == (1, "<bos>")
    after = read_row(base, row, "", add_special_tokens=True, learn_after="</think>")
    assert [(one.what, one.is_learnt) for one in after][-1] == ("completion", True)
    assert not any(one.is_learnt for one in after[:-1])


def test_a_prefill_is_told_from_what_a_tokenizer_puts_around_texts(base: Policy, tmp_path: Path) -> None:
    (stretch,) = read_prompt(base, "1 + 1", "", add_special_tokens=True)
    bare = read_prompt(base, "1 + 1", "1", add_special_tokens=False)

    assert [token.piece for token in stretch.tokens] == ["<bos>", *"1 + 1"]
    assert [[token.piece for token in one.tokens] for one in bare] == [[*"1 + "], ["1"]]
