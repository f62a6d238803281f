"""Training in several processes, started by `accelerate launch`, here or on nodes of a Ray cluster.

The processes read a request, train, and leave a result or what went wrong beside it. What they log is logged here.
"""

import json
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from restem import errors, live
from restem.engines.arithmetic import arithmetic_of
from restem.errors import RestemError, TrainingError
from restem.parameters.scale import ScaleParameters
from restem.scale import LOCAL
from restem.screen import screen
from restem.spending import spending
from restem.store.ledger import Account
from restem.store.processes import n_cores, running
from restem.training.launch import Launch, launch_of
from restem.training.request import (
    FAILURE,
    LIVE_MARK,
    LOG_MARK,
    READING_MARK,
    RESULT,
    SPENT_MARK,
    TrainingRequest,
    TrainingResult,
    write_request,
)

_logger = logging.getLogger(__name__)

_FOLDER = "launch"
_UNSHOWN = (f"{LIVE_MARK}|", f"{SPENT_MARK}|", f"{READING_MARK}|")
_LOGS = "logs"
_CONFIG = "accelerate.yaml"
_N_LAST_LINES = 12
_N_LINES_KEPT = 200
_LINE = re.compile(r"^\[\D*(\d+)\]:(.*)$")  # [default0]:what process 0 of this machine said
_CAUSE = re.compile(r"Root Cause.*?rank\s*:\s*(\d+) \(local_rank: (\d+)\)\s*exitcode\s*:\s*(-?\d+)", re.DOTALL)


class _Cause(NamedTuple):
    """Which process was the first to fail, as torch's launcher says."""

    rank: int
    local_rank: int  # on its machine
    exit_code: int  # negative: the signal


class _Output:
    """What the processes of all machines print: it is logged or shown where it says so, and its end is kept."""

    def __init__(self) -> None:
        self.kept: defaultdict[int, deque[str]] = defaultdict(lambda: deque(maxlen=_N_LINES_KEPT))

    def take(self, machine: int, line: str) -> None:
        """Take a line."""
        tagged = _LINE.match(line)
        text = tagged[2] if tagged else line
        mark, _, rest = text.partition("|")
        if mark == LOG_MARK:
            level, _, message = rest.partition("|")
            _logger.log(int(level), "%s", message.rstrip("\n"))
        elif mark == LIVE_MARK:
            title, _, state = rest.partition("|")
            screen.live(title, state.rstrip("\n"))
        elif mark == SPENT_MARK:
            spending.add(Account.from_json(json.loads(rest)))
        elif mark == READING_MARK:
            live.report(*json.loads(rest))
        elif text.strip():
            self.kept[machine].append(text.rstrip("\n"))


def train_in_processes(request: TrainingRequest, scale: ScaleParameters = LOCAL) -> TrainingResult:
    """Return the finished training of as many processes as `training` asks for.

    Args:
        request: What to train.
        scale: The cluster, if `training.launcher` is ray.

    Raises:
        RestemError: What a process raised.
        ScaleError: If the cluster cannot be had.
        TrainingError: If processes cannot be started, or one of them is killed or fails otherwise.
    """
    launch = launch_of(request.parameters)
    on_ray = request.parameters.launcher == "ray"
    _check_hardware(launch, scale if on_ray else None)
    with ExitStack() as stack:
        place = request.unfinished or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = place.absolute() / _FOLDER
        shutil.rmtree(folder, ignore_errors=True)  # of a run before
        folder.mkdir(parents=True)
        write_request(request, folder)
        shutil.copyfile(launch.config or "", folder / _CONFIG)  # where all machines see it
        output = _Output()
        ended = _run_on_ray(launch, request, scale, output, folder) if on_ray else _run_here(launch, folder, output)
        if any(ended.values()):
            raise _failure(folder, launch, ended, output)
        content = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return TrainingResult(request.output, **content)


