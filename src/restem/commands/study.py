"""`restem study`: experiments that are compared, run and reported together."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from restem import suggestions
from restem.commands.options import environment
from restem.commands.options import params as params_option
from restem.errors import BudgetError, StudyError, first_few
from restem.project import load_path, opened, project_folder
from restem.studies.study import known_studies, read_study
from restem.suggestions import Asked

if TYPE_CHECKING:
    from restem.parameters import Parameters
    from restem.studies.report import StudyReport

_FOLDER = Path("conf") / "studies"


@click.group()
def study() -> None:
    """Run experiments that are compared, and report on them.

    A study is a file of conf/studies, by name, or a YAML file of your own, by path.
    """


@study.command("list")
def list_studies() -> None:
    """Show the studies that there are."""
    folder = project_folder() / _FOLDER
    for name in known_studies(folder):
        of = read_study(name, folder)
        n = len(of.experiments)
        click.echo(f"{name:<32} {n:>2} {'experiment ' if n == 1 else 'experiments'}  {of.title}")


@study.command()
@click.argument("name")
@environment
@params_option
@click.option(
    "--only", metavar="EXPERIMENT", help="One of its experiments, by its name or its number from 1, as in a job array."
)
def run(name: str, env: str | None, params: dict[str, Any], only: str | None) -> None:
    """Run what is missing of a study.

    What is done is not done again, and what experiments share is done once.
    """
    from restem.studies.runs import experiments_of, only_task, run_tasks

    project = project_folder()
    chosen = read_study(name, project / _FOLDER)
    tasks = experiments_of(chosen, project=project, env=env, params=params)
    if only is not None:
        tasks = [only_task(tasks, only)]
    outcome = run_tasks(tasks, project=project, say=click.echo)
    if outcome.n_needed:
        click.echo(
            f"of {outcome.n_needed:,} samples, {outcome.n_drawn:,} were drawn and "
            f"{outcome.n_needed - outcome.n_drawn:,} were in the journal"
        )
    if outcome.failed:
        listed = "; ".join(f"{experiment}: {why}" for experiment, why in outcome.failed.items())
        raise StudyError(f"{len(outcome.failed)} of {len(tasks)} experiments failed: {listed}")
    suggestions.use(Asked(env, params))
    if outcome.spent:
        higher = suggestions.restem("study", "run", name, of="study")
        raise BudgetError(
            f"the budget of {len(outcome.spent)} of {len(tasks)} experiments is spent: {first_few(outcome.spent)}. "
            f"What was finished is kept. Raise what is spent in limits.budget, and go on with: {higher}"
        )
    click.echo(f"next: {suggestions.restem('study', 'report', name, of='study')}")


@study.command()
@click.argument("name")
@environment
@params_option
@click.option(
    "--output", type=click.Path(path_type=Path), help="A folder to copy the page to, as NAME.md and NAME.html."
)
def report(name: str, env: str | None, params: dict[str, Any], output: Path | None) -> None:
    """Write one page about a study.

    Its experiments side by side and compared, and which are missing.
    """
    from restem.studies.report import build_study_report
    from restem.studies.runs import experiments_of, read_results

    project = project_folder()
    chosen = read_study(name, project / _FOLDER)
    tasks = experiments_of(chosen, project=project, env=env, params=params)
    made, missing, shared = read_results(tasks)
    seed = tasks[0].parameters.em.seed
    asked_for = Asked(env, params)
    suggestions.use(asked_for)  # and not as the last of its experiments was
    page = build_study_report(chosen, made, missing=missing, shared=shared, seed=seed)
    named = tasks[0].parameters.experiment.rpartition(".")[0]
    with opened(env or chosen.env, named, params) as (catalog, _, _project):
        catalog.save("study_markdown", page.markdown)
        catalog.save("study_html", page.html)
        click.echo(f"report: {load_path(catalog, 'study_html')}")
    if tasks[0].parameters.tracking.enabled:
        suggestions.use(asked_for)
        _log(page, chosen.name, tasks[0].parameters, project)
    if output:
        output.mkdir(parents=True, exist_ok=True)
        (output / f"{chosen.name}.md").write_text(page.markdown, encoding="utf-8")
        (output / f"{chosen.name}.html").write_text(page.html, encoding="utf-8")


def _log(page: "StudyReport", name: str, parameters: "Parameters", project: Path) -> None:
    from restem.studies.tracking import log_study
    from restem.tracking.destination import TrackingError

    try:
        log_study({"study.md": page.markdown, "study.html": page.html}, name, parameters, project=project)
    except TrackingError as error:
        click.echo(f"warning: {error}", err=True)
