"""Which child run an iteration belongs to before it has a record: what decides over it, and who makes it."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from restem.configuration.consistency import deciding_here
from restem.parameters import Parameters
from restem.parameters.decides import OF_BASELINE, Stage
from restem.store.fingerprints import fingerprint

_STARTED = 19  # place of a process's start in /proc/PID/stat behind its name. Source: man 5 proc_pid_stat


def attempt_at(iteration: int, before: Mapping[str, Any], parameters: Parameters) -> str:
    """Return the name of what an iteration is made of.

    Args:
        iteration: That is about to be made.
        before: The record of the iteration before; empty for the base policy, iteration 0.
        parameters: As they are now.
    """
    given = [before["policy"], before["base"], before["questions_digest"]] if iteration else []
    return _named(iteration, given, deciding_here(parameters))


def attempt_of(record: Mapping[str, Any]) -> str:
    """Return that name for an iteration that has a record."""
    i = record["iteration"]
    given = [record["parent"], record["base"], record["questions_digest"]] if i else []
    return _named(i, given, record.get("decided_by", {}))


def _named(iteration: int, given: list[str], decided_by: Mapping[str, Mapping[str, Any]]) -> str:
    stages = get_args(Stage) if iteration else OF_BASELINE
    return fingerprint([iteration, given, {stage: decided_by.get(stage) for stage in stages}])


def this_process() -> str:
    """Return the name of this process, which no other has, on no host, nor later with the same number."""
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def is_gone(process: str) -> bool:
    """Return whether a process is known to have ended; of one on another host nothing is known."""
    host, _, rest = process.partition(" ")
    number, _, started = rest.partition(" ")
    return host == socket.gethostname() and number.isdecimal() and _started(int(number)) != started


def _started(process: int) -> str:
    """Return when a process was started, in ticks since the machine was; nothing if it is not there, or is dead."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[_STARTED]
