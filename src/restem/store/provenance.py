"""What produced a number: package versions and the commit of the project."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PACKAGES = (
    "restem",
    "torch",
    "transformers",
    "trl",
    "kedro",
    "mlflow",
    "reasoning-gym",
    "math-verify",
    "pandas",
    "numpy",
)

OF_SAMPLING = ("torch", "transformers", "tokenizers", "restem")  # what decides over samples drawn in this process
OF_TRAINING = ("torch", "transformers", "trl", "restem")  # what decides over weights


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of these packages, or of all that matter; one that is not installed is left out."""
    by_package = {"python": platform.python_version()}
    for package in packages or _PACKAGES:
        try:
            by_package[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return by_package


def unlike(expected: Mapping[str, str]) -> str:
    """Return how the versions here differ from those that a run was started with; nothing if they do not."""
    here = versions(*expected)
    return "" if here == expected else f"has {here}, but the run was started with {dict(expected)}"


@cache
def git_commit() -> str:
    """Return the commit of the current folder's repository, with "+changes" if it has uncommitted ones.

    Outside a repository, or without git, it is what RESTEM_COMMIT says, as in an image that was built from one.
    """
    command = ["git", "-C", str(Path.cwd()), "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("RESTEM_COMMIT", "")
