"""The command `restem`; each of its commands is a module of restem.commands."""

import os
from pathlib import Path

import click

from restem import __version__
from restem.ending import end_when_told

end_when_told()  # before what takes a while to import

# ruff: noqa: E402 - what takes a while to import stands behind the call above
from restem.commands.compare import compare
from restem.commands.doctor import doctor
from restem.commands.experiments import delete, list_experiments, report
from restem.commands.export import export
from restem.commands.init import init
from restem.commands.inspect import audit, inspect
from restem.commands.journal import journal
from restem.commands.plan import plan
from restem.commands.project import mlflow_sync, status
from restem.commands.prompt import prompt
from restem.commands.questions import questions
from restem.commands.run import run
from restem.commands.score import score
from restem.commands.study import study
from restem.commands.trace import trace
from restem.commands.view import view
from restem.masking import mask_all_messages


@click.group()
@click.version_option(__version__, prog_name="restem")
def restem() -> None:
    """Self-train language models with ReST^EM."""
    if not list(Path("conf").glob("logging.*")):  # as without a project, or with the configuration in an archive
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(Path(__file__).with_name("logging.yml")))
    mask_all_messages()


for _command in (
    init,
    run,
    questions,
    score,
    audit,
    inspect,
    status,
    doctor,
    list_experiments,
    report,
    delete,
    compare,
    plan,
    study,
    view,
    trace,
    prompt,
    journal,
    export,
    mlflow_sync,
):
    restem.add_command(_command)

if __name__ == "__main__":
    restem(prog_name="restem")
