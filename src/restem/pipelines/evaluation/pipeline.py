"""Measure a policy on questions that it did not learn from."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.evaluation.nodes import (
    collect_greedy_answers,
    draw_evaluation_samples,
    evaluate_policy,
    score_evaluation_samples,
    select_validation_set,
    summarise_evaluation,
)


def create_pipeline() -> Pipeline:
    """Draw, judge and count the answers of one policy."""
    return Pipeline(
        [
            Node(
                draw_evaluation_samples,
                [
                    "questions",
                    "prompts",
                    "evaluated_policy",
                    "journal",
                    "parameters",
                ],
                "evaluation_samples",
                name="draw_evaluation_samples",
            ),
            Node(
                score_evaluation_samples,
                ["evaluation_samples", "questions", "journal", "params:scoring", "params:scale"],
                "scored_evaluation_samples",
                name="score_evaluation_samples",
            ),
            Node(
                evaluate_policy,
                ["scored_evaluation_samples", "questions", "params:sampling", "params:evaluation"],
                "evaluation",
                name="evaluate_policy",
            ),
            Node(
                collect_greedy_answers,
                ["scored_evaluation_samples"],
                "greedy_answers",
                name="collect_greedy_answers",
            ),
            Node(
                summarise_evaluation,
                ["evaluation", "params:em", "params:evaluation"],
                "metrics",
                name="summarise_evaluation",
            ),
            Node(
                select_validation_set,
                ["scored_evaluation_samples", "prompts", "params:em", "params:filtering"],
                "validation_set",
                name="select_validation_set",
            ),
        ],
        tags="evaluation",
    )
