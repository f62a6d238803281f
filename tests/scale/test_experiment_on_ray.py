"""An iteration on Ray leaves the tables and the policy of one without it."""

import shutil
from typing import Any

import pytest

from tests.builders import bytes_of_tables
from tests.conftest import Project


@pytest.mark.long
def test_an_iteration_on_two_nodes_leaves_the_same_bytes(cluster: Any, copied: Project, finished: Project) -> None:
    journal = copied.folder / "data/02_intermediate/journal"
    shutil.rmtree(journal)  # so that all is done anew: drawn, judged, trained, drawn and judged
    before = copied.catalog().load("policy_1").folder

    copied.run("iteration_1", scale__backend="ray", scale__address=cluster.address, training__launcher="ray")

    assert {name.name.partition("-")[0] for name in journal.glob("[!.]*-*")} >= {"samples", "scores", "policy"}
    policies = [each.catalog().load("policy_1") for each in (finished, copied)]
    assert policies[1].folder != before
    assert policies[0].fingerprint == policies[1].fingerprint
    assert bytes_of_tables(copied.folder / "data") == bytes_of_tables(finished.folder / "data")
