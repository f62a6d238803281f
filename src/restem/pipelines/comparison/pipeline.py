"""Compare the policies of an experiment, question by question."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.comparison.nodes import choose_best_policy, compare_policies


def create_pipeline(last: int) -> Pipeline:
    """Compare policy_1 .. policy_last with the base policy and with the one before, and choose one.

    Args:
        last: The last iteration.
    """
    evaluations = {f"evaluation_{i}": f"evaluation_{i}" for i in range(last + 1)}
    chosen_from = {f"{name}_{i}": f"{name}_{i}" for name in ("record", "policy") for i in range(last + 1)}
    return Pipeline(
        [
            Node(compare_policies, {"em": "params:em", **evaluations}, "comparisons", name="compare_policies"),
            Node(choose_best_policy, chosen_from, ["best_policy", "sentinels"], name="choose_best_policy"),
        ],
        namespace="comparison",
        prefix_datasets_with_namespace=False,  # they are known by their names
        tags="compare",
    )
