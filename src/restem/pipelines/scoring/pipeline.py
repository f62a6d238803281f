"""E-step: a verdict for every sample."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.scoring.nodes import draw_follow_up_samples, score_samples, summarise_scoring


def create_pipeline() -> Pipeline:
    """Judge the samples, and count the verdicts."""
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
                    "params:em",
                    "params:prompt",
                    "params:sampling",
                    "params:scoring",
                    "params:scale",
                ],
                "follow_up_samples",
                name="draw_follow_up_samples",
            ),
            Node(summarise_scoring, ["scored_samples"], "scoring_summary", name="summarise_scoring"),
        ]
    )
