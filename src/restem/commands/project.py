"""Commands about the Kedro project in the current folder."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from restem.configuration.resolve import check_parameters
from restem.errors import ExperimentError
from restem.experiment import Catalog, current_plan, recorded_iterations
from restem.parameters import Parameters

environment = click.option("--env", default=None, help="Kedro environment, as in kedro run --env.")
experiment_option = click.option(
    "--experiment", default=None, help="Name of the experiment, if not the configured one."
)


@click.command("mlflow-sync")
@environment
@experiment_option
def mlflow_sync(env: str | None, experiment: str | None) -> None:
    """Log to MLflow what it does not have yet of an experiment, as after a run without a server."""
    from restem.tracking.sync import sync

    with opened(env, experiment) as (catalog, parameters, project):
        logged = sync(catalog, parameters, project=project)
    named = ", ".join(f"iteration {i}" for i in logged) or "nothing: it has everything"
    click.echo(f"logged of experiment {parameters.experiment}: {named}")


@click.command()
@environment
@experiment_option
def status(env: str | None, experiment: str | None) -> None:
    """Show which iterations of an experiment are complete, which are stale, and what comes next."""
    with opened(env, experiment) as (catalog, parameters, _project):
        plan = current_plan()
        further = [i for i in recorded_iterations(catalog) if i > plan.iterations]
    click.echo(f"experiment {parameters.experiment}: {'prepared' if plan.prepared else 'not prepared'}")
    for i in range(1, plan.iterations + 1):
        state = "complete" if i in plan.complete else "stale" if i in plan.stale else "to do"
        click.echo(f"  iteration {i}: {state}")
    for i in further:
        click.echo(f"  iteration {i}: made, and not asked for now: em.iterations is {parameters.em.iterations}")
    if plan.stopped:
        click.echo(f"stopped: {plan.stopped}")
    if len(plan.complete) < plan.iterations:
        following = "em_iteration" if plan.prepared else "prepare"
        click.echo(f"next: kedro run --pipeline={following}")


def project_folder() -> Path:
    """Return the folder of the Kedro project that the current folder is in.

    Raises:
        ExperimentError: If it is in none.
    """
    from kedro.utils import find_kedro_project

    project = find_kedro_project(Path.cwd())
    if project is None:
        raise ExperimentError(f"{Path.cwd()} is not in a Kedro project; change to the folder that holds conf/")
    return Path(project)


@contextmanager
def opened(
    env: str | None, experiment: str | None, params: Mapping[str, Any] | None = None
) -> Iterator[tuple[Catalog, Parameters, Path]]:
    """Return the catalog and the parameters of an experiment, and the project's folder, in an open session.

    Args:
        env: Kedro environment.
        experiment: Its name, if not the configured one.
        params: As --params of kedro run.

    Raises:
        ExperimentError: If the current folder is not in a project.
    """
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    project = project_folder()
    bootstrap_project(project)
    runtime = {**(params or {}), **({"experiment": experiment} if experiment else {})}
    created: Any = KedroSession.create(project_path=project, env=env, runtime_params=runtime)
    with created as session:
        context = session.load_context()
        yield context.catalog, check_parameters(context.config_loader["parameters"]), project


def known_experiments(catalog: Catalog, parameters: Parameters) -> list[str]:
    """Return the names of all experiments of the project that have begun.

    Args:
        catalog: Of one of them.
        parameters: Of the same.
    """
    here = filepath(catalog, "questions_summary")
    # The experiment's name is a folder of every path; those beside it are the other experiments.
    place = next(parent for parent in here.parents if parent.name == parameters.experiment)
    return sorted(folder.name for folder in place.parent.glob("*") if folder.is_dir())


def filepath(catalog: Catalog, name: str) -> Path:
    """Return where a dataset is, without its version.

    Raises:
        ExperimentError: If it is not on a disk.
    """
    dataset: Any = catalog.get(name)
    protocol = getattr(dataset, "_protocol", "file")
    if protocol != "file":
        raise ExperimentError(f"this needs results on a disk, and {name} is at {protocol}:// (data in globals.yml)")
    return Path(str(dataset._filepath))
