"""Nodes of recording."""

from typing import Any

from restem import history, records
from restem.parameters import EmParameters
from restem.policy import Policy
from restem.tables import ShardedTable, Table


def record_baseline(
    evaluated_policy: Policy, questions_summary: dict[str, Any], metrics: dict[str, Any], parameters: dict[str, Any]
) -> dict[str, Any]:
    """Return the record of the base policy, which no iteration made."""
    return records.make_record(evaluated_policy, questions_summary, metrics, parameters)


def choose_examples(
    evaluated_policy: Policy,
    scored_samples: ShardedTable,
    training_set: ShardedTable,
    questions: Table,
    em: EmParameters,
) -> Table:
    """Return a few samples to read, kept and not."""
    i = evaluated_policy.iteration
    return history.choose_examples(scored_samples, training_set, questions, iteration=i, seed=em.seed)


def record_iteration(  # noqa: PLR0913 - a node names all that it reads
    evaluated_policy: Policy,
    questions_summary: dict[str, Any],
    metrics: dict[str, Any],
    scoring_summary: dict[str, Any],
    audit_summary: dict[str, Any],
    filtering_summary: dict[str, Any],
    training_set: ShardedTable,
    training_gate: Table,
    training_log: Table,
    parameters: dict[str, Any],
) -> dict[str, Any]:
    """Return the record of this iteration: where its policy came from, and how it did."""
    made = {
        "scoring": scoring_summary,
        "audit": audit_summary,
        "filtering": filtering_summary,
        "training": records.summarise_training(training_set, training_gate, training_log),
    }
    return records.make_record(evaluated_policy, questions_summary, metrics, parameters) | made
