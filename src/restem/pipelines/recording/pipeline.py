"""Write down what an iteration was; the last node of each."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.recording.nodes import choose_examples, record_baseline, record_iteration


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
                record_iteration,
                [
                    "evaluated_policy",
                    "questions_summary",
                    "metrics",
                    "scoring_summary",
                    "audit_summary",
                    "filtering_summary",
                    "training_set",
                    "training_gate",
                    "training_log",
                    "parameters",
                ],
                "record",
                name="record_iteration",
            ),
        ]
    )


def create_baseline_pipeline() -> Pipeline:
    """Record the base policy."""
    return Pipeline(
        [
            Node(
                record_baseline,
                ["evaluated_policy", "questions_summary", "metrics", "parameters"],
                "record",
                name="record_baseline",
            ),
        ]
    )
