"""`restem doctor`: whether restem works on this machine; with `--data`, what of an experiment is whole or damaged."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.datasets.checkup import Checkup, Finding, check_journal, check_versions, repair_journal, repair_version
from restem.masking import mask
from restem.project import experiment_folders
from restem.store.journal import Journal


class _Looked(NamedTuple):
    """A place that was looked through."""

    checkup: Checkup
    mend: Callable[[Finding], bool]  # whether it is mended; not what a run uses


@click.command()
@click.option("--data", is_flag=True, help="Look through the files of an experiment and its journal instead.")
@click.option("--repair", is_flag=True, help="With --data: remove what is damaged or left over, to be made again.")
@of_experiment
def doctor(where: Where, *, data: bool, repair: bool) -> None:
    """Say whether restem works on this machine.

    Each line is ok, a warning (something does not work) or a fault (nothing does), and says what to do. The exit code
    is 1 if there is a fault.

    With --data it goes through all that an experiment has on disk, and its journal, for what is damaged or what a
    killed run left over. The exit code is 1 if something is damaged and stays so.
    """
    if data:
        _look_through(where, repair=repair)
    elif repair:
        raise click.UsageError("--repair removes files of an experiment; say so: --data --repair")
    else:
        _examine(where)


def _examine(where: Where) -> None:
    from restem.machine.findings import examine
    from restem.machine.looking import look

    findings = examine(look(where.open_bare))
    for finding in findings:
        click.echo(mask(f"{finding.level:<8} {finding.subject}: {finding.said}"))
        if finding.todo:
            click.echo(mask(f"{'':<8}   {finding.todo}"))
    n_faults, n_warnings = (sum(finding.level == level for finding in findings) for level in ("fault", "warning"))
    if n_faults:
        click.echo(f"restem does not work here: {n_faults} {'fault' if n_faults == 1 else 'faults'}")
        raise click.exceptions.Exit(1)
    click.echo(f"restem works here{_but(n_warnings)}")


def _but(n_warnings: int) -> str:
    return (
        f", but for what {'one warning' if n_warnings == 1 else f'{n_warnings} warnings'} named" if n_warnings else ""
    )


def _look_through(where: Where, *, repair: bool) -> None:
    with where.open_bare() as (catalog, parameters, _):
        name = parameters.experiment
        journal, base_models = (Journal(catalog.load(dataset).root) for dataset in ("journal", "base_models"))
        looked = [_Looked(check_versions(folder), repair_version) for folder in experiment_folders(catalog, parameters)]
    looked += [_Looked(check_journal(one.root), partial(repair_journal, one)) for one in (journal, base_models)]
    _show(name, looked)
    if not any(place.checkup.findings for place in looked):
        return
    if repair:
        with journal.lock(name):
            mended = _repair(looked)
    else:
        mended = not any(finding.kind == "damaged" for place in looked for finding in place.checkup.findings)
        command = suggestions.restem("doctor", "--data", "--repair")
        click.echo(f"remove what is damaged or left over, so that it is made again: {command}")
    if not mended:
        raise click.exceptions.Exit(1)


def _show(name: str, looked: Sequence[_Looked]) -> None:
    findings = [finding for place in looked for finding in place.checkup.findings]
    for finding in findings:
        click.echo(f"{finding.kind}: {finding.said}")
    n_damaged = sum(finding.kind == "damaged" for finding in findings)
    n_whole = sum(place.checkup.n_whole for place in looked)
    click.echo(f"experiment {name}: {n_whole} whole, {n_damaged} damaged, {len(findings) - n_damaged} left over")


def _repair(looked: Sequence[_Looked]) -> bool:
    """Return whether all that was found is removed; says what makes it again."""
    commands: dict[str, None] = {}
    n_left = 0
    for place in looked:
        for finding in place.checkup.findings:
            if not place.mend(finding):
                click.echo(f"{finding.path} is in use and stays")
                n_left += 1
            elif finding.again:
                commands[finding.again] = None
    click.echo("all of it is removed" if not n_left else "all else is removed")
    for command in sorted(commands, key=lambda command: (len(command), command)):  # iteration 2 before iteration 10
        click.echo(f"made again by: {command}")
    return not n_left
