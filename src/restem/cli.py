"""`kedro run` with lists in `--params`; Kedro looks here for commands of a project that differ from its own."""

import importlib
import inspect
from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import KedroCliError

from restem.configuration.command_line import read_params
from restem.errors import SelectionError
from restem.session import refuse_other_runner

_RUNNERS = "kedro.runner"
_DEFAULT = "SequentialRunner"


def _read(_context: click.Context, _option: click.Parameter, value: Any) -> dict[str, Any]:
    """Return parameters of the command line; those of a file of --config are read already."""
    return value if isinstance(value, dict) else read_params(value or "")


def _as_here(option: click.Parameter) -> click.Parameter:
    """Return an option of Kedro's run, as it is read here."""
    changed = copy(option)
    if option.name in ("params", "runner_params"):
        changed.callback = _read
    elif option.callback is not None:
        changed.callback = partial(_in_a_sentence, option.callback)
    return changed


def _in_a_sentence(read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what this returns; of errors of Kedro's, which it shows with an empty traceback, keep what they say."""
    try:
        return read(*args, **kwargs)
    except KedroCliError as error:
        raise SelectionError(error.message) from error


def _run(**options: Any) -> Any:
    _refuse_runner(options["runner"] or _DEFAULT, options["runner_params"])
    return _in_a_sentence(_run_of_kedro, **options)


def _refuse_runner(path: str, options: dict[str, Any]) -> None:
    """Raise unless this names a runner, and one that can be used, with its options."""
    module, _, name = path.rpartition(".")
    try:
        runner = getattr(importlib.import_module(module or _RUNNERS), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SelectionError(f"--runner={path}: there is no such runner ({error}); leave --runner out") from error
    if not inspect.isclass(runner):
        raise SelectionError(f"--runner={path} is no runner; leave --runner out")
    refuse_other_runner(runner)
    known = [option for option in inspect.signature(runner).parameters if option != "self"]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise SelectionError(f"--runner-params={unknown[0]}: {path} has no such option; it has {', '.join(known)}")


_run_of_kedro: Any = kedro_run.callback
run = copy(kedro_run)
run.params = list(map(_as_here, kedro_run.params))
run.callback = _run
cli = click.Group("kedro", commands={"run": run})
