"""Commands of restem and Kedro as processes that have imported everything already: forks of a server.

A new process imports torch, transformers and TRL for ten seconds of processor time, a fork for none. What a test says
of starting, of imports or of what is installed needs a new one.
"""

import atexit
import contextlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from multiprocessing.process import BaseProcess
from pathlib import Path

_IMPORTED = (
    "kedro.framework.cli", "kedro.framework.session", "mlflow", "datasets", "matplotlib.figure",
    "transformers.models.llama.modeling_llama", "trl.trainer.sft_trainer", "restem.pipeline_registry",
    "restem.engines.transformers", "restem.training.weighted_sft", "restem.hooks",
)  # fmt: skip
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(list(_IMPORTED))


def start(command: Sequence[str], folder: Path, output: Path | None = None, **environment: str) -> BaseProcess:
    """Return a running process that leads a group of its own.

    Args:
        command: The name of a console script that is installed here and its arguments, or "python", "-c", code and
            its arguments.
        folder: Its current folder.
        output: What it prints goes to this file, and what it reports to the one with `.err` behind; None drops both.
        environment: Variables beside this process's own.
    """
    arguments = (list(command), str(folder), str(output) if output else os.devnull, {**os.environ, **environment})
    process = _forks.Process(target=_run, args=arguments)
    process.start()
    return process


def run(command: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return the finished process, as `subprocess.run` with captured text does."""
    output = folder / f".output-{os.urandom(4).hex()}"
    process = start(command, folder, output, **environment)
    process.join()
    streams = (output, output.with_suffix(".err"))
    out, err = (stream.read_text() for stream in streams)
    for stream in streams:
        stream.unlink()
    return subprocess.CompletedProcess(list(command), process.exitcode or 0, out, err)


def _run(command: list[str], folder: str, output: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    errors = output if output == os.devnull else str(Path(output).with_suffix(".err"))
    for stream, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    try:
        if command[:2] == ["python", "-c"]:
            sys.argv = ["-c", *command[3:]]
            exec(command[2], {"__name__": "__main__"})
        else:
            script, *_ = entry_points(group="console_scripts", name=command[0])  # two packages install mlflow's
            script.load()()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(ValueError):  # closed
                stream.flush()
        atexit._run_exitfuncs()  # a forked process of multiprocessing leaves without them
