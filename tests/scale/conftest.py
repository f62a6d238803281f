"""One real Ray cluster of several nodes on this machine, for all tests that need one."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
STORE_BYTES = 80_000_000


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head that does no work, and two nodes with one CPU each; tests that remove nodes put others in their place."""
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES})
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    yield made
    ray.shutdown()
    made.shutdown()
