"""Kedro's commands in this project: its `run`, as restem reads its parameters."""

from restem.cli import cli, run

__all__ = ["cli", "run"]
