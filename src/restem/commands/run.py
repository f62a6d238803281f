"""`restem run`: Kedro's own run, where restem is installed as a package and there is no project but a conf/."""

from typing import Any

import click


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run pipelines where restem is a package, as kedro run does.

    With the conf/ of the current folder.
    """
    from kedro.framework.cli.utils import find_run_command
    from kedro.framework.project import configure_project

    configure_project("restem")
    command: Any = find_run_command("restem")
    command.main(list(arguments), prog_name="restem run")
