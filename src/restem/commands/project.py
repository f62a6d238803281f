"""Commands about the Kedro project in the current folder."""

import click

from restem.experiment import current_standing, recorded_iterations
from restem.project import opened

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
        standing = current_standing()
        further = [i for i in recorded_iterations(catalog) if i > standing.iterations]
    click.echo(f"experiment {parameters.experiment}: {'prepared' if standing.prepared else 'not prepared'}")
    for i in range(1, standing.iterations + 1):
        state = "complete" if i in standing.complete else "stale" if i in standing.stale else "to do"
        click.echo(f"  iteration {i}: {state}")
    for i in further:
        click.echo(f"  iteration {i}: made, and not asked for now: em.iterations is {parameters.em.iterations}")
    if standing.stopped:
        click.echo(f"stopped: {standing.stopped}")
    if len(standing.complete) < standing.iterations:
        following = "em_iteration" if standing.prepared else "prepare"
        click.echo(f"next: kedro run --pipeline={following}")
