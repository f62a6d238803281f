"""M-step: fine-tune the base policy."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.training.nodes import check_training_set, train_policy


def create_pipeline() -> Pipeline:
    """Look at what this iteration kept, then train on it from the base policy."""
    return Pipeline(
        [
            Node(
                check_training_set,
                ["training_set", "questions", "prompts", "base_policy", "params:prompt", "params:training"],
                "training_gate",
                name="check_training_set",
            ),
            Node(
                train_policy,
                [
                    "training_set",
                    "training_gate",
                    "base_policy",
                    "sampling_policy",
                    "questions",
                    "prompts",
                    "record_before",
                    "journal",
                    "parameters",
                ],
                ["trained_policy", "training_log"],
                name="train_policy",
            ),
        ],
        tags="training",
    )
