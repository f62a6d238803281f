"""A Kedro run on Ray leaves the tables and the policy that a run without it leaves."""

from typing import Any

import pytest

from tests.conftest import Project
from tests.pipelines.test_experiment import bytes_of_tables


@pytest.mark.slow
def test_an_iteration_on_two_nodes_leaves_the_same_bytes(cluster: Any, project: Project, finished: Project) -> None:
    on_ray = {"scale__backend": "ray", "scale__address": cluster.address, "training__launcher": "ray"}

    for pipeline in ("prepare", "baseline", "iteration_1"):
        project.run(pipeline, **on_ray)

    alone, together = bytes_of_tables(finished), bytes_of_tables(project)
    made = {"training_set", "scored_evaluation_samples", "evaluation.parquet"}
    assert made <= {part for name in together for part in name.split("/")}
    assert any(name.startswith("08_reporting") for name in together)
    assert together == {name: alone[name] for name in together}
    policies = [each.catalog().load("policy_1").fingerprint for each in (finished, project)]
    assert policies[0] == policies[1]
