"""Nodes of sampling."""

from typing import Any

from restem.evaluation import sentinels
from restem.parameters import EmParameters, PromptParameters, SamplingParameters
from restem.parameters.scale import ScaleParameters
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
    em: EmParameters,
    prompt: PromptParameters,
    sampling: SamplingParameters,
    scale: ScaleParameters,
) -> ShardedTable:
    """Return `sampling.n` completions of the current policy, or its teacher, for every training question."""
    sentinels.refuse_if_stopped(record_before, em)
    draw = draws.training_draw(questions, prompts, sampling, iteration=sampling_policy.iteration + 1)
    choice = draws.engine_choice(sampling, prompt)
    policy = draws.who_samples(sampling_policy, teacher).unchanged()
    return sampler.draw_samples([draw], policy, choice=choice, journal=journal, experiment_seed=em.seed, scale=scale)
