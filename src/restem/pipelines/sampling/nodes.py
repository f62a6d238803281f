"""Nodes of sampling."""

from typing import Any

from restem.configuration.check import check_parameters
from restem.evaluation import sentinels
from restem.policies.policy import Policy
from restem.sampling import draws, sampler
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
    """Return `sampling.n` completions of the current policy, or its teacher, for every training question."""
    groups = check_parameters(parameters)
    em, sampling = groups.em, groups.sampling
    sentinels.refuse_if_stopped(record_before, em)
    draw = draws.training_draw(questions, prompts, sampling, iteration=sampling_policy.iteration + 1)
    choice = draws.engine_choice(sampling, groups.prompt)
    policy = draws.who_samples(sampling_policy, teacher).unchanged()
    return sampler.draw_samples(
        [draw], policy, choice=choice, journal=journal, experiment_seed=em.seed, scale=groups.scale
    )
