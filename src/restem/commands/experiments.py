"""`restem list`, `restem delete` and `restem report`: the experiments of a project, as wholes."""

import shutil
import webbrowser
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import click

from restem import suggestions
from restem.commands.journal import uses_of
from restem.commands.options import Where, of_experiment, of_project
from restem.errors import ExperimentError
from restem.experiment import recorded_iterations
from restem.policies.policy import Policy
from restem.project import experiment_folders, known_experiments, load_path
from restem.store.journal import Journal, state_file
from restem.store.journal_usage import Choice, prunable
from restem.store.ledger import ledger_file
from restem.tracking.spool import delete_spools

_MB = 1e6


class _Row(NamedTuple):
    """What `restem list` says of an experiment."""

    name: str
    n_iterations: int | None  # None if not even the base policy was measured
    last: str  # pass@1 of the last policy
    size: int  # bytes
    modified: float  # seconds since the epoch


@click.command("list")
@of_project
def list_experiments(where: Where) -> None:
    """Show all experiments, with their results and sizes.

    Iterations, pass@1 of the last one, size on disk, and when something was made last.
    """
    from restem.reporting.results import aligned

    with where.open() as (catalog, parameters, _):
        names = known_experiments(catalog, parameters)
    if not names:
        click.echo(f"no experiment yet; begin one: {suggestions.run('prepare')}")
        return
    rows = [_row(where._replace(experiment=name)) for name in names]
    shown = [
        [
            row.name,
            "none" if row.n_iterations is None else str(row.n_iterations),
            row.last,
            f"{row.size / _MB:.1f}",
            datetime.fromtimestamp(row.modified, UTC).astimezone().strftime("%Y-%m-%d %H:%M"),
        ]
        for row in rows
    ]
    for line in aligned(["experiment", "iterations", "pass@1 of the last", "MB", "last made"], shown):
        click.echo(line)


def _row(where: Where) -> _Row:
    from restem.reporting.results import main_suite
    from restem.reporting.sections import measured

    with where.open() as (catalog, parameters, _):
        recorded = list(recorded_iterations(catalog))
        said = "not measured"
        if recorded:
            numbers = catalog.load(f"record_{recorded[-1]}")["metrics"]
            suite = main_suite(numbers)
            said = f"{measured(numbers[f'{suite}/pass_at_1'])} on {suite}"
        files = [file.stat() for folder in experiment_folders(catalog, parameters) for file in _files(folder)]
    last = max((stat.st_mtime for stat in files), default=0.0)
    return _Row(parameters.experiment, recorded[-1] if recorded else None, said, sum(s.st_size for s in files), last)


def _files(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.is_file())


@click.command()
@click.argument("name", metavar="EXPERIMENT")
@of_project
@click.option("--yes", is_flag=True, help="Do it; without this, only show what would go.")
def delete(name: str, where: Where, *, yes: bool) -> None:
    """Delete an EXPERIMENT; without --yes, show what would go.

    Its tables, policies and reports go, and what of the journal nothing else needs. What another experiment needs
    stays; if another one begins from its policies, nothing is deleted. Its runs in MLflow stay.
    """
    here = where._replace(experiment=name)
    with here.open() as (catalog, parameters, _):
        known = known_experiments(catalog, parameters)
        if name not in known:
            raise ExperimentError(f"there is no experiment {name!r}; there are: {', '.join(known) or 'none'}")
        folders = experiment_folders(catalog, parameters)
        root = Path(catalog.load("journal").root)
    journal = Journal(root)
    with journal.lock(name) if yes else nullcontext():
        doomed = prunable(uses_of(here)[1], Choice((), name, 0.0))
        for other in known:
            if other != name:
                _refuse_if_needed(name, [*folders, *(use.folder for use in doomed)], where._replace(experiment=other))
        for folder in folders:
            click.echo(f"{sum(file.stat().st_size for file in _files(folder)) / _MB:10.1f} MB  {folder}")
        for use in doomed:
            click.echo(f"{use.bytes / _MB:10.1f} MB  {use.folder}")
        if yes:
            for folder in folders:
                shutil.rmtree(folder)
            for use in doomed:
                journal.delete(use.name)
            for file in (state_file(root, name), ledger_file(root, name)):
                file.unlink(missing_ok=True)
            delete_spools(root, name)
    again = suggestions.restem("delete", name, "--yes", of="project")
    click.echo(f"deleted experiment {name}" if yes else f"nothing is deleted yet; do it with: {again}")


def _refuse_if_needed(name: str, folders: Iterable[Path], other: Where) -> None:
    """Raise if another experiment begins from a policy of this one.

    Raises:
        ExperimentError: With which.
    """
    with other.open() as (catalog, parameters, _):
        for dataset in ("policy_0", "teacher"):
            if not catalog.exists(dataset):
                continue
            policy: Policy = catalog.load(dataset)
            if any(Path(policy.path).absolute().is_relative_to(folder.absolute()) for folder in folders):
                raise ExperimentError(
                    f"experiment {parameters.experiment!r} needs {policy.path}, which belongs to {name!r}: its "
                    f"{dataset.replace('_', ' ')} is there. Delete {parameters.experiment!r} first"
                )


@click.command()
@of_experiment
@click.option("--open", "in_browser", is_flag=True, help="Open the page in a browser, instead of printing it.")
def report(where: Where, *, in_browser: bool) -> None:
    """Print the newest report of an experiment, or open it."""
    with where.open() as (catalog, parameters, _):
        if not catalog.exists("report_markdown"):
            first = "compare" if any(True for _ in recorded_iterations(catalog)) else None
            made = suggestions.run(first) if first else suggestions.run()
            raise ExperimentError(f"experiment {parameters.experiment!r} has no report yet; write it with: {made}")
        text, page = catalog.load("report_markdown"), load_path(catalog, "report_html")
    if not in_browser:
        click.echo(text)
    elif not webbrowser.open(Path(page).absolute().as_uri()):
        click.echo("no browser can be opened from here; open the page yourself")
    click.echo(f"report: {page}")
