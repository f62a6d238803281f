"""What CONTRIBUTING says of the source, held."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
LONGEST_FUNCTION, LONGEST_FILE = 40, 300


def too_long(source: str, file: str) -> Iterator[str]:
    """Yield the functions of a module that are too long; the tables that pipelines are may be."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            n_lines = (node.end_lineno or 0) - node.lineno + 1
            if n_lines > LONGEST_FUNCTION and not (node.name == "create_pipeline" and file == "pipeline.py"):
                yield f"{node.name}: {n_lines} lines"


@pytest.mark.parametrize("name", ["f", "create_pipeline"])
def test_a_function_of_more_than_40_lines_is_found(name: str) -> None:
    longest = f"def {name}():\n" + "    x = 1\n" * 39

    assert list(too_long(longest, "nodes.py")) == []
    assert list(too_long(longest + "    x = 2\n", "nodes.py")) == [f"{name}: 41 lines"]


def test_no_function_is_longer_than_40_lines_and_no_file_than_300() -> None:
    texts = {file: file.read_text(encoding="utf-8") for file in SOURCE.rglob("*.py")}

    assert len(texts) > 100
    assert {str(file): long for file, text in texts.items() if (long := list(too_long(text, file.name)))} == {}
    assert [str(file) for file, text in texts.items() if text.count("\n") > LONGEST_FILE] == []
