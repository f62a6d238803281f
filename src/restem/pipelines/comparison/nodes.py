"""Nodes of comparison."""

from typing import Any

from restem.evaluation import best_policy, comparisons
from restem.parameters import EmParameters
from restem.policies.policy import Policy
from restem.reporting import assemble
from restem.store.tables import Table


def compare_policies(em: EmParameters, **evaluations: Table) -> Table:
    """Return what changed for every policy and suite, against the base policy and against the one before."""
    return comparisons.compare_all(list(assemble.by_iteration(evaluations, "evaluation").values()), seed=em.seed)


def choose_best_policy(**datasets: Any) -> tuple[Policy, Table]:
    """Return the policy to keep, chosen by validation questions, and what every iteration's sentinels said."""
    records = assemble.by_iteration(datasets, "record")
    best = best_policy.recommend(records).iteration
    return assemble.by_iteration(datasets, "policy")[best], assemble.sentinels_of(records)
