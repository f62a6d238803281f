from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, Project


def executed(notebook: str, folder: Path) -> list[Any]:
    """Return what the cells of a notebook showed, run in a folder."""
    cells = nbformat.read(ROOT / "notebooks" / notebook, as_version=4)
    NotebookClient(cells, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    return [output for cell in cells.cells for output in cell.get("outputs", [])]


def printed(outputs: list[Any]) -> str:
    return "".join(output.get("text", "") for output in outputs)


def test_notebook_compares_the_iterations_of_a_finished_experiment(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDRO_ENV", "tiny")

    outputs = executed("01_compare_iterations.ipynb", finished.folder)

    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    text = printed(outputs)
    assert "policy_2 against policy_0:" in text
    for i in (1, 2):
        assert f"iteration {i} learned sample" in text


def test_notebook_for_a_rented_gpu_makes_an_iteration(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds in the journal what the finished experiment drew and trained, which is another one's to the pipeline."""
    monkeypatch.setenv("KEDRO_ENV", "tiny")

    outputs = executed("02_rented_gpu.ipynb", copied.folder)

    text = printed(outputs)
    assert "iteration 1 against " in text
    assert "accepted: " in text and "refused (" in text
    assert any("<h2>" in output.get("data", {}).get("text/html", "") for output in outputs)
    catalog = copied.catalog(experiment="rented")
    assert catalog.load("record_1")["iteration"] == 1
    assert catalog.load("best_policy").path in text


def test_notebooks_hold_no_outputs() -> None:
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(notebook, as_version=4).cells
        assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == [], notebook.name
