"""`restem journal`: what finished work takes on disk, and what of it can go."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from restem import suggestions
from restem.commands.options import Where, of_project
from restem.errors import ExperimentError
from restem.project import filepath, known_experiments
from restem.store.journal import Journal
from restem.store.journal_usage import (
    CatalogFiles,
    Choice,
    JournalUse,
    file_keys,
    journal_uses,
    prunable,
)

_MB = 1e6
# What operations journal and the catalog then links to.
_LINKED = (
    "policy_{i}",
    "iteration_{i}.samples",
    "iteration_{i}.scored_samples",
    "iteration_{i}.follow_up_samples",
    "iteration_{i}.training_set",
    "kept_{i}",
    "iteration_{i}.evaluation_samples",
    "iteration_{i}.scored_evaluation_samples",
)


@click.group(invoke_without_command=True)
@of_project
@click.pass_context
def journal(context: click.Context, where: Where) -> None:
    """Show what finished work takes on disk, or prune it."""
    context.obj = where
    if context.invoked_subcommand:
        return
    _, uses = uses_of(where)
    by_kind: dict[str, list[JournalUse]] = defaultdict(list)
    for use in uses:
        by_kind[use.kind].append(use)
    click.echo(f"{'kind':<14}{'entries':>8}{'MB':>12}{'of it needed':>14}{'freed if gone':>15}")
    for kind, of_kind in sorted(by_kind.items()):
        click.echo(_sums(kind, of_kind))
    click.echo(_sums("all", uses))
    click.echo(
        "needed: the newest version of some dataset was made from it; see "
        f"{suggestions.restem('journal', 'prune', of='project')}"
    )


@journal.command("list")
@of_project
@click.pass_obj
def list_entries(of_group: Where, where: Where) -> None:
    """Show every entry, and which experiments need it.

    Its size, and when something was added last.
    """
    _, uses = uses_of(_nearer(where, of_group))
    for use in uses:
        click.echo(_line(use))
    if not uses:
        click.echo("the journal is empty: nothing was sampled or trained yet")


@journal.command()
@click.option(
    "--older-than", "days", type=click.FloatRange(min=0), default=0.0, help="Only entries this many days old."
)
@click.option("--experiment", help="What this experiment used, instead of what no experiment needs.")
@click.option("--entry", "names", multiple=True, metavar="ENTRY", help="This entry, whoever needs it; repeat for more.")
@click.option("--yes", is_flag=True, help="Do it; without this, only show what would go.")
@of_project
@click.pass_obj
def prune(  # noqa: PLR0913 - one argument per option
    of_group: Where, where: Where, days: float, experiment: str | None, names: tuple[str, ...], *, yes: bool
) -> None:
    """Delete entries that nothing needs, or that are named.

    Nothing needs what no newest catalog version was made from. Catalog versions stay whole, whatever goes. What goes
    would be done again if it were asked for again; that includes the progress of a run that was stopped and not yet
    gone on with.
    """
    where = _nearer(where, of_group)
    root = _root(where)
    with Journal(root).lock_all() if yes else nullcontext():  # before it is found out who needs what
        _, uses = uses_of(where)
        missing = set(names) - {use.name for use in uses}
        if missing:
            shown = suggestions.restem("journal", "list", of="project")
            raise ExperimentError(f"the journal has no entry {sorted(missing)[0]!r}; {shown} shows them")
        doomed = prunable(uses, Choice(names, experiment, days))
        for use in doomed:
            click.echo(_line(use))
        gone = _delete(root, doomed) if yes else doomed
    freed = sum(use.freed for use in gone) / _MB
    did = "deleted" if yes else "would delete"
    click.echo(f"{did} {len(gone)} of {len(uses)} entries, {freed:.1f} MB{'' if yes else '; do it with --yes'}")


def _delete(root: Path, doomed: Iterable[JournalUse]) -> list[JournalUse]:
    """Return the entries that are deleted now: those that no run makes or uses, whatever its experiment."""
    journal = Journal(root)
    gone = [use for use in doomed if journal.delete(use.name)]
    for use in set(doomed) - set(gone):
        click.echo(f"{use.name} is in use and stays")
    journal.delete_leftovers()
    return gone


def _sums(kind: str, uses: Iterable[JournalUse]) -> str:
    uses = list(uses)
    needed = sum(use.bytes for use in uses if use.needed_by)
    size, freed = (sum(getattr(use, name) for use in uses) for name in ("bytes", "freed"))
    return f"{kind:<14}{len(uses):>8}{size / _MB:>12.1f}{needed / _MB:>14.1f}{freed / _MB:>15.1f}"


def _line(use: JournalUse) -> str:
    when = datetime.fromtimestamp(use.modified, UTC).strftime("%Y-%m-%d %H:%M")
    needed = f"needed by {', '.join(use.needed_by)}" if use.needed_by else "needed by none"
    return f"{use.bytes / _MB:10.1f} MB  {when}  {use.name}  {needed}"


def _nearer(where: Where, of_group: Where) -> Where:
    """Return the options given after the command's own name; where none are, those given before it."""
    return where if any(where) else of_group


def _root(where: Where) -> Path:
    with where.open() as (catalog, _parameters, _project):
        return Path(catalog.load("journal").root)


def uses_of(where: Where) -> tuple[Path, list[JournalUse]]:
    """Return the journal's folder, and what each of its entries takes and who needs it."""
    with where.open() as (catalog, parameters, _project):
        root = catalog.load("journal").root
        names = known_experiments(catalog, parameters)
    return root, journal_uses(root, {name: _catalog_files(where._replace(experiment=name)) for name in names})


def _catalog_files(where: Where) -> CatalogFiles:
    current: list[Path] = []
    ever: list[Path] = []
    with where.open() as (catalog, _parameters, _project):
        i = 0
        while any(catalog.exists(name.format(i=i)) for name in _LINKED) or i == 0:
            for name in (linked.format(i=i) for linked in _LINKED):
                ever += filepath(catalog, name).rglob("*")
                if catalog.exists(name):
                    data = catalog.load(name)
                    current += data.files if hasattr(data, "files") else data.folder.rglob("*")
            i += 1
    return CatalogFiles(file_keys(current), file_keys(ever))
