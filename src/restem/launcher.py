"""Training in several processes, started by `accelerate launch` and watched from here.

The processes read a request, train, and leave a result or what went wrong beside it. What they log is logged here.
"""

import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from restem import errors
from restem.errors import RestemError, TrainingError
from restem.launch_plan import LaunchPlan, launch_plan
from restem.trainer import TrainingResult
from restem.training_request import TrainingRequest, write_request
from restem.training_worker import FAILURE, LOG_MARK, PARENT, RESULT

_logger = logging.getLogger(__name__)

_FOLDER = "launch"
_LOGS = "logs"
_N_LAST_LINES = 12
_GRACE_S = 10.0  # for processes to end when asked to
_LINE = re.compile(r"^\[\D*(\d+)\]:(.*)$")  # [default0]:what process 0 of this machine said
_CAUSE = re.compile(r"Root Cause.*?rank\s*:\s*(\d+) \(local_rank: (\d+)\)\s*exitcode\s*:\s*(-?\d+)", re.DOTALL)


class _Cause(NamedTuple):
    """Which process was the first to fail, as torch's launcher says."""

    rank: int
    local_rank: int  # on its machine
    exit_code: int  # negative: the signal


def train_in_processes(request: TrainingRequest) -> TrainingResult:
    """Return the finished training of as many processes as `training` asks for.

    Raises:
        RestemError: What a process raised.
        TrainingError: If processes cannot be started, or one of them is killed or fails otherwise.
    """
    plan = launch_plan(request.parameters)
    _check_hardware(plan)
    with ExitStack() as held:
        place = request.unfinished or Path(held.enter_context(tempfile.TemporaryDirectory()))
        folder = place.absolute() / _FOLDER
        shutil.rmtree(folder, ignore_errors=True)  # of a run before
        folder.mkdir(parents=True)
        write_request(request, folder)
        command = launch_command(plan, folder)
        _announce(plan, command)
        lines: deque[str] = deque(maxlen=200)
        with _running(command) as process:
            _follow(process, lines)
        if process.returncode:
            raise _failure(folder, plan, process.returncode, list(lines))
        content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return TrainingResult(request.output, **content)


def launch_command(plan: LaunchPlan, folder: Path) -> list[str]:
    """Return the command that starts this machine's processes, on the request in a folder."""
    threads = max(1, len(os.sched_getaffinity(0)) * plan.n_machines // plan.n_processes)
    # A free port where any will do, so that trainings do not meet; several machines have to agree on one.
    port = ["--main_process_port", "0"] if plan.n_machines == 1 else []
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(plan.config)),
        *("--num_processes", str(plan.n_processes)),
        *("--num_machines", str(plan.n_machines)),
        *("--machine_rank", "0"),
        *port,
        *("--mixed_precision", "no"),  # training.dtype decides
        *("--num_cpu_threads_per_process", os.environ.get("OMP_NUM_THREADS", str(threads))),
        *("--tee", "3", "--log_dir", str(folder / _LOGS)),
        *("--module", "restem.training_worker", str(folder)),
    ]


def _check_hardware(plan: LaunchPlan) -> None:
    if not plan.is_sharded:
        return
    import torch

    if plan.sharding == "DEEPSPEED" and find_spec("deepspeed") is None:
        raise TrainingError(f"{plan.config} asks for DeepSpeed, which is not installed: pip install deepspeed")
    if not torch.accelerator.is_available():
        raise TrainingError(
            f"{plan.config} divides the weights among GPUs, and there is none; "
            "training.launcher_config=conf/accelerate/ddp.yaml also trains on CPUs"
        )


def _announce(plan: LaunchPlan, command: list[str]) -> None:
    _logger.info("training in %d processes by %s", plan.n_processes, plan.config)
    for rank in range(1, plan.n_machines):
        place = command.index("--machine_rank") + 1
        elsewhere = [*command[:place], str(rank), *command[place + 1 :]]
        _logger.info("start on machine %d, in a folder like this one: %s", rank, shlex.join(elsewhere))


@contextmanager
def _running(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Start the processes; none of them is left, however this is left."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, PARENT: str(os.getpid())},
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


def _follow(process: "subprocess.Popen[str]", lines: deque[str]) -> None:
    """Log what the processes log, and keep the rest of what they say."""
    for line in process.stdout or ():
        tagged = _LINE.match(line)
        said = tagged[2] if tagged else line
        mark, _, rest = said.partition("|")
        if mark == LOG_MARK:
            level, _, message = rest.partition("|")
            _logger.log(int(level), "%s", message.rstrip("\n"))
        elif said.strip():
            lines.append(said.rstrip("\n"))
    process.wait()


def _failure(folder: Path, plan: LaunchPlan, code: int, lines: list[str]) -> RestemError:
    """Return the error that says what went wrong first."""
    reports = sorted(folder.glob(f"{FAILURE}*.json"), key=lambda file: file.stat().st_mtime_ns)
    if reports:
        found = json.loads(reports[0].read_text(encoding="utf-8"))
        kind: type[RestemError] = getattr(errors, found["kind"])
        return kind(found["message"])
    cause = _cause(lines)
    if cause is None:
        said = "\n".join(lines[-_N_LAST_LINES:])
        return TrainingError(f"accelerate launch with {plan.config} ended with {code}:\n{said}")
    how = (
        f"was ended by signal {-cause.exit_code} ({signal.Signals(-cause.exit_code).name})"
        + (", as the kernel does when memory is short" if cause.exit_code == -signal.SIGKILL else "")
        if cause.exit_code < 0
        else f"ended with {cause.exit_code}"
    )
    said = "\n".join(_last_lines(folder, cause))
    return TrainingError(
        f"process {cause.rank} of {plan.n_processes} (rank {cause.rank}) {how}, so the others were stopped. Run again: "
        f"training goes on from its last checkpoint. It said last:\n{said or '(nothing)'}"
    )


def _cause(lines: list[str]) -> _Cause | None:
    found = _CAUSE.search("\n".join(lines))
    return _Cause(*map(int, found.groups())) if found else None


def _last_lines(folder: Path, cause: _Cause) -> list[str]:
    """Return the end of what a process said, errors last."""
    said: list[str] = []
    for stream in ("stdout", "stderr"):
        for file in (folder / _LOGS).glob(f"*/attempt_0/{cause.local_rank}/{stream}.log"):
            text = file.read_text(encoding="utf-8", errors="replace")
            said += [line.removeprefix(f"{LOG_MARK}|") for line in text.splitlines() if line.strip()]
    return said[-_N_LAST_LINES:]
