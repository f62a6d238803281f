"""Compare the policies of an experiment, question by question."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.comparison.nodes import (
    break_down_results,
    choose_best_policy,
    compare_policies,
    name_changed_questions,
    tabulate_cost,
)


def create_pipeline(last: int) -> Pipeline:
    """Compare policy_1 .. policy_last with the base policy and with the one before.

    Args:
        last: The last iteration.
    """
    evaluations = {f"evaluation_{i}": f"evaluation_{i}" for i in range(last + 1)}
    records = {f"record_{i}": f"record_{i}" for i in range(last + 1)}
    chosen_from = records | {f"policy_{i}": f"policy_{i}" for i in range(last + 1)}
    return Pipeline(
        [
            Node(compare_policies, {"em": "params:em", **evaluations}, "comparisons", name="compare_policies"),
            Node(choose_best_policy, chosen_from, ["best_policy", "sentinels"], name="choose_best_policy"),
            Node(
                name_changed_questions,
                {"questions": "questions", **{f"greedy_answers_{i}": f"greedy_answers_{i}" for i in range(last + 1)}},
                "changed_questions",
                name="name_changed_questions",
            ),
            Node(
                tabulate_cost,
                {"em": "params:em", "node_seconds": "node_seconds", **evaluations, **records},
                "cost",
                name="tabulate_cost",
            ),
            Node(
                break_down_results,
                {"em": "params:em", "parameters": "params:evaluation", **evaluations},
                ["breakdown", "pass_at_k"],
                name="break_down_results",
            ),
        ],
        tags="compare",
    )
