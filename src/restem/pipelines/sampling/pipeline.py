"""E-step: draw samples from the current policy."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.sampling.nodes import draw_samples


def create_pipeline() -> Pipeline:
    """Draw completions for every training question."""
    return Pipeline(
        [
            Node(
                draw_samples,
                [
                    "questions",
                    "prompts",
                    "sampling_policy",
                    "teacher",
                    "record_before",
                    "journal",
                    "parameters",
                ],
                "samples",
                name="draw_samples",
            ),
        ],
        tags="sampling",
    )
