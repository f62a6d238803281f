"""Write down what an iteration was; the last node of each."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.recording.nodes import (
    choose_examples,
    count_baseline_cost,
    count_cost,
    record_baseline,
    record_iteration,
    summarise_training,
    watch_iteration,
)


def create_pipeline() -> Pipeline:
    """Record an iteration, after a look at what it kept."""
    return Pipeline(
        [
            Node(
                choose_examples,
                ["evaluated_policy", "scored_samples", "training_set", "questions", "params:em"],
                "examples",
                name="choose_examples",
            ),
            Node(
                watch_iteration,
                [
                    "evaluated_policy",
                    "evaluation",
                    "evaluation_before",
                    "base_evaluation",
                    "audit_summary",
                    "record_before",
                    "params:em",
                    "params:evaluation",
                ],
                "sentinels",
                name="watch_iteration",
            ),
            Node(
                count_cost,
                [
                    "evaluated_policy",
                    "prompts",
                    "scored_samples",
                    "follow_up_samples",
                    "scored_evaluation_samples",
                    "training_log",
                    "params:prompt",
                ],
                "cost_summary",
                name="count_cost",
            ),
            Node(
                summarise_training,
                ["training_set", "training_gate", "training_log"],
                "training_summary",
                name="summarise_training",
            ),
            Node(
                record_iteration,
                _by_name(
                    "evaluated_policy",
                    "questions_summary",
                    "metrics",
                    "scoring_summary",
                    "audit_summary",
                    "filtering_summary",
                    "training_summary",
                    "sentinels",
                    "cost_summary",
                    "parameters",
                    "kept",
                    "validation_set",
                    "greedy_answers",
                    "training_log",
                    "examples",
                ),
                "record",
                name="record_iteration",
            ),
        ],
        tags="recording",
    )


def create_baseline_pipeline() -> Pipeline:
    """Record the base policy."""
    return Pipeline(
        [
            Node(
                count_baseline_cost,
                ["evaluated_policy", "prompts", "scored_evaluation_samples", "params:prompt"],
                "cost_summary",
                name="count_cost",
            ),
            Node(
                record_baseline,
                _by_name(
                    "evaluated_policy",
                    "questions_summary",
                    "metrics",
                    "cost_summary",
                    "parameters",
                    "kept",
                    "validation_set",
                    "greedy_answers",
                ),
                "record",
                name="record_baseline",
            ),
        ],
        tags="recording",
    )


def _by_name(*names: str) -> dict[str, str]:
    return {name: name for name in names}
