"""Nodes of training."""

from restem import m_step, validation
from restem import training_gate as gate
from restem.draws import engine_choice
from restem.journal import Journal
from restem.parameters import EmParameters, PromptParameters, SamplingParameters, ScoringParameters, TrainingParameters
from restem.policy import Policy
from restem.prompts import adds_special_tokens
from restem.retention import Retention
from restem.scale.parameters import ScaleParameters
from restem.tables import ShardedTable, Table


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
    validation_set: Table,
    journal: Journal,
    prompt: PromptParameters,
    sampling: SamplingParameters,
    scoring: ScoringParameters,
    training: TrainingParameters,
    em: EmParameters,
    scale: ScaleParameters,
    experiment: str,
) -> tuple[Policy, Table]:
    """Return the base policy fine-tuned on this iteration's training set, and the log of the training."""
    return m_step.train_policy(
        training_set,
        training_gate,
        base_policy,
        parent=sampling_policy,
        journal=journal,
        training=training,
        validation=validation.plan_validation(
            questions,
            prompts,
            validation_set,
            every=training.eval_every,
            choice=engine_choice(sampling, prompt),
            sampling=sampling,
            scoring=scoring,
        ),
        add_special_tokens=adds_special_tokens(prompt),
        retention=Retention(experiment, em.keep_policies),
        scale=scale,
    )
