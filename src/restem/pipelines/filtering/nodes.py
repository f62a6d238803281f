"""Nodes of filtering."""

from typing import Any

from restem.filtering import selection, solutions
from restem.parameters import EmParameters, FilteringParameters
from restem.policies.policy import Policy
from restem.store.journal import Journal
from restem.store.records import Record
from restem.store.tables import ShardedTable, Table


def select_training_set(  # noqa: PLR0913 - a node names all that it reads
    scored_samples: ShardedTable,
    follow_up_samples: ShardedTable,
    record_before: Record,
    prompts: Table,
    sampling_policy: Policy,
    journal: Journal,
    em: EmParameters,
    parameters: FilteringParameters,
) -> ShardedTable:
    """Return what to learn from: samples that are correct, distinct, and not too many of one question."""
    return selection.select_training_set(
        selection.Sources(scored_samples, follow_up_samples, record_before.sharded("kept")),
        prompts,
        parameters=selection.at_iteration(parameters, sampling_policy.iteration + 1),
        seed=em.seed,
        journal=journal,
    )


def accumulate_kept(record_before: Record, training_set: ShardedTable, journal: Journal) -> ShardedTable:
    """Return what iterations up to this one kept, and people's solutions, for methods that learn from them again."""
    return solutions.accumulate(record_before.sharded("kept"), training_set, journal=journal)


def summarise_filtering(
    scored_samples: ShardedTable,
    follow_up_samples: ShardedTable,
    training_set: ShardedTable,
    sampling_policy: Policy,
    parameters: FilteringParameters,
) -> dict[str, Any]:
    """Return how many samples were kept, and why the others were not."""
    return selection.summarise_filtering(
        scored_samples,
        training_set,
        parameters=parameters,
        follow_up=follow_up_samples,
        iteration=sampling_policy.iteration + 1,
    )