def launch_command(
    launch: Launch,
    folder: Path,
    *,
    machine: int = 0,
    address: tuple[str, int] | None = None,
    threads: int | None = None,
) -> list[str]:
    """Return the command that starts a machine's processes, on the request in a folder.

    Args:
        launch: Of all machines.
        folder: That all of them see.
        machine: Its number.
        address: IP address and port of the first; None is what the configuration file says, or any on one machine.
        threads: Of a process; None is its share of this machine's.
    """
    share = max(1, n_cores() * launch.n_machines // launch.n_processes)
    if address is not None:
        meeting = ["--main_process_ip", address[0], "--main_process_port", str(address[1])]
    else:
        # A free port where any will do, so that trainings do not meet; several machines have to agree on one.
        meeting = ["--main_process_port", "0"] if launch.n_machines == 1 else []
    return [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--config_file", str(folder / _CONFIG)),
        *("--num_processes", str(launch.n_processes)),
        *("--num_machines", str(launch.n_machines)),
        *("--machine_rank", str(machine)),
        *meeting,
        *("--mixed_precision", "no"),  # training.dtype decides
        *("--num_cpu_threads_per_process", str(threads or os.environ.get("OMP_NUM_THREADS", share))),
        *("--tee", "3", "--log_dir", str(folder / _LOGS / str(machine))),
        *("--module", "restem.training.worker", str(folder)),
    ]


def _run_here(launch: Launch, folder: Path, output: _Output) -> dict[int, int]:
    """Return how this machine's command ended."""
    _logger.info("training in %d processes by %s", launch.n_processes, launch.config)
    for machine in range(1, launch.n_machines):
        elsewhere = launch_command(launch, folder, machine=machine)
        _logger.info("start on machine %d, in a folder like this one: %s", machine, shlex.join(elsewhere))
    with running(launch_command(launch, folder)) as process:
        for line in process.stdout or ():
            output.take(0, line)
        return {0: process.wait()}


def _run_on_ray(
    launch: Launch, request: TrainingRequest, scale: ScaleParameters, output: _Output, folder: Path
) -> dict[int, int]:
    """Return how the commands of the cluster's nodes ended."""
    from restem.scale.ray_training import Nodes, run_on_nodes

    def command(machine: int, address: tuple[str, int]) -> list[str]:
        threads = max(1, int(scale.training.cpus))
        return launch_command(launch, folder, machine=machine, address=address, threads=threads)

    _logger.info("training in %d processes on %d Ray nodes by %s", launch.n_processes, launch.n_machines, launch.config)
    dtype = request.parameters.dtype
    arithmetic = arithmetic_of(dtype)
    if arithmetic.device == "cuda" and not scale.training.gpus:
        raise TrainingError(
            "this machine has a GPU to train on, and scale.training.gpus=0 hides it from the processes, which would "
            "train other weights on their CPUs: set scale.training.gpus=1, or hide the GPU from the run itself "
            "(CUDA_VISIBLE_DEVICES=)"
        )
    nodes = Nodes(launch.n_machines, launch.n_processes // launch.n_machines, folder, dtype, arithmetic)
    return run_on_nodes(command, nodes, scale, output.take)


def _check_hardware(launch: Launch, cluster: ScaleParameters | None) -> None:
    """Raise if the weights are to be divided where they cannot be: here, or on a cluster."""
    if not launch.is_sharded:
        return
    import torch

    if launch.sharding == "DEEPSPEED" and find_spec("deepspeed") is None:
        raise TrainingError(f"{launch.config} asks for DeepSpeed, which is not installed: pip install deepspeed")
    if cluster is not None and not cluster.training.gpus:
        raise TrainingError(
            f"{launch.config} divides the weights among GPUs, and scale.training.gpus is 0; ask for one for each "
            "process, or take training.launcher_config=conf/accelerate/ddp.yaml, which also trains on CPUs"
        )
    if cluster is None and not torch.accelerator.is_available():
        raise TrainingError(
            f"{launch.config} divides the weights among GPUs, and there is none; "
            "training.launcher_config=conf/accelerate/ddp.yaml also trains on CPUs"
        )


def _failure(folder: Path, launch: Launch, ended: Mapping[int, int], output: _Output) -> RestemError:
    """Return the error that says what went wrong first.

    Args:
        folder: Of the request.
        launch: Of the processes.
        ended: Exit codes of the machines' commands, in the order in which they ended.
        output: What they printed.
    """
    reports = sorted(folder.glob(f"{FAILURE}*.json"), key=lambda file: file.stat().st_mtime_ns)
    if reports:
        report = json.loads(reports[0].read_text(encoding="utf-8"))
        kind: type[RestemError] = getattr(errors, report["kind"])
        return kind(report["message"])
    causes = [(cause, machine) for machine in ended if (cause := _cause(output.kept[machine]))]
    if not causes:
        machine, code = next((machine, code) for machine, code in ended.items() if code)
        last = "\n".join([*output.kept[machine]][-_N_LAST_LINES:])
        return TrainingError(f"accelerate launch with {launch.config} ended with {code}:\n{last}")
    # One that was killed takes others with it, on other machines perhaps before its own noticed.
    cause, machine = min(causes, key=lambda each: each[0].exit_code >= 0)
    how = (
        f"was ended by signal {-cause.exit_code} ({signal.Signals(-cause.exit_code).name})"
        + (", as the kernel does when memory is short" if cause.exit_code == -signal.SIGKILL else "")
        if cause.exit_code < 0
        else f"ended with {cause.exit_code}"
    )
    last = "\n".join(_last_lines(folder / _LOGS / str(machine), cause))
    return TrainingError(
        f"process {cause.rank} of {launch.n_processes} (rank {cause.rank}) {how}, so the others were stopped. "
        f"Run again: training goes on from its last checkpoint. It said last:\n{last or '(nothing)'}"
    )


def _cause(lines: Iterable[str]) -> _Cause | None:
    match = _CAUSE.search("\n".join(lines))
    return _Cause(*map(int, match.groups())) if match else None


def _last_lines(logs: Path, cause: _Cause) -> list[str]:
    """Return the end of what a process said, errors last."""
    lines: list[str] = []
    for stream in ("stdout", "stderr"):
        for file in logs.glob(f"*/attempt_0/{cause.local_rank}/{stream}.log"):
            text = file.read_text(encoding="utf-8", errors="replace")
            said = (line for line in text.splitlines() if line.strip() and not line.startswith(_UNSHOWN))
            lines += [line.removeprefix(f"{LOG_MARK}|") for line in said]
    return lines[-_N_LAST_LINES:]
