"""Completions that exist already: files of them are the samples of an E-step, and another engine draws what they lack.

A policy is evaluated, and measured during training, with what it says itself. `evaluate_with` names the engine that
draws that, and the options that are not this module's are that engine's. How files are read: restem.sampling.existing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from restem.engines import (
    Engine,
    check_engine,
    deciding_engine_options,
    engine_versions,
    open_engine,
    resolve_arithmetic,
)
from restem.engines.arithmetic import Arithmetic
from restem.errors import EngineError, first_few
from restem.parameters.decides import Decides
from restem.store.fingerprints import file_fingerprint

NAME = "file"  # of this engine
SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".gz")
ITERATION = "{iteration}"  # in a path: the number of the iteration
# What is read of a row, each by the name of its column unless `columns` says otherwise.
FIELDS = ("question_id", "text", "completion", "policy", "prompt", "finish_reason", "n_tokens")
_PATHS = "sampling.engine_options.paths"


class Files(NamedTuple):
    """The options of this engine."""

    paths: tuple[str, ...]
    columns: Mapping[str, str]  # name in the files, by field
    drawing: str  # the engine of what is not in files
    drawing_options: Mapping[str, Any]

    def of_iteration(self, iteration: int) -> list[Path]:
        """Return the files of an iteration, in order: those of each path in the order of their names.

        Raises:
            EngineError: If a path names none, or two name the same file.
        """
        found = [file for path in self.paths for file in _named(path.replace(ITERATION, str(iteration)))]
        twice = sorted({str(file) for file in found if found.count(file) > 1})
        if twice:
            raise EngineError(f"{_PATHS} names a file more than once: {first_few(twice)}")
        return found


def files_of(options: Mapping[str, Any]) -> Files:
    """Return what the options say.

    Raises:
        EngineError: If they name no file, or a column of something that is not read.
    """
    rest = dict(options)
    paths, columns = rest.pop("paths", ()), rest.pop("columns", None) or {}
    drawing = rest.pop("evaluate_with", "transformers")
    named = (paths,) if isinstance(paths, str) else tuple(paths)
    if not all(named) or not named:
        raise EngineError(
            f"sampling.engine=file needs {_PATHS}: files, folders or patterns, as data/01_raw/*.jsonl, that hold "
            "completions"
        )
    unread = [name for name in columns if name not in FIELDS]
    if unread:
        raise EngineError(
            f"sampling.engine_options.columns.{unread[0]} is nothing that is read of a completion; these are: "
            f"{', '.join(FIELDS)}"
        )
    if drawing == NAME:
        raise EngineError("sampling.engine_options.evaluate_with must be an engine that draws, not file")
    return Files(named, columns, drawing, rest)


def drawing_engine(name: str, options: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the engine that draws from policies, with its options: the named one, or what evaluates beside it."""
    if name != NAME:
        return name, dict(options)
    files = files_of(options)
    return files.drawing, dict(files.drawing_options)


@contextmanager
def open_file(
    policy_path: str | Path,
    paths: Annotated[str | Sequence[str], Decides("samples")] = (),
    columns: Annotated[Mapping[str, str] | None, Decides("samples")] = None,
    evaluate_with: Annotated[str, Decides("samples", "evaluation", "policy")] = "transformers",
    **options: Annotated[Any, Decides("samples", "evaluation", "policy")],
) -> Iterator[Engine]:
    """Return the engine that draws what is not in files, in a context.

    Args:
        policy_path: Folder of the policy.
        paths: Files, folders or patterns; {iteration} stands for the number of the iteration.
        columns: Names of columns in the files, by field.
        evaluate_with: The engine that evaluates policies.
        options: Of that engine.
    """
    files = files_of({"paths": paths, "columns": columns, "evaluate_with": evaluate_with, **options})
    with open_engine(files.drawing, policy_path, **files.drawing_options) as engine:
        yield engine


def check(options: Mapping[str, Any]) -> None:
    """Raise unless the files are there, and the engine that draws takes its options.

    Raises:
        EngineError: With what is wrong.
    """
    files = files_of(options)
    for path in files.paths:
        if ITERATION not in path:  # else it may be made after the iteration before
            _named(path)
    check_engine(files.drawing, files.drawing_options)


def deciding(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides: what is in the files, and what decides of the other engine's options."""
    files = files_of(options)
    drawing = deciding_engine_options(files.drawing, files.drawing_options)
    content = [path if ITERATION in path else [file_fingerprint(file) for file in _named(path)] for path in files.paths]
    return {**drawing, "paths": content, "columns": dict(files.columns), "evaluate_with": files.drawing}


def arithmetic(options: Mapping[str, Any]) -> Arithmetic | None:
    """Return what the engine that draws computes in."""
    files = files_of(options)
    return resolve_arithmetic(files.drawing, files.drawing_options)


def versions(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that the engine that draws has elsewhere."""
    files = files_of(options)
    return engine_versions(files.drawing, files.drawing_options)


def _named(path: str) -> list[Path]:
    place = Path(path).expanduser()
    if place.is_file():
        return [place]
    root = Path(place.anchor)
    inside = place.iterdir() if place.is_dir() else root.glob(str(place.relative_to(root)))
    found = sorted(file for file in inside if file.is_file() and file.suffix in SUFFIXES)
    if not found:
        what = "no file of completions in" if place.is_dir() else "no file"
        raise EngineError(f"{_PATHS}: there is {what} {place.absolute()}")
    return found
