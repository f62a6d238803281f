"""Nodes of sampling."""

from typing import Any

from restem.configuration.check import check_parameters
from restem.evaluation import sentinels
from restem.policies.policy import Policy
from restem.sampling import draws, e_step
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table


def draw_samples(  # noqa: PLR0913 - a node names all that it reads
    questions: Table,
    prompts: Table,
    sampling_policy: Policy,
    teacher: Policy,
    record_before: dict[str, Any],
    journal: Journal,
    parameters: dict[str, Any],
) -> ShardedTable:
    """Return `sampling.n` completions of the current policy, or its teacher, or files, for the training questions."""
    groups = check_parameters(parameters)
    em, sampling = groups.em, groups.sampling
    sentinels.refuse_if_stopped(record_before, em)
    draw = draws.training_draw(questions, prompts, sampling, iteration=sampling_policy.iteration + 1)
    policy = draws.who_samples(sampling_policy, teacher).unchanged()
    return e_step.training_samples(draw, questions, policy, parameters=groups, journal=journal)
