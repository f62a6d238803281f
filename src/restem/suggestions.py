"""Commands that messages suggest: whole, so that they do what is meant when they are copied.

A command carries all by which this run differs from one without options: `--env`, `--conf-source`, `--params` and the
experiment. Whoever opens a session says how it was asked for (`use`), and everyone else only names the command.
"""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from restem.masking import mask

VIEW_PORT = 8631  # ours: where `restem view` serves its page, if it can

_ONCE = "em.iteration"  # forces one run; the command after it is not to be forced
_PLAIN = re.compile(r"(?!.*(: |:$))[A-Za-z_./@][\w./@: +-]*(?<! )")  # a text that YAML reads as one without quotes
_BREAKS = re.compile(r"[\n\r\t\x85\u2028\u2029]")  # which YAML folds in single quotes
_IN_YAML = {"None": "null", "True": "true", "False": "false", "inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
_WORDS_OF_YAML = {"null", "true", "false", "yes", "no", "on", "off", "nan", ".nan", "inf", ".inf"}


class Asked(NamedTuple):
    """How a session was asked for."""

    env: str | None = None  # None is the default one
    params: Mapping[str, Any] = {}  # as --params, nested
    conf_source: str | None = None  # None is the project's own
    is_package: bool = False  # whether there is no project but a conf/, where Kedro's own command does not work
    pipelines: tuple[str, ...] = ()
    selection: tuple[str, ...] = ()  # further options that name parts of them, as --tags=training


_asked = Asked()


def use(asked: Asked) -> None:
    """Set how the session that is now open was asked for."""
    global _asked  # noqa: PLW0603 - errors of every room suggest commands, and none of them knows the session
    _asked = asked


def asked() -> Asked:
    """Return how the session that is now open was asked for, or was the last one that was."""
    return _asked


def run(*pipelines: str, params: Mapping[str, Any] | None = None, on_page: bool = False) -> str:
    """Return the command that runs pipelines of this experiment.

    Args:
        pipelines: All of it, if none is named.
        params: By dotted name, in place of those that this run was asked for with.
        on_page: Whether it will be read elsewhere, where the program is found by its name alone.
    """
    return _whole(_run(pipelines, on_page=on_page), {**_given(), **_dotted(params or {})})


def same_run(params: Mapping[str, Any]) -> str:
    """Return the command that asks for what was asked for now, with other parameters."""
    return _whole([*_run(_asked.pipelines), *_asked.selection], {**_given(), **params})


def new_experiment() -> str:
    """Return the command that begins another experiment with the parameters that were asked for now."""
    asked_for = _asked.pipelines
    begins = not asked_for or {"prepare", "__default__"} & {*asked_for}
    return run(*(asked_for if begins else ("prepare",)), params={"experiment": "NAME"})


def restem(*words: str, of: str = "experiment", on_page: bool = False) -> str:
    """Return a command of restem.

    Args:
        words: Its name, arguments and options.
        of: "experiment", if it takes one; "study", if it takes --params alone; "project", if it takes neither.
        on_page: Whether it will be read elsewhere, where the program is found by its name alone.
    """
    given = _given() if of != "project" else {}
    named = given.pop("experiment", None) if of == "experiment" else None
    program = "restem" if on_page else _program("restem")
    options = ["--experiment", str(named)] if named is not None else []
    return _whole([program, *words], given, options)


def page_of(question_id: str) -> str:
    """Return the address of a question, where `restem view` is open."""
    return f"http://127.0.0.1:{VIEW_PORT}/#{fragment_of(question_id)}"


def fragment_of(question_id: str) -> str:
    """Return what leads to a question on the page of `restem view`, behind the # of its address."""
    return f"q={quote(question_id, safe='')}"


def _run(pipelines: Sequence[str], *, on_page: bool = False) -> list[str]:
    program = "restem" if _asked.is_package else "kedro"
    return [
        program if on_page else _program(program),
        "run",
        *([f"--pipelines={','.join(pipelines)}"] if pipelines else []),
    ]


def _whole(words: list[str], params: Mapping[str, Any], options: list[str] | None = None) -> str:
    if _asked.env:
        words += ["--env", _asked.env]
    if _asked.conf_source:
        words += ["--conf-source", _asked.conf_source]
    words += options or []
    if params:
        words.append(f"--params={','.join(f'{name}={_typed(value)}' for name, value in params.items())}")
    return mask(shlex.join(words))


def _given() -> dict[str, Any]:
    """Return, by dotted name, the parameters that the session was asked for with."""
    return {name: value for name, value in _dotted(_asked.params).items() if name != _ONCE}


def _dotted(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            found |= _dotted(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _typed(value: Any) -> str:
    """Return a value as it is typed after --params, where it is read as YAML."""
    if isinstance(value, str):
        return _typed_text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_typed, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_typed(name)}: {_typed(part)}' for name, part in value.items())}}}"
    return _IN_YAML.get(str(value), str(value))


def _typed_text(text: str) -> str:
    if _BREAKS.search(text):
        return json.dumps(text, ensure_ascii=False)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return "'" + text.replace("'", "''") + "'"


def _program(name: str) -> str:
    """Return what starts a program of this Python's environment: its name, where the shell would find that one."""
    own = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not own.exists() or (found and Path(found).samefile(own)):
        return name
    return str(own.relative_to(Path.cwd())) if own.is_relative_to(Path.cwd()) else str(own)
