"""Make a project from the template: beside its folder first, so that there is a whole project or none."""

import importlib.util
import keyword
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from restem import __version__
from restem.errors import StorageError

TEMPLATE = Path(__file__).with_name("template")
_LAST = "pyproject.toml"  # without it Kedro takes no folder for a project
_FORBIDDEN = '"\\{}'  # would end a text in pyproject.toml, or begin a rule of the template


class Made(NamedTuple):
    """A project that was made."""

    folder: Path
    package: str


def make_project(folder: Path) -> Made:
    """Return a new project in a folder that is not there yet, or is empty.

    Args:
        folder: Its name is the project's; folders above it are made too.

    Raises:
        StorageError: If something is there already, the name cannot be a project's, or nothing can be written there.
    """
    try:
        target = Path(os.path.abspath(folder))  # noqa: PTH100 - with its own name, also where that is a link
        _refuse(target)
        with _aside(target) as place:
            made, package = _render(target.name, place)
            target.parent.mkdir(parents=True, exist_ok=True)
            _move(made, target)
    except OSError as error:
        raise StorageError(f"no project can be made in {folder}: {error}. Name another folder") from error
    return Made(target, package)


def _refuse(target: Path) -> None:
    instead = "name a folder that is not there yet, or is empty"
    if target.is_dir() and (there := sorted(entry.name for entry in target.iterdir())):
        raise StorageError(f"{target} is not empty, it has {there[0]}: {instead}")
    if os.path.lexists(target) and not target.is_dir():
        raise StorageError(f"{target} is there, and is no folder: {instead}")
    if not target.name.isprintable() or set(target.name) & set(_FORBIDDEN):
        raise StorageError(
            f"{target.name!r} cannot be the name of a project, which is one line without any of {_FORBIDDEN}: "
            "name another folder"
        )


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Return a folder on the same disk, which goes with all that is left in it."""
    there = target if target.is_dir() else next(parent for parent in target.parents if parent.is_dir())
    with tempfile.TemporaryDirectory(prefix=".restem-init-", dir=there) as place:
        yield Path(place)


def _render(name: str, place: Path) -> tuple[Path, str]:
    """Return the project's folder, and the name of its package."""
    from cookiecutter.generate import generate_context, generate_files
    from cookiecutter.prompt import prompt_for_config
    from kedro import __version__ as kedro_version

    versions = {"kedro_version": kedro_version, "restem_version": __version__}
    given = {"project_name": name, "repo_name": "project", **versions}
    asked = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=given)
    chosen: dict[str, Any] = prompt_for_config(asked, no_input=True)
    chosen["python_package"] = _free(chosen["python_package"])
    made = Path(generate_files(TEMPLATE, {"cookiecutter": chosen}, output_dir=place, accept_hooks=False))
    _tidy(made)
    return made, chosen["python_package"]


def _free(package: str) -> str:
    """Return a name by which Python imports nothing else."""
    is_taken = keyword.iskeyword(package) or package in sys.stdlib_module_names or importlib.util.find_spec(package)
    return f"{package}_project" if is_taken else package


def _tidy(project: Path) -> None:
    """Take away what pip compiled of the template, and let the user write what is read-only where it is installed."""
    for cache in list(project.rglob("__pycache__")):
        shutil.rmtree(cache)
    for path in (project, *project.rglob("*")):
        path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))


def _move(made: Path, target: Path) -> None:
    """Put a project in its place: at once, or, into a folder that is there, piece by piece or not at all."""
    if not target.is_dir():
        made.rename(target)
        return
    moved: list[Path] = []
    try:
        for entry in sorted(made.iterdir(), key=lambda entry: entry.name == _LAST):
            moved.append(entry.rename(target / entry.name))
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
