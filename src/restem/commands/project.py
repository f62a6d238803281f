"""Commands about the Kedro project in the current folder."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.configuration.consistency import ChangedParameter, changed_parameters, describe
from restem.errors import DamageError, ExperimentError
from restem.experiment import Catalog, Standing, current_standing, next_command, recorded_iterations
from restem.parameters import Parameters
from restem.project import known_experiments
from restem.screen import duration
from restem.spending import measures_of
from restem.store.journal import lock_file, state_file
from restem.store.ledger import Ledger, ledger_file
from restem.store.locks import holder, is_held


@click.command("mlflow-sync")
@of_experiment
def mlflow_sync(where: Where) -> None:
    """Log to MLflow what it does not have of an experiment.

    As after a run without a server.
    """
    from restem.tracking.sync import sync

    with where.open() as (catalog, parameters, project):
        if not any(True for _ in recorded_iterations(catalog)):
            known = known_experiments(catalog, parameters)
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
    """Show how far an experiment is, and what comes next.

    Which iterations are complete, which are stale, and what is running.
    """
    with where.open() as (catalog, parameters, _project):
        root = Path(catalog.load("journal").root)
        running = _running(root, parameters.experiment)
        if running:
            click.echo(running)
        *standing, following = _standing(catalog, parameters, current_standing())
        for line in (*standing, *_taken(root, parameters), following):
            click.echo(line)


def _taken(root: Path, parameters: Parameters) -> Iterator[str]:
    """Yield what was taken of what the experiment may, if that was counted."""
    try:
        taken = measures_of(Ledger(ledger_file(root, parameters.experiment)), parameters.limits)
    except DamageError as error:
        yield error.message
    else:
        if taken:
            yield f"taken so far: {', '.join(map(str, taken))}"


def _standing(catalog: Catalog, parameters: Parameters, standing: Standing) -> Iterator[str]:
    yield f"experiment {parameters.experiment}: {'prepared' if standing.prepared else 'not prepared'}"
    changed = {i: changed_parameters(catalog.load(f"record_{i}"), parameters) for i in _held(standing)}
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
    else:
        yield f"next: {next_command(standing, catalog)}"


def _running(root: Path, name: str) -> str:
    """Return who runs an experiment now, and how far that is; nothing if nobody does."""
    lock = lock_file(root, name)
    if not is_held(lock):
        return ""
    try:
        state = json.loads(state_file(root, name).read_text(encoding="utf-8"))
        since = duration(time.time() - state["since"])
        at = ", ".join(filter(None, (state["step"], state["state"])))
        how_far = f", for {since}: {at} ({state['n_done']} of {state['n_nodes']} nodes are done)"
    except (OSError, ValueError, KeyError, TypeError):  # it has just begun, or is just ending
        how_far = ""
    return f"running: {holder(lock)}{how_far}"


def _held(standing: Standing) -> list[int]:
    return [*([0] if standing.has_baseline else []), *standing.complete]


def _made_otherwise(found: list[ChangedParameter]) -> str:
    return f", made with {describe(found, 'before')} where {describe(found, 'now')} is asked for" if found else ""
