"""Processes that are started, and that do not outlive who started them."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PARENT = "RESTEM_PARENT"  # environment variable: the process that one that is started must not outlive
_GRACE_S = 10.0  # for processes to end when asked to


@contextmanager
def running(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[str]"]:
    """Start processes, with changes to the environment; none of them is left, however this is left."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {}), PARENT: str(os.getpid())},
        start_new_session=True,  # Ctrl-C comes to us alone, and we end them
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()  # its processes watch it, and end with it
                process.wait()


def n_cores() -> int:
    """Return how many processors this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )  # macOS has no such
