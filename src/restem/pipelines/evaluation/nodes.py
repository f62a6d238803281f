"""Nodes of evaluation."""

from typing import Any

from restem.configuration.check import check_parameters
from restem.evaluation import metrics, solved_and_lost
from restem.parameters import (
    EmParameters,
    EvaluationParameters,
    FilteringParameters,
    SamplingParameters,
    ScoringParameters,
)
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.sampling import draws, sampler
from restem.scoring import verdicts
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table
from restem.training import validation


def draw_evaluation_samples(
    questions: Table, prompts: Table, evaluated_policy: Policy, journal: Journal, parameters: dict[str, Any]
) -> ShardedTable:
    """Return one greedy and `evaluation.n` sampled completions for every evaluation question."""
    groups = check_parameters(parameters)
    sampling, seed, iteration = groups.sampling, groups.em.seed, evaluated_policy.iteration
    drawn = draws.evaluation_draws(questions, prompts, sampling, groups.evaluation, iteration=iteration, seed=seed)
    policy, choice = evaluated_policy.unchanged(), draws.engine_choice(sampling, groups.prompt)
    return sampler.draw_samples(drawn, policy, choice=choice, journal=journal, experiment_seed=seed, scale=groups.scale)


def score_evaluation_samples(
    evaluation_samples: ShardedTable,
    questions: Table,
    journal: Journal,
    parameters: ScoringParameters,
    scale: ScaleParameters,
) -> ShardedTable:
    """Return every evaluation sample with its verdict, by the same rewards as in the E-step."""
    return verdicts.score_samples(
        evaluation_samples,
        questions,
        parameters=parameters,
        journal=journal,
        scale=scale,
        live_as="evaluation/scoring",
    )


def evaluate_policy(
    scored_evaluation_samples: ShardedTable,
    questions: Table,
    sampling: SamplingParameters,
    parameters: EvaluationParameters,
) -> Table:
    """Return how the policy did on every evaluation question."""
    decodings = draws.evaluation_decodings(questions, sampling, parameters)
    by_suite = {suite: str(decoding) for suite, decoding in decodings.items()}
    return metrics.evaluate_policy(scored_evaluation_samples, questions, decoding=by_suite)


def summarise_evaluation(evaluation: Table, em: EmParameters, parameters: EvaluationParameters) -> dict[str, Any]:
    """Return the metrics of every suite, each with its 95 % interval and n."""
    return metrics.summarise_evaluation(evaluation, k=parameters.k, seed=em.seed)


def collect_greedy_answers(scored_evaluation_samples: ShardedTable) -> Table:
    """Return the policy's greedy answer to every evaluation question."""
    return solved_and_lost.greedy_answers(scored_evaluation_samples)


def select_validation_set(
    scored_evaluation_samples: ShardedTable, prompts: Table, em: EmParameters, filtering: FilteringParameters
) -> Table:
    """Return the policy's correct solutions to validation questions: the next training logs its loss on them."""
    return validation.select_validation_set(scored_evaluation_samples, prompts, parameters=filtering, seed=em.seed)
