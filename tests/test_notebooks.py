from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, Project


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs_on_a_finished_experiment(
    finished: Project, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEDRO_ENV", "tiny")
    cells = nbformat.read(notebook, as_version=4)

    NotebookClient(cells, timeout=120, resources={"metadata": {"path": str(finished.folder)}}).execute()

    outputs = [output for cell in cells.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert "policy_2 against policy_0:" in printed
    for i in (1, 2):
        assert f"iteration {i} learned sample" in printed
