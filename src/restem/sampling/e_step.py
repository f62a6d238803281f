"""The samples of an E-step: drawn from a policy, or read from files."""

from restem.engines import file
from restem.parameters import Parameters
from restem.policies.policy import Policy
from restem.sampling.draws import engine_choice
from restem.sampling.existing import existing_samples
from restem.sampling.sampler import Draw, draw_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table


def training_samples(
    draw: Draw, questions: Table, policy: Policy, *, parameters: Parameters, journal: Journal
) -> ShardedTable:
    """Return the `samples` of a draw, as `sampling.engine` has them.

    Args:
        draw: What is asked of the policy.
        questions: The experiment's.
        policy: Who answers, where samples are drawn.
        parameters: All of them.
        journal: Where finished shards are kept.
    """
    sampling = parameters.sampling
    if sampling.engine == file.NAME:
        return existing_samples(
            draw, questions, sampling.engine_options, per_shard=sampling.questions_per_shard, journal=journal
        )
    choice, seed = engine_choice(sampling, parameters.prompt), parameters.em.seed
    return draw_samples([draw], policy, choice=choice, journal=journal, experiment_seed=seed, scale=parameters.scale)
