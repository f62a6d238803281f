"""Nodes of recording."""

from typing import Any

from restem.configuration import consistency
from restem.configuration.check import check_parameters
from restem.evaluation.sentinels import Watched, watch
from restem.parameters import EmParameters, EvaluationParameters, PromptParameters
from restem.planning import cost
from restem.policies.policy import Policy
from restem.reporting import assemble, records
from restem.sampling.styles import adds_special_tokens
from restem.store.records import Record
from restem.store.tables import ShardedTable, Table


def record_baseline(
    evaluated_policy: Policy,
    questions_summary: dict[str, Any],
    metrics: dict[str, Any],
    cost_summary: dict[str, float],
    parameters: dict[str, Any],
    **tables: ShardedTable | Table,
) -> Record:
    """Return the record of the base policy, which no iteration made, with the tables that later steps read."""
    asked = check_parameters(parameters)
    decided_by = consistency.deciding_here(asked)
    record = records.make_record(evaluated_policy, questions_summary, metrics, asked, decided_by=decided_by)
    return Record(record | {"cost": cost_summary}, tables)


def count_baseline_cost(
    evaluated_policy: Policy, prompts: Table, scored_evaluation_samples: ShardedTable, prompt: PromptParameters
) -> dict[str, float]:
    """Return the tokens and operations that measuring the base policy took."""
    mean = cost.count_prompt_tokens(
        prompts["prompt"].to_list(), evaluated_policy, add_special_tokens=adds_special_tokens(prompt)
    )
    evaluated = cost.Drawn.of(scored_evaluation_samples)
    size = cost.model_size(evaluated_policy.folder)
    return cost.count_cost(size, mean, sampled=cost.Drawn.of(), evaluated=evaluated, training_log=None)


def count_cost(  # noqa: PLR0913 - a node names all that it reads
    evaluated_policy: Policy,
    prompts: Table,
    scored_samples: ShardedTable,
    follow_up_samples: ShardedTable,
    scored_evaluation_samples: ShardedTable,
    training_log: Table,
    prompt: PromptParameters,
) -> dict[str, float]:
    """Return the tokens and operations that the iteration took."""
    mean = cost.count_prompt_tokens(
        prompts["prompt"].to_list(), evaluated_policy, add_special_tokens=adds_special_tokens(prompt)
    )
    sampled, evaluated = cost.Drawn.of(scored_samples, follow_up_samples), cost.Drawn.of(scored_evaluation_samples)
    size = cost.model_size(evaluated_policy.folder)
    return cost.count_cost(size, mean, sampled=sampled, evaluated=evaluated, training_log=training_log)


def choose_examples(
    evaluated_policy: Policy,
    scored_samples: ShardedTable,
    training_set: ShardedTable,
    questions: Table,
    em: EmParameters,
) -> Table:
    """Return a few samples to read, kept and not."""
    i = evaluated_policy.iteration
    return assemble.choose_examples(scored_samples, training_set, questions, iteration=i, seed=em.seed)


def watch_iteration(  # noqa: PLR0913 - a node names all that it reads
    evaluated_policy: Policy,
    evaluation: Table,
    evaluation_before: Table,
    base_evaluation: Table,
    audit_summary: dict[str, Any],
    record_before: dict[str, Any],
    em: EmParameters,
    parameters: EvaluationParameters,
) -> Table:
    """Return what went wrong in this iteration, if anything: a sign per sentinel, with its evidence."""
    audit_before = record_before.get("audit", {})
    watched = Watched(
        evaluation, evaluation_before, base_evaluation, audit_summary, audit_before, parameters.k, em.seed
    )
    return watch(watched, iteration=evaluated_policy.iteration)


def summarise_training(training_set: ShardedTable, training_gate: Table, training_log: Table) -> dict[str, Any]:
    """Return the size and the end of the training, and what was checked before it."""
    return records.summarise_training(training_set, training_gate, training_log)


def record_iteration(  # noqa: PLR0913 - a node names all that it reads
    evaluated_policy: Policy,
    questions_summary: dict[str, Any],
    metrics: dict[str, Any],
    scoring_summary: dict[str, Any],
    audit_summary: dict[str, Any],
    filtering_summary: dict[str, Any],
    training_summary: dict[str, Any],
    sentinels: Table,
    cost_summary: dict[str, float],
    parameters: dict[str, Any],
    **tables: ShardedTable | Table,
) -> Record:
    """Return the record of this iteration: where its policy came from, how it did, and what later steps read."""
    made = {
        "scoring": scoring_summary,
        "audit": audit_summary,
        "filtering": filtering_summary,
        "training": training_summary,
        "sentinels": sentinels[["sentinel", "sign", "evidence"]].to_dict("records"),
        "cost": cost_summary,
    }
    asked = check_parameters(parameters)
    decided_by = consistency.deciding_here(asked)
    record = records.make_record(evaluated_policy, questions_summary, metrics, asked, decided_by=decided_by)
    return Record(record | made, tables)
