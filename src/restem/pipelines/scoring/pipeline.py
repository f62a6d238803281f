"""E-step: a verdict for every sample."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.scoring.nodes import (
    audit_rewards,
    draw_follow_up_samples,
    score_samples,
    summarise_audit,
    summarise_scoring,
)


def create_pipeline() -> Pipeline:
    """Judge the samples, count the verdicts, and look at the rewards themselves."""
    return Pipeline(
        [
            Node(
                score_samples,
                ["samples", "questions", "journal", "params:scoring", "params:scale"],
                "scored_samples",
                name="score_samples",
            ),
            Node(
                draw_follow_up_samples,
                [
                    "scored_samples",
                    "questions",
                    "prompts",
                    "sampling_policy",
                    "teacher",
                    "journal",
                    "parameters",
                ],
                "follow_up_samples",
                name="draw_follow_up_samples",
            ),
            Node(
                summarise_scoring,
                ["scored_samples", "params:scoring"],
                "scoring_summary",
                name="summarise_scoring",
            ),
            Node(
                audit_rewards,
                ["scored_samples", "questions", "params:em", "params:scoring"],
                "reward_audit",
                name="audit_rewards",
            ),
            Node(summarise_audit, ["reward_audit"], "audit_summary", name="summarise_audit"),
        ],
        tags="scoring",
    )
