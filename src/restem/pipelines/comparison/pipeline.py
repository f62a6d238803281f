"""Compare the policies of an experiment, question by question."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.comparison.nodes import break_down_results, compare_policies


def create_pipeline(last: int) -> Pipeline:
    """Compare policy_1 .. policy_last with the base policy and with the one before.

    Args:
        last: The last iteration.
    """
    evaluations = {f"evaluation_{i}": f"evaluation_{i}" for i in range(last + 1)}
    return Pipeline(
        [
            Node(compare_policies, {"em": "params:em", **evaluations}, "comparisons", name="compare_policies"),
            Node(
                break_down_results,
                {"em": "params:em", "parameters": "params:evaluation", **evaluations},
                ["breakdown", "pass_at_k"],
                name="break_down_results",
            ),
        ]
    )
