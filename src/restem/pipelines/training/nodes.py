"""Nodes of training."""

from typing import Any

from restem.configuration.check import check_parameters
from restem.parameters import PromptParameters, TrainingParameters
from restem.policies.policy import Policy
from restem.policies.retention import Retention
from restem.sampling.draws import engine_choice
from restem.sampling.styles import adds_special_tokens
from restem.store.journal import Journal
from restem.store.records import Record
from restem.store.tables import ShardedTable, Table
from restem.training import gate, m_step, validation


def check_training_set(  # noqa: PLR0913 - a node names all that it reads
    training_set: ShardedTable,
    questions: Table,
    prompts: Table,
    base_policy: Policy,
    prompt: PromptParameters,
    training: TrainingParameters,
) -> Table:
    """Return what was found in the training set; training refuses one in which a check failed."""
    return gate.check_training_set(
        training_set.to_pandas(),
        questions,
        prompts,
        base_policy,
        parameters=training,
        add_special_tokens=adds_special_tokens(prompt),
    )


def train_policy(  # noqa: PLR0913 - a node names all that it reads
    training_set: ShardedTable,
    training_gate: Table,
    base_policy: Policy,
    sampling_policy: Policy,
    questions: Table,
    prompts: Table,
    record_before: Record,
    journal: Journal,
    parameters: dict[str, Any],
) -> tuple[Policy, Table]:
    """Return the base policy fine-tuned on this iteration's training set, and the log of the training."""
    groups = check_parameters(parameters)
    step = m_step.MStep(
        base_policy=base_policy,
        parent=sampling_policy,
        training=groups.training,
        validation=validation.make_validation(
            questions,
            prompts,
            record_before.table("validation_set"),
            every=groups.training.eval_every,
            choice=engine_choice(groups.sampling, groups.prompt),
            sampling=groups.sampling,
            scoring=groups.scoring,
        ),
        add_special_tokens=adds_special_tokens(groups.prompt),
        scale=groups.scale,
    )
    retention = Retention(groups.experiment, groups.em.keep_policies)
    return m_step.train_policy(training_set, training_gate, step, journal=journal, retention=retention)
