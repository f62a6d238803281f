"""One page about the experiment."""

from kedro.pipeline import Node, Pipeline

from restem.pipelines.reporting.nodes import draw_figures, write_report
from restem.reporting.assemble import FIGURES, SVGS
from restem.reporting.table_sections import Tables


def create_pipeline(last: int) -> Pipeline:
    """Draw the figures and write the page about policy_0 .. policy_last.

    Args:
        last: The last iteration.
    """
    records = [f"record_{i}" for i in range(last + 1)]
    logs = [f"training_log_{i}" for i in range(1, last + 1)]
    evaluations = [f"evaluation_{i}" for i in range(last + 1)]
    examples = [f"examples_{i}" for i in range(1, last + 1)]
    return Pipeline(
        [
            Node(
                draw_figures,
                _by_name([*records, *logs, "breakdown", "pass_at_k"]),
                FIGURES + SVGS,
                name="draw_figures",
            ),
            Node(
                write_report,
                {"experiment": "params:experiment", "em": "params:em"}
                | _by_name(records + logs + evaluations + examples + SVGS + list(Tables._fields)),
                ["results", "report_html", "report_markdown"],
                name="write_report",
            ),
        ],
        tags="report",
    )


def _by_name(names: list[str]) -> dict[str, str]:
    return {name: name for name in names}
