"""Nodes of preparation."""

from typing import Any

from restem import questions
from restem.configuration.check import check_parameters
from restem.filtering import solutions
from restem.parameters import (
    LimitsParameters,
    PolicyParameters,
    PromptParameters,
    QuestionsParameters,
    ScoringParameters,
    TrainingParameters,
)
from restem.policies import base_models
from restem.policies.policy import Policy
from restem.questions import contamination
from restem.sampling import prompts, room
from restem.scoring import quarantine
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table
from restem.training import validation


def load_questions(parameters: QuestionsParameters, limits: LimitsParameters) -> Table:
    """Return the questions of the configured source and transfer suites, in splits."""
    return questions.load_questions(parameters, limit=limits.questions)


def separate_near_duplicates(candidate_questions: Table, parameters: QuestionsParameters) -> tuple[Table, Table]:
    """Return the questions without training questions that are evaluated too, and the list of those."""
    return contamination.separate_near_duplicates(candidate_questions, parameters)


def quarantine_questions(separated_questions: Table, parameters: ScoringParameters) -> tuple[Table, Table]:
    """Return the questions whose gold earns 1 and a corrupted gold 0, and those that fail, with the reason."""
    return quarantine.quarantine_questions(separated_questions, parameters=parameters)


def quarantine_unasked_questions(
    judgeable_questions: Table, unjudgeable_questions: Table, prompts: Table
) -> tuple[Table, Table]:
    """Return the questions that the policy can read, and all that were set aside, with the reason."""
    return quarantine.quarantine_unasked(judgeable_questions, unjudgeable_questions, prompts)


def prepare_base_policy(base_models_store: Journal, parameters: PolicyParameters) -> Policy:
    """Return the base policy, fetched and converted if that was not done before."""
    return base_models.prepare_base_model(parameters.model, store=base_models_store)


def prepare_teacher(
    base_models_store: Journal, policy_0: Policy, parameters: PolicyParameters, prompt: PromptParameters
) -> Policy:
    """Return the policy that samples in place of the current one; the base policy itself if there is no teacher."""
    teacher = base_models.prepare_teacher(parameters.teacher, policy_0, store=base_models_store)
    prompts.check_teacher(teacher, policy_0, prompt)
    return teacher


def collect_human_solutions(questions: Table, prompts: Table, journal: Journal) -> ShardedTable:
    """Return people's solutions of the training questions as training rows, to learn from where a method does."""
    return solutions.human_solutions(questions, prompts, journal=journal)


def render_prompts(judgeable_questions: Table, policy_0: Policy, parameters: dict[str, Any]) -> Table:
    """Return the exact prompt of every question that the policy can read."""
    groups = check_parameters(parameters)
    room.refuse_what_does_not_fit(policy_0, groups)
    return prompts.render_prompts(judgeable_questions, policy_0, groups.prompt)


def summarise_questions(
    questions: Table, quarantined_questions: Table, near_duplicates: Table, prompts: Table, training: TrainingParameters
) -> dict[str, Any]:
    """Return how many questions each split and level has, what was quarantined, and what was in two splits."""
    validation.refuse_without_questions(questions, every=training.eval_every)
    return quarantine.summarise_questions(questions, quarantined_questions, near_duplicates, prompts)
