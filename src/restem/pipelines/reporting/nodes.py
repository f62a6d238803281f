"""Nodes of reporting."""

from typing import Any

from restem.parameters import EmParameters
from restem.reporting import assemble
from restem.store.tables import Table


def draw_figures(**datasets: Any) -> tuple[Any, ...]:
    """Return the figures of the experiment, and the same as SVG."""
    drawn = assemble.draw_figures(datasets)
    return *drawn, *assemble.as_svg(drawn)


def write_report(experiment: str, em: EmParameters, **datasets: Any) -> tuple[Table, str, str]:
    """Return the table of results, and the page about the experiment as HTML and as Markdown."""
    report = assemble.report(experiment, datasets, seed=em.seed)
    return report.table, report.html, report.markdown
