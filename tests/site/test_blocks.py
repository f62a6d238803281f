"""Every block of commands or Python in README and docs is run here, by a named test, or says why it is not.

A remark before a block says why it is not run: <!-- not run: needs a GPU -->. What a remark names as tests must be
there. That options, parameters and YAML of all blocks are taken is tested elsewhere: test_suggestions.py and
test_documented_parameters.py.
"""

import ast
import json
import re
import shlex
import webbrowser
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from tests.conftest import ROOT, Project

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
COMMANDS = ("", "bash", "sh", "console")
LANGUAGES = {*COMMANDS, "python", "yaml", "json", "text", "math"}
TEST = re.compile(r"tests/[\w/.]+")
OF_YOUR_OWN = "tests/test_your_own.py"


class Block(NamedTuple):
    """A block of a page."""

    page: str
    language: str
    text: str
    why: str | None  # why it is not run

    def commands(self) -> list[str]:
        """Return its lines without comments."""
        lines = [line.partition(" # ")[0].strip() for line in self.text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def _blocks(page: Path) -> list[Block]:
    name = page.relative_to(ROOT).as_posix()
    return [Block(name, of["language"], of["text"], of["why"]) for of in BLOCK.finditer(page.read_text("utf-8"))]


BLOCKS = [block for page in PAGES for block in _blocks(page)]
RUN = [block for block in BLOCKS if block.why is None]
LINES = [(block.page, line) for block in RUN if block.language in COMMANDS for line in block.commands()]


def test_no_block_is_left_out() -> None:
    for page in PAGES:
        fences = [line for line in page.read_text("utf-8").splitlines() if line.lstrip().startswith("```")]
        found = [block for block in BLOCKS if block.page == page.relative_to(ROOT).as_posix()]
        assert len(fences) == 2 * len(found), f"{page}: a block that is not closed, or indented, is not read"
        assert {block.language for block in found} <= LANGUAGES, f"{page}: say text for what is no command"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.why], ids=lambda block: block.page)
def test_block_that_is_not_run_says_why(block: Block) -> None:
    assert block.language in (*COMMANDS, "python")
    for test in TEST.findall(str(block.why)):
        assert (ROOT / test).exists(), f"{block.page}: {test} is not there"


@pytest.fixture
def here(finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What stands in pages -> what is in its place here: the finished experiment, its questions, some files."""
    monkeypatch.chdir(finished.folder)
    monkeypatch.setattr(webbrowser, "open", lambda *_, **__: True)
    asked = finished.catalog().load("questions")
    question = asked.loc[asked["split"] == "train", "question_id"].iloc[0]
    rows = [{"text": f"What is 1/{n} + 1/{n}?", "gold": {"answer": f"2/{n}"}} for n in range(3, 40)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judged = [row | {"gold": row["gold"], "completion": "2/3"} for row in rows]
    (tmp_path / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in judged))
    return {
        "5491aac0740ff912": question,
        "data/01_raw/mine.jsonl": str(tmp_path / "mine.jsonl"),
        "FILE.jsonl": str(tmp_path / "judged.jsonl"),
        "FOLDER": str(tmp_path / "out"),
        "QUESTION_ID": question,
    }


@pytest.mark.parametrize(("page", "line"), LINES, ids=[line for _, line in LINES])
def test_command_of_a_page_does_what_it_is_there_for(page: str, line: str, here: dict[str, str]) -> None:
    program, *words = shlex.split(line)
    assert program == "restem", f"{page} does not say why this is not run: {line}"
    for shown, real in here.items():
        words = [word.replace(shown, real) for word in words]
    if _is_about_an_experiment(words) and "--env" not in words:
        words += ["--env", "tiny"]

    result = CliRunner().invoke(restem, words)

    assert result.exit_code == 0, f"{page}: {line}: {result.output}"
    assert result.output.strip()


def _is_about_an_experiment(words: list[str]) -> bool:
    command: Any = restem
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return any("--env" in param.opts for param in command.params)


@pytest.mark.parametrize(
    "block",
    [block for block in RUN if block.language == "python" and not block.text.startswith("# ")],
    ids=lambda block: block.page,
)
def test_python_of_a_page_runs(block: Block, finished: Project, tmp_path: Path) -> None:
    code = "code" in block.page
    gold = {"tests": "assert add(1, 2) == 3", "entry_point": "add"} if code else {"answer": "3"}
    names = {
        "catalog": finished.catalog(),
        "folder": finished.catalog().load("policy_0").path,
        "prompts": ["1+1=", "1+2="],
        "questions": [{"question_id": "q", "text": "1 + 2", "gold": json.dumps(gold)}],
        "completions": ["def add(a, b):\n    return a + b\n" if code else "3"],
    }

    exec(compile(block.text, block.page, "exec"), names)  # as whoever reads it would

    if "verdicts" in names:
        assert [verdict.reward for verdict in names["verdicts"]] == [1.0]
    if "engine" in names:
        assert len(names["completions"]) == 32


def test_python_that_names_its_file_can_be_read() -> None:
    """Those of your_own.md are run by tests/test_your_own.py."""
    assert (ROOT / OF_YOUR_OWN).exists()
    named = [block for block in RUN if block.language == "python" and block.text.startswith("# ")]
    assert {block.page for block in named} <= {"docs/your_own.md", "docs/own.md"}
    for block in named:
        ast.parse(block.text)


def test_own_reward_of_a_page_accepts_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block for block in RUN if block.page == "docs/own.md" and block.language == "python")
    names: dict[str, Any] = {}

    exec(block.text, names)

    assert names["ends_politely"]({}, names["ends_politely"].accepts) == 1.0
    assert names["ends_politely"]({}, "One half.") == 0.0


@pytest.mark.parametrize("block", [block for block in RUN if block.language == "json"], ids=lambda block: block.page)
def test_json_of_a_page_can_be_read(block: Block) -> None:
    json.loads(block.text)
