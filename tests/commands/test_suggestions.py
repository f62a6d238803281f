"""Commands that messages suggest do what is meant when they are copied."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project

from restem import suggestions
from restem.__main__ import restem
from restem.cli import run as kedro_run
from restem.suggestions import Asked
from tests.conftest import ROOT, Project

ODD = {
    "experiment": "steps",
    "em": {"seed": 77, "stop_when": None, "allow_changes": True},
    "policy": {"model": "it's a: folder #1", "name": "null", "share": 1e-06, "text": "007"},
}
ASKED = Asked(env="tiny", params=ODD)
SOURCES = sorted((ROOT / "src/restem").rglob("*.py"))
COMMAND = re.compile(
    rf"\b(?:kedro (?:run|viz|jupyter)|(?<!from )(?<!import )restem (?:{'|'.join(restem.commands)}))\b(?! command)"
)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = suggestions.asked()
    yield
    suggestions.use(before)


def calls() -> Iterator[tuple[str, ast.Call]]:
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("suggestions."):
                name = node.func.attr  # type: ignore[attr-defined]
                if name in ("run", "restem", "same_run", "new_experiment"):
                    yield f"{file.stem}:{node.lineno}", node


def suggested(call: ast.Call) -> str:
    """Return what a call in the source suggests; 1 stands for what is not known before."""
    unknown = {"reason": "wrong"}
    words = [
        item.value if isinstance(item, ast.Constant) else unknown.get(ast.unparse(item), "1")
        for item in call.args
        if not isinstance(item, ast.Starred)  # options that only the call knows
    ]
    if call.func.attr == "new_experiment":  # type: ignore[attr-defined]
        return suggestions.new_experiment()
    if call.func.attr == "same_run":  # type: ignore[attr-defined]
        return suggestions.same_run({"experiment": "NAME"})
    keywords: dict[str, Any] = {}
    for keyword in call.keywords:
        if isinstance(keyword.value, ast.Constant):
            keywords[str(keyword.arg)] = keyword.value.value
        elif isinstance(keyword.value, ast.Dict):
            names = [ast.literal_eval(key) for key in keyword.value.keys if key is not None]
            keywords["params"] = {name: "NAME" if name == "experiment" else 1 for name in names}
    found: str = getattr(suggestions, call.func.attr)(*words, **keywords)  # type: ignore[attr-defined]
    return found


def parsed(line: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a command and its options, as its own parser reads them."""
    program, *words = shlex.split(line)
    command: click.Command = kedro_run if Path(program).name == "kedro" else restem
    if command is kedro_run:
        assert words.pop(0) == "run"
    context = command.make_context(Path(program).name, [*words])
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        if not rest:
            break
        _, command, arguments = command.resolve_command(context, rest)
        context = command.make_context(command.name, arguments, parent=context)
    return str(command.name), context.params


@pytest.mark.parametrize("call", [pytest.param(call, id=place) for place, call in calls()])
def test_every_suggested_command_is_one_that_its_program_takes_and_names_the_environment(call: ast.Call) -> None:
    suggestions.use(ASKED)

    _, options = parsed(suggested(call))

    assert options["env"] == "tiny"
    if "params" in options and "NAME" not in str(options):
        given = options["params"]
        named = options.get("experiment") or given.pop("experiment")
        asked = {name: value for name, value in ODD.items() if name != "experiment"}
        assert (named, given["policy"], given["em"].items() >= ODD["em"].items()) == ("steps", asked["policy"], True)


def test_no_command_is_written_but_by_the_one_function() -> None:
    written = []
    for file in SOURCES:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        texts = {id(node.body[0].value) for node in ast.walk(tree) if hasattr(node, "body") and is_docstring(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts:
                written += [f"{file.name}:{node.lineno}: {found[0]}" for found in COMMAND.finditer(node.value)]

    of_no_project = ": restem init"  # it takes no environment, nor anything else of a session
    known = ("options.py", "run.py", "retention.py")
    assert [each for each in written if not each.startswith(known) and not each.endswith(of_no_project)] == []


def is_docstring(node: ast.AST) -> bool:
    body = getattr(node, "body", None)
    return isinstance(body, list) and bool(body) and isinstance(body[0], ast.Expr)


def test_a_list_is_typed_as_it_is_read() -> None:
    suggestions.use(Asked(params={"evaluation": {"k": [1, 2], "n": 4}}))

    assert parsed(suggestions.run("compare"))[1]["params"] == {"evaluation": {"k": [1, 2], "n": 4}}


@pytest.mark.parametrize(
    ("pipelines", "begins"),
    [((), ""), (("prepare",), "prepare"), (("em_iteration",), "prepare"), (("iteration_2",), "prepare")],
)
def test_another_experiment_is_begun_from_its_beginning(pipelines: tuple[str, ...], begins: str) -> None:
    suggestions.use(Asked(params={"em": {"seed": 2}}, pipelines=pipelines))

    _, options = parsed(suggestions.new_experiment())

    assert ",".join(options["pipelines"] or []) == begins
    assert options["params"] == {"em": {"seed": 2}, "experiment": "NAME"}


def test_a_forced_iteration_is_not_forced_again_by_what_comes_next() -> None:
    suggestions.use(Asked(params={"em": {"iteration": 1, "seed": 2}}))

    assert parsed(suggestions.run("em_iteration"))[1]["params"] == {"em": {"seed": 2}}


def test_what_status_says_comes_next_prepares_the_experiment_that_was_asked_about(project: Project) -> None:
    status = ["status", "--env", "tiny", "--experiment", "steps", "--params=em.seed=3"]
    told = CliRunner().invoke(restem, status).output
    line = next(line for line in told.splitlines() if line.startswith("next: ")).removeprefix("next: ")
    configure_project("restem")

    kedro_run.main([*shlex.split(line)[2:]], standalone_mode=False)

    again = (
        CliRunner().invoke(restem, ["status", "--env", "tiny", "--experiment", "steps", "--params=em.seed=3"]).output
    )
    assert "experiment steps: prepared" in again
    assert [folder.name for folder in (project.folder / "data/03_primary").iterdir()] == ["steps"]


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^```(?:bash|sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_a_page_shows_is_one_that_its_program_takes(page: Path) -> None:
    shown = [line for block in FENCED.findall(page.read_text(encoding="utf-8")) for line in block.splitlines()]
    commands = [line.partition(" # ")[0] for line in shown if re.match(r"(kedro run|restem \w)", line)]
    for command in commands:
        if "FILE" not in command:  # which must be there
            parsed(command)


def test_no_page_shows_an_option_that_kedro_warns_of() -> None:
    pages = [*PAGES, ROOT / "Makefile", ROOT / "CHANGELOG.md"]
    assert [page.name for page in pages if re.search(r"--pipeline[= ]", page.read_text(encoding="utf-8"))] == []
