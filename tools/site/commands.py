"""The reference of commands, read from click: `restem ...`, and the options of `kedro run`."""

import inspect
from collections.abc import Iterator
from typing import NamedTuple

import click

from restem.__main__ import restem
from restem.cli import run


class Shown(NamedTuple):
    """A command, as typed."""

    name: str
    command: click.Command


def command_pages() -> str:
    """Return a section for each command: how it is typed, what it does, its arguments and options."""
    return "\n\n".join(_section(shown) for shown in commands())


def commands() -> Iterator[Shown]:
    """Yield every command of restem, those of its groups included, and `kedro run`."""
    yield from sorted(_inside("restem", restem))
    yield Shown("kedro run", run)


def _inside(name: str, command: click.Command) -> Iterator[Shown]:
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield Shown(name, command)
        for inner, of in command.commands.items():
            yield from _inside(f"{name} {inner}", of)
    else:
        yield Shown(name, command)


def options_of(shown: Shown) -> list[tuple[str, str]]:
    """Return the options of a command, as typed, and what each is for; --help is left out."""
    with click.Context(shown.command, info_name=shown.name) as context:
        options = [param for param in shown.command.params if isinstance(param, click.Option)]
        records = [option.get_help_record(context) for option in options]
    return [record for record in records if record]


def _section(shown: Shown) -> str:
    context = click.Context(shown.command, info_name=shown.name)
    usage = " ".join([shown.name, *shown.command.collect_usage_pieces(context)])
    said = inspect.cleandoc(click.unstyle(shown.command.help or "").replace("\b", ""))
    rows = [
        f"| `{typed.replace('|', chr(92) + '|')}` | {help.replace('|', chr(92) + '|')} |"
        for typed, help in options_of(shown)
    ]
    table = "\n".join(["| option | what it does |", "|---|---|", *rows]) if rows else "It takes no options."
    return f"## `{shown.name}`\n\n```text\n{usage}\n```\n\n{said}\n\n{table}"
