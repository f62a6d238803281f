"""A Kedro run on Ray leaves the tables that a run without it leaves."""

import shutil
from typing import Any

import pytest

from tests.conftest import Project
from tests.pipelines.test_experiment import bytes_of_tables


@pytest.mark.slow
def test_a_kedro_run_on_two_workers_leaves_the_same_bytes(
    cluster: Any, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project.run("prepare")
    twin = Project(tmp_path_factory.mktemp("twin"))
    shutil.copytree(project.folder / "data", twin.folder / "data")

    project.run("baseline")
    twin.run("baseline", scale__backend="ray", scale__address=cluster.address)

    alone, together = bytes_of_tables(project), bytes_of_tables(twin)
    made = {"evaluation_samples", "scored_evaluation_samples", "evaluation.parquet"}
    assert made <= {part for name in alone for part in name.split("/")}
    assert together == alone
