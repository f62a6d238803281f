"""Commands about the Kedro project in the current folder."""

from collections.abc import Iterator

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.configuration.consistency import Change, changes, describe
from restem.errors import ExperimentError
from restem.experiment import Catalog, Standing, current_standing, recorded_iterations
from restem.parameters import Parameters
from restem.project import known_experiments


@click.command("mlflow-sync")
@of_experiment
def mlflow_sync(where: Where) -> None:
    """Log to MLflow what it does not have yet of an experiment, as after a run without a server."""
    from restem.tracking.sync import sync

    with where.open() as (catalog, parameters, project):
        known = known_experiments(catalog, parameters)
        if not any(True for _ in recorded_iterations(catalog)):
            there = f"there are: {', '.join(known)}" if known else "there is none yet"
            raise ExperimentError(
                f"experiment {parameters.experiment!r} has no iteration that could be logged, not even the base "
                f"policy's; {there}"
            )
        logged = sync(catalog, parameters, project=project)
    named = ", ".join(f"iteration {i}" for i in logged) or "nothing: it has everything"
    click.echo(f"logged of experiment {parameters.experiment}: {named}")


@click.command()
@of_experiment
def status(where: Where) -> None:
    """Show which iterations of an experiment are complete, which are stale, and what comes next."""
    with where.open() as (catalog, parameters, _project):
        for line in _standing(catalog, parameters, current_standing()):
            click.echo(line)


def _standing(catalog: Catalog, parameters: Parameters, standing: Standing) -> Iterator[str]:
    yield f"experiment {parameters.experiment}: {'prepared' if standing.prepared else 'not prepared'}"
    changed = {i: changes(catalog.load(f"record_{i}"), parameters) for i in _held(standing)}
    if changed.get(0):
        yield f"  base policy: measured{_made_otherwise(changed[0])}"
    for i in range(1, standing.iterations + 1):
        state = "complete" if i in standing.complete else "stale" if i in standing.stale else "to do"
        yield f"  iteration {i}: {state}{_made_otherwise(changed.get(i, []))}"
    for i in recorded_iterations(catalog):
        if i > standing.iterations:
            yield f"  iteration {i}: made, and not asked for now: em.iterations is {parameters.em.iterations}"
    if standing.stopped:
        yield f"stopped: {standing.stopped}"
    if any(changed.values()) and not parameters.em.allow_changes:
        yield "This configuration is not the one that it was made with, so nothing goes on with it."
        yield f"next, with this one: {suggestions.run(params={'experiment': 'NAME'})}"
    elif len(standing.complete) < standing.iterations:
        yield f"next: {suggestions.run('em_iteration' if standing.prepared else 'prepare')}"


def _held(standing: Standing) -> list[int]:
    return [*([0] if standing.has_baseline else []), *standing.complete]


def _made_otherwise(found: list[Change]) -> str:
    return f", made with {describe(found, 'before')} where {describe(found, 'now')} is asked for" if found else ""
