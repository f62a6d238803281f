"""`restem view`: a page to read samples in, on this machine or as one file."""

import getpass
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from restem import suggestions
from restem.commands.options import Where, of_experiment
from restem.errors import ExperimentError, SelectionError, StorageError
from restem.project import known_experiments
from restem.store.storage import writing

if TYPE_CHECKING:
    from restem.experiment import Catalog
    from restem.parameters import Parameters
    from restem.viewing.library import Library
    from restem.viewing.notes import Notes, Store
    from restem.viewing.source import Source


class _Opened(NamedTuple):
    """What is read, and where marks on it go."""

    library: "Library"
    notes: "Notes"
    question: str | None  # the whole id of what is asked for


@click.command()
@click.argument("experiments", nargs=-1, metavar="[EXPERIMENT]...")
@of_experiment
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE.html", help="Write one file, and end.")
@click.option("--question", metavar="ID", help="Open at this question; its id may be cut short.")
@click.option("--port", type=click.IntRange(0, 65535), help="Of the page; a free one if the usual one is taken.")
@click.option("--no-browser", is_flag=True, help="Only say where the page is.")
@click.option("--add-marks", type=click.Path(path_type=Path), metavar="FILE", help="Add a colleague's marks, and end.")
def view(  # noqa: PLR0913 - one argument per option
    experiments: tuple[str, ...],
    where: Where,
    output: Path | None,
    question: str | None,
    port: int | None,
    no_browser: bool,
    add_marks: Path | None,
) -> None:
    """Read samples in a browser, with their verdicts.

    Of one EXPERIMENT or of several side by side. The page is served on this machine until Ctrl-C; with --output it is
    one file, for somebody else. Marks that readers set are kept beside the experiment.
    """
    if output is not None:
        _refuse_output(output)
    said = None if add_marks is None else _read(add_marks)
    with _opened(experiments, where, question) as opened:
        command = suggestions.restem("view", *experiments, of="project" if experiments else "experiment", on_page=True)
        if said is not None:
            _add(opened.notes, said, add_marks)
        elif output is not None:
            _write(opened, output, command)
        else:
            _serve(opened, port, no_browser=no_browser)


@contextmanager
def _opened(experiments: tuple[str, ...], where: Where, question: str | None) -> Iterator[_Opened]:
    from restem.viewing.index import index_of
    from restem.viewing.library import Library
    from restem.viewing.notes import Notes

    names = tuple(dict.fromkeys([*([where.experiment] if where.experiment else []), *experiments]))
    sources: list[Source] = []
    stores: dict[str, Store] = {}
    folder, wanted = None, None
    for name in names or (None,):
        with where._replace(experiment=name).open() as (catalog, parameters, _):
            source, stores[parameters.experiment] = _source(catalog, parameters, name), catalog.get("marks")
            sources.append(source)
            folder = folder or Path(catalog.load("sample_index").root)
            if question and wanted is None:
                wanted = _found(catalog, question, is_last=len(sources) == len(names or (None,)))
    click.echo("looking at what there is ...", err=True)
    library = Library(index_of(sources, folder or Path()))
    try:
        yield _Opened(library, Notes(library, stores), wanted)
    finally:
        library.close()


def _source(catalog: "Catalog", parameters: "Parameters", name: str | None) -> "Source":
    """Return what there is to read of an experiment.

    Raises:
        ExperimentError: If it is not there, or has no samples.
    """
    from restem.viewing.source import Source

    if name is not None and not catalog.exists("candidate_questions"):
        known = known_experiments(catalog, parameters)
        if name not in known:
            raise ExperimentError(f"there is no experiment {name!r}; there are: {', '.join(known) or 'none'}")
    return Source(catalog, parameters)


def _found(catalog: "Catalog", question: str, *, is_last: bool) -> str | None:
    """Return the whole id of a question; None if another experiment is still to be asked for it."""
    from restem.errors import LineageError
    from restem.lineage import find

    try:
        return find(catalog, question).question_id
    except LineageError:
        if is_last:
            raise
        return None


def _refuse_output(output: Path) -> None:
    if output.is_dir():
        raise StorageError(f"--output {output} is a folder; name a file in it, as {output / 'samples.html'}")
    if not output.absolute().parent.is_dir():
        raise StorageError(f"--output {output}: there is no folder {output.absolute().parent}; make it first")


def _read(file: Path) -> list[str]:
    from restem.viewing.notes import lines_of

    try:
        return lines_of(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SelectionError(f"--add-marks {file} cannot be read: {error}") from error


def _add(notes: "Notes", lines: list[str], file: Path | None) -> None:
    added = notes.add(lines)
    click.echo(f"added {len(added)} marks of {', '.join(sorted({mark.who for mark in added})) or 'nobody'} from {file}")


def _write(opened: _Opened, output: Path, command: str) -> None:
    from restem.store.partials import appearing
    from restem.viewing.one_file import one_file

    text = one_file(opened.library, opened.notes, command=command, first=opened.question)
    with writing(output), appearing(output) as partial:
        partial.write_text(text, encoding="utf-8")
        partial.replace(output)
    fragment = f"#{suggestions.fragment_of(opened.question)}" if opened.question else ""
    click.echo(f"samples: {output.absolute().as_uri()}{fragment}")


def _serve(opened: _Opened, port: int | None, *, no_browser: bool) -> None:
    from restem.viewing.server import ViewServer

    with ViewServer(opened.library, opened.notes, user=_user(), port=port) as server:
        url = server.url + (f"#{suggestions.fragment_of(opened.question)}" if opened.question else "")
        click.echo(f"samples: {url}  (Ctrl-C ends)")
        if not no_browser and not webbrowser.open(url):
            click.echo("no browser can be opened from here; open the page yourself")
        server.serve_forever()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return ""
