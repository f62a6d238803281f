"""What docs/your_own.md and docs/studies.md show, run as it stands there."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.errors import ParameterError, PromptError
from restem.studies.study import read_study
from tests.conftest import ROOT, Project

_BLOCK = re.compile(r"```(python|yaml)\n# (\S+)\n(.*?)```", re.DOTALL)
MOST_LINES = 20


class Block(NamedTuple):
    """A block of code that begins with the name of its file."""

    file: str
    text: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page of docs/."""
    text = (ROOT / "docs" / page).read_text()
    found = [Block(file, text) for _, file, text in _BLOCK.findall(text)]
    assert len(found) == text.count("```python") + text.count("```yaml")
    return found


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with the files of the page, in which the method was run."""
    project = Project(tmp_path_factory.mktemp("own"))
    for block in blocks("your_own.md"):
        path = project.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as stream:
            stream.write(block.text + "\n\n")
    before = Path.cwd()
    os.chdir(project.folder)
    kept = list(sys.path)
    project.run(
        env="local",
        policy__model="builtin:tiny",
        method="shortest",
        experiment="shortest",
        sampling={"n": 8, "temperature": 1.0, "top_k": 0, "max_new_tokens": 3, "engine_options": {"dtype": "float32"}},
        em__iterations=1,
        training__epochs=1,
        training__eval_every=None,
        filtering={"min_reward": 0.0, "keep_truncated": True, "weight": "exponential"},
        evaluation={"n": 2, "k": [1]},
    )
    yield project
    os.chdir(before)
    sys.path[:] = kept
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def test_each_takes_less_than_twenty_lines() -> None:
    for page in ("your_own.md", "studies.md"):
        for block in blocks(page):
            assert len(block.text.splitlines()) < MOST_LINES, block.file


@pytest.mark.slow
def test_own_questions_prompt_reward_and_method_make_an_iteration(own: Project) -> None:
    catalog = own.catalog(env="local", experiment="shortest")
    questions, prompts = catalog.load("questions"), catalog.load("prompts")
    scored = catalog.load("iteration_1.scored_samples").to_pandas()
    trained = catalog.load("iteration_1.training_set").to_pandas()

    assert questions["split"].value_counts().to_dict() == {"train": 28, "validation": 14, "test": 14, "exemplar": 2}
    of_five = questions.set_index("question_id")["text"] == "double 5"
    (prompt,) = prompts.loc[prompts["question_id"].map(of_five), "prompt"]
    assert prompt == "double 2 -> 4\ndouble 3 -> 6\ndouble 5 ->"
    assert set(scored["reward"]) <= {0.0, 1.0}
    assert scored["reward_version"].str.startswith("my_package.tasks:last_word").all()
    assert trained["question_id"].is_unique
    assert set(trained["prompt"]) <= set(prompts["prompt"])
    assert catalog.load("record_1")["parameters"]["method"] == "shortest"


@pytest.mark.slow
def test_own_reward_tells_right_from_wrong(own: Project) -> None:
    from restem.rewards import load_reward

    question = {"question_id": "q", "text": "double 5", "gold": '{"answer": "10"}'}
    with load_reward("my_package.tasks:last_word", workers=1) as reward:
        verdicts = reward.score([question] * 3, ["it is 10", "11", ""])

    assert [verdict.reward for verdict in verdicts] == [1.0, 0.0, 0.0]
    with load_reward("my_package.tasks:LastNumber", workers=1) as reward:
        verdicts = reward.score([question] * 3, ["it is 10", "11 12", "none"])
    assert [verdict.reason for verdict in verdicts] == ["correct", "wrong", "no_answer"]


@pytest.mark.slow
def test_own_studies_can_be_planned(own: Project) -> None:
    from restem.studies.runs import experiments_of

    (block,) = [block for block in blocks("studies.md") if block.file == "caps.yml"]
    (own.folder / "caps.yml").write_text(block.text)
    for name, experiments in (
        ("shortest.yml", ["rest_em", "shortest"]),
        ("caps.yml", ["ten", "one", "as_many_as_there_are"]),
    ):
        study = read_study(name, own.folder / "conf" / "studies")
        tasks = experiments_of(study, project=own.folder, env="local", params={})
        assert [task.name for task in tasks] == experiments
    assert tasks[2].parameters.filtering.max_per_question == 16


@pytest.mark.slow
def test_unknown_study_says_that_a_path_is_taken(own: Project) -> None:
    result = CliRunner().invoke(restem, ["study", "run", "shortest.yaml"])

    assert result.exit_code == 1
    assert "any .yml file by its path" in result.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("style", "error", "message"),
    [
        ("few-shot", ParameterError, "prompt.style must be one of few_shot, zero_shot, chat, or a dotted path like"),
        ("my_package.tasks:none", PromptError, "prompt.style 'my_package.tasks:none' cannot be imported"),
    ],
)
def test_prompt_style_that_is_none_is_named(own: Project, style: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        own.run("prepare", env="local", policy__model="builtin:tiny", prompt__style=style, experiment="bad")
