"""Nodes of scoring."""

from typing import Any

from restem.configuration.check import check_parameters
from restem.parameters import EmParameters, ScoringParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.sampling import draws
from restem.scoring import audit, follow_up, verdicts
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table


def score_samples(
    samples: ShardedTable, questions: Table, journal: Journal, parameters: ScoringParameters, scale: ScaleParameters
) -> ShardedTable:
    """Return every sample with its verdict."""
    return verdicts.score_samples(
        samples, questions, parameters=parameters, journal=journal, scale=scale, live_as="scoring"
    )


def draw_follow_up_samples(  # noqa: PLR0913 - a node names all that it reads
    scored_samples: ShardedTable,
    questions: Table,
    prompts: Table,
    sampling_policy: Policy,
    teacher: Policy,
    journal: Journal,
    parameters: dict[str, Any],
) -> ShardedTable:
    """Return further samples, scored, of the questions that have too few correct ones; none unless asked for."""
    groups = check_parameters(parameters)
    rounds = follow_up.Rounds(
        questions=questions,
        sampling=groups.sampling,
        prompt=groups.prompt,
        scoring=groups.scoring,
        iteration=sampling_policy.iteration + 1,
        seed=groups.em.seed,
        journal=journal,
        scale=groups.scale,
    )
    policy = draws.who_samples(sampling_policy, teacher).unchanged()
    return follow_up.follow_up_samples(scored_samples, prompts, policy, rounds)


def summarise_scoring(scored_samples: ShardedTable, parameters: ScoringParameters) -> dict[str, Any]:
    """Return the acceptance rate and the number of verdicts by reason, and warn of reasons that are too many."""
    return verdicts.summarise_scoring(scored_samples, warn_above=parameters.warn_above)


def audit_rewards(
    scored_samples: ShardedTable, questions: Table, em: EmParameters, parameters: ScoringParameters
) -> Table:
    """Return what checks of the rewards found: known cases, golds, and second verifiers of accepted samples."""
    return audit.audit_rewards(scored_samples, questions, parameters=parameters, seed=em.seed)


def summarise_audit(reward_audit: Table) -> dict[str, Any]:
    """Return how many checks disagreed, and the false-positive rate that this suggests."""
    return audit.summarise_audit(reward_audit)
