"""The main numbers of every iteration as a table, for pages and for terminals of any width."""

from collections.abc import Mapping, Sequence

from restem.errors import EvaluationError
from restem.evaluation.metrics import GAP, Measured
from restem.reporting import figures
from restem.reporting.figures import Metrics
from restem.reporting.sections import interval, words
from restem.schemas import OWN_SUITES
from restem.store.tables import Table

_LEAST_COLUMNS = 3  # iteration, n, and the first number


def results_table(metrics: Metrics) -> Table:
    """Return a row per iteration: the main numbers, each followed by the ends of its 95 % interval.

    Columns: iteration, n (questions), then NAME, NAME_low, NAME_high for pass_at_1, greedy_pass_at_1, the largest
    pass_at_k and majority vote on the main suite, train_pass_at_1 and train_test_gap; NaN where not measured.
    """
    import pandas as pd

    rows = []
    for i in sorted(metrics):
        numbers = metrics[i]
        suite = main_suite(numbers)
        largest = max(figures.pass_at_k_of(numbers, suite=suite), default=1)
        majority = [name for name in numbers if name.startswith(f"{suite}/maj_at_")]
        names = [f"{suite}/pass_at_1", f"{suite}/greedy_pass_at_1", f"{suite}/pass_at_{largest}", *majority]
        chosen = {name.removeprefix(f"{suite}/"): numbers[name] for name in names}
        chosen |= {name.replace("/", "_"): numbers[name] for name in ("train/pass_at_1", GAP) if name in numbers}
        row: dict[str, float] = {"iteration": i, "n": numbers[names[0]]["n"]}
        for name, number in chosen.items():
            row |= {name: number["value"], f"{name}_low": number["low"], f"{name}_high": number["high"]}
        rows.append(row)
    return pd.DataFrame(rows)


def format_table(table: Table, *, width: int | None = None) -> str:
    """Return the results table as plain text, columns aligned.

    Args:
        table: As from results_table.
        width: Of the terminal, in characters. Last columns that do not fit are left out, and named. None takes all.
    """
    header, rows = readable(table)
    n_shown = len(header)
    while width and n_shown > _LEAST_COLUMNS and len(_shown(header, rows, n_shown)[0]) > width:
        n_shown -= 1
    left_out = f"; in the report too: {', '.join(header[n_shown:])}" if n_shown < len(header) else ""
    return "\n".join([*_shown(header, rows, n_shown), f"Each number with its 95 % interval over questions{left_out}."])


def _shown(header: list[str], rows: list[list[str]], n_columns: int) -> list[str]:
    return aligned(header[:n_columns], [row[:n_columns] for row in rows])


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table of text for a terminal, a rule under its header."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def readable(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a results table as text, each number with its interval."""
    names = [name for name in table.columns if f"{name}_low" in table.columns]
    header = ["iteration", "n", *(words(name) for name in names)]
    rows = []
    for row in table.to_dict("records"):
        cells = [interval(row[name], row[f"{name}_low"], row[f"{name}_high"], signed=name == GAP) for name in names]
        rows.append([str(int(row["iteration"])), str(int(row["n"])), *cells])
    return header, rows


def main_suite(numbers: Mapping[str, Measured]) -> str:
    """Return the suite that carries the conclusion: test, or the first that was measured."""
    suites = [name.split("/")[0] for name in numbers if name.endswith("/pass_at_1")]
    known = [suite for suite in OWN_SUITES if suite in suites]
    if not (known or suites):
        raise EvaluationError(f"no suite has pass_at_1 among the metrics: {', '.join(numbers) or 'there are none'}")
    return (known or suites)[0]
