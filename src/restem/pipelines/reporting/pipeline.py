"""One page about the experiment."""

from collections.abc import Iterable

from kedro.pipeline import Node, Pipeline

from restem.pipelines.reporting.nodes import (
    break_down_results,
    draw_figures,
    name_changed_questions,
    tabulate_cost,
    write_report,
)
from restem.reporting.table_sections import Tables


def create_pipeline(last: int) -> Pipeline:
    """Make the tables and the figures of the page about policy_0 .. policy_last, and write it.

    Args:
        last: The last iteration.
    """
    records = _by_name(f"record_{i}" for i in range(last + 1))
    evaluations = _by_name(f"evaluation_{i}" for i in range(last + 1))
    return Pipeline(
        [
            Node(
                name_changed_questions,
                {"questions": "questions", **records},
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
            Node(draw_figures, records | _by_name(["breakdown", "pass_at_k"]), "figures", name="draw_figures"),
            Node(
                write_report,
                {"experiment": "params:experiment", "em": "params:em", "figures": "figures", "marks": "marks"}
                | records
                | evaluations
                | _by_name(Tables._fields),
                ["results", "report_html", "report_markdown"],
                name="write_report",
            ),
        ],
        namespace="report",
        prefix_datasets_with_namespace=False,  # they are known by their names
        tags="report",
    )


def _by_name(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}
