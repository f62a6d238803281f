"""E-step: choose what to train on."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.filtering.nodes import accumulate_kept, select_training_set, summarise_filtering


def create_pipeline() -> Pipeline:
    """Choose what to train on, and count what was thrown away."""
    return Pipeline(
        [
            Node(
                select_training_set,
                [
                    "scored_samples",
                    "follow_up_samples",
                    "record_before",
                    "prompts",
                    "sampling_policy",
                    "journal",
                    "params:em",
                    "params:filtering",
                ],
                "training_set",
                name="select_training_set",
            ),
            Node(accumulate_kept, ["record_before", "training_set", "journal"], "kept", name="accumulate_kept"),
            Node(
                summarise_filtering,
                ["scored_samples", "follow_up_samples", "training_set", "sampling_policy", "params:filtering"],
                "filtering_summary",
                name="summarise_filtering",
            ),
        ],
        tags="filtering",
    )
