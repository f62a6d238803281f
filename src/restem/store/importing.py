"""Functions of a user's own, named by a dotted path like my_pkg.my_module:my_function."""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from restem.errors import RestemError


def named(path: str) -> Any:
    """Return what a dotted path like my_pkg.my_module:my_function names.

    Raises:
        ImportError: If there is no such module.
        AttributeError: If it holds no such thing.
    """
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def import_function(
    path: str,
    *,
    parameter: str,
    error: type[RestemError],
    takes: int | None = None,
    by_name: Sequence[str] = (),
) -> Callable[..., Any]:
    """Return what the path names, which is not called: checked to be a function of the user's that takes what it gets.

    Args:
        path: "package.module:function".
        parameter: That holds it, for the message.
        error: What to raise.
        takes: How many arguments it is given by position; None does not look.
        by_name: What it is given by name.

    Raises:
        RestemError: Of the kind `error`, if it cannot be imported, is of Python's own library, or takes other
            arguments.
    """
    module_name, _, name = path.partition(":")
    subject = f"{parameter} {path!r}"
    if not module_name or not name.isidentifier():
        raise error(f"{subject} must be a dotted path like my_pkg.my_module:my_function")
    if module_name.partition(".")[0] in sys.stdlib_module_names:
        raise error(f"{subject} names a part of Python, not a function that was written for it")
    try:
        function = named(path)
    except (ImportError, AttributeError) as fault:
        raise error(f"{subject} cannot be imported: {fault}") from fault
    if not callable(function):
        raise error(f"{subject} is not a function but {type(function).__name__}")
    try:
        if takes is not None:
            inspect.signature(function).bind(*[None] * takes, **dict.fromkeys(by_name))
    except (TypeError, ValueError) as fault:  # ValueError: a builtin that has no signature
        names = [*(f"argument {number}" for number in range(1, (takes or 0) + 1)), *(f"{key}=" for key in by_name)]
        raise error(f"{subject} must take {', '.join(names) or 'no arguments'}: {fault}") from fault
    return function  # type: ignore[no-any-return]
