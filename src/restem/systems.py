"""What of restem works on which operating system: said once, and before anything is imported that one of them lacks."""

import re
import sys
from typing import NamedTuple

_SANDBOXED = ("x86_64", "aarch64")  # architectures; the sandbox asks the kernel by numbers
_OLDEST_KERNEL = (5, 14)  # of the sandbox
_INSTEAD_OF_WINDOWS = "run it in WSL 2: `wsl --install` in PowerShell, and there as on Linux (docs/start.md)"
_WITHOUT_SANDBOX = "the reward `code`, and `sandbox: true`, refuse to judge; other rewards need none"


class Fitness(NamedTuple):
    """What works on a system."""

    level: str  # ok; warning: not all of it; fault: nothing
    said: str
    todo: str = ""


def fitness(system: str, release: str, architecture: str) -> Fitness:
    """Return what works.

    Args:
        system: As `platform.system()` has it: Linux, Darwin, Windows.
        release: Of its kernel.
        architecture: As `platform.machine()` has it.
    """
    if system == "Linux":
        return _of_linux(release, architecture)
    if system == "Darwin":
        todo = "run it in a container of Linux (deploy/Dockerfile) for these, and where anything else fails"
        return Fitness(
            "warning", f"macOS on {architecture} was not tried, and has no sandbox: {_WITHOUT_SANDBOX}", todo
        )
    if system == "Windows":
        return Fitness(
            "fault", "Windows itself: restem needs signals and locks that it does not have", _INSTEAD_OF_WINDOWS
        )
    return Fitness("fault", f"{system}: restem needs Linux", "run it on Linux: in a container or a virtual machine")


def _of_linux(release: str, architecture: str) -> Fitness:
    said = f"Linux {release} on {architecture}"
    if "Microsoft" in release:  # WSL 2 has its name in small letters
        todo = "`wsl --set-version DISTRIBUTION 2` in PowerShell"
        return Fitness("warning", f"{said} is WSL 1, which has no sandbox: {_WITHOUT_SANDBOX}", todo)
    if architecture not in _SANDBOXED:
        todo = f"use one of {' or '.join(_SANDBOXED)} for them"
        return Fitness("warning", f"{said}, for which there is no sandbox: {_WITHOUT_SANDBOX}", todo)
    if _numbers(release) < _OLDEST_KERNEL:
        oldest = ".".join(map(str, _OLDEST_KERNEL))
        return Fitness("warning", f"{said}: the sandbox was not tried before Linux {oldest}", "use a newer kernel")
    return Fitness("ok", f"{said}, in WSL 2" if "microsoft" in release else said)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", release)[:2]))


def refuse_windows() -> None:
    """End with a sentence on Windows, where what is imported next is not there."""
    if sys.platform == "win32":
        _, said, todo = fitness("Windows", "", "")
        raise SystemExit(f"{said}; {todo}")
