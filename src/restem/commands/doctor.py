"""`restem doctor`: what of an experiment is whole, damaged or left over, and how it is mended."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.datasets.checkup import Checkup, Finding, check_journal, check_versions, repair_journal, repair_version
from restem.project import experiment_folders
from restem.store.journal import Journal


class _Looked(NamedTuple):
    """A place that was looked through."""

    checkup: Checkup
    mend: Callable[[Finding], bool]  # whether it is mended; not what a run uses


@click.command()
@click.option("--data", is_flag=True, required=True, help="Look through the files of an experiment and its journal.")
@click.option("--repair", is_flag=True, help="Remove what is damaged or left over, so that it is made again.")
@of_experiment
def doctor(where: Where, *, data: bool, repair: bool) -> None:
    """Look for what is damaged or left over of an experiment.

    It goes through all that an experiment has on disk, and its journal; what a killed run left over is named too.
    The exit code is 1 if something is damaged and stays so.
    """
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
