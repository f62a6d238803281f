"""Nodes of reporting."""

from typing import Any

from restem.evaluation import breakdowns, solved_and_lost
from restem.parameters import EmParameters, EvaluationParameters
from restem.planning import cost
from restem.reporting import assemble
from restem.reporting.results import main_suite
from restem.spending import spending
from restem.store.records import Record
from restem.store.tables import Table


def name_changed_questions(questions: Table, **records: Record) -> Table:
    """Return the questions that each policy newly solves or loses, with what was answered before and after."""
    answers = assemble.tables_of(assemble.by_iteration(records, "record"), "greedy_answers")
    return solved_and_lost.changed_questions(answers, questions)


def tabulate_cost(em: EmParameters, node_seconds: dict[str, float], **datasets: Any) -> Table:
    """Return what every iteration cost, and what it gained for that."""
    records, evaluations = (assemble.by_iteration(datasets, name) for name in ("record", "evaluation"))
    suite = main_suite(records[0]["metrics"])
    return cost.cost_table(records, evaluations, node_seconds, suite=suite, seed=em.seed)


def break_down_results(em: EmParameters, parameters: EvaluationParameters, **evaluations: Table) -> tuple[Table, Table]:
    """Return the numbers by level, source and difficulty, and pass@k of every policy for every k."""
    by_iteration = assemble.by_iteration(evaluations, "evaluation")
    return (
        breakdowns.break_down(by_iteration, k=parameters.k, seed=em.seed),
        breakdowns.pass_at_k_curves(by_iteration, seed=em.seed),
    )


def draw_figures(breakdown: Table, pass_at_k: Table, **records: Record) -> dict[str, bytes]:
    """Return the figures of the experiment, each as PNG and as SVG, by file name."""
    return assemble.draw_figures(assemble.by_iteration(records, "record"), breakdown, pass_at_k)


def write_report(experiment: str, em: EmParameters, **datasets: Any) -> tuple[Table, str, str]:
    """Return the table of results, and the page about the experiment as HTML and as Markdown."""
    report = assemble.report(experiment, datasets, seed=em.seed, taken=spending.measures())
    return report.table, report.html, report.markdown
