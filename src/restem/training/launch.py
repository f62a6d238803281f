"""How many processes train, and how they share the work.

`training.launcher: in_process` trains where the pipeline runs; `accelerate` starts processes there by an accelerate
configuration file, one of conf/accelerate or one that `accelerate config` wrote; `ray` does so on nodes of a cluster.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from restem.engines.arithmetic import Arithmetic, arithmetic_of
from restem.errors import EngineError, ParameterError
from restem.parameters import TrainingParameters
from restem.parameters.decides import deciding
from restem.parameters.scale import ScaleParameters

_SHARDED = {"FSDP", "DEEPSPEED"}

# Keys of accelerate's file that say where processes run, not what they compute. The file is not ours to declare it in.
_WHERE = {
    "compute_environment",
    "debug",
    "distributed_type",
    "enable_cpu_affinity",
    "gpu_ids",
    "machine_rank",
    "main_process_ip",
    "main_process_port",
    "main_training_function",
    "mixed_precision",  # training.dtype decides
    "num_machines",
    "num_processes",
    "rdzv_backend",
    "same_network",
    "use_cpu",
}
# Parameters by which a file and a number of processes are had; what decides is what comes of them.
_LAUNCHING = {"launcher", "launcher_config", "processes"}

# Variables by which torch's launcher tells a process that it is one of several.
_OF_THE_GROUP = r"(LOCAL_|GROUP_|ROLE_)?(RANK|WORLD_SIZE)|ROLE_NAME|MASTER_(ADDR|PORT)|TORCHELASTIC_.*"


class Launch(NamedTuple):
    """The processes of a training."""

    config: Path | None  # of accelerate; None trains in this process
    n_processes: int  # over all machines
    n_machines: int
    sharding: str  # "" if every process holds all weights, else FSDP or DEEPSPEED
    settings: dict[str, Any]  # of the file, those that change what is computed

    @property
    def is_sharded(self) -> bool:
        """Return whether no process holds all weights."""
        return bool(self.sharding)

    def deciding(self) -> dict[str, Any]:
        """Return what decides the weights besides parameters and data.

        Sums over processes are rounded in another order than sums in one.
        """
        return {"processes": self.n_processes, "sharding": self.sharding, "launcher_config": self.settings}


def launch_of(training: TrainingParameters) -> Launch:
    """Return how the processes of a training are started.

    Raises:
        ParameterError: If the configuration file cannot be used, or processes and batches do not fit.
    """
    refuse_unlaunchable(training)
    if training.launcher == "in_process":
        return Launch(None, 1, 1, "", {})
    launch = _by_accelerate(training)
    _refuse_unequal_shares(training, launch.n_processes)
    return launch


def refuse_unlaunchable(training: TrainingParameters) -> None:
    """Raise if processes and batches do not fit, as far as the parameters say without the configuration file.

    Raises:
        ParameterError: With what does not fit.
    """
    if training.launcher == "in_process":
        for name, value in (("processes", training.processes), ("machines", training.machines)):
            if (value or 1) > 1:
                raise ParameterError(f"training.{name} = {value} needs training.launcher=accelerate or ray")
        _refuse_unequal_shares(training, 1)
    elif training.processes:
        _refuse_uneven_machines(training.processes, training.machines or 1)
        _refuse_unequal_shares(training, training.processes)


def decides_weights(training: TrainingParameters, scale: ScaleParameters) -> dict[str, Any]:
    """Return what decides, of `training`, over the weights, as it becomes on this machine.

    Args:
        training: The parameters.
        scale: The cluster, if `training.launcher` is ray.

    Raises:
        ParameterError: As `launch_of`.
    """
    launch = launch_of(training)
    values = {name: value for name, value in deciding(training, "policy").items() if name not in _LAUNCHING}
    became = {"micro_batch_size": micro_batch_size(training, launch), **training_arithmetic(training, scale)._asdict()}
    return values | became | launch.deciding()


def training_arithmetic(training: TrainingParameters, scale: ScaleParameters | None = None) -> Arithmetic:
    """Return the type that matrix products run in and the kind of device.

    Args:
        training: The parameters.
        scale: The cluster, for a process that does not train itself; None in one that does.

    Raises:
        ParameterError: If `auto` cannot be resolved here, because only other machines have the device.
    """
    device = None
    if scale is not None and training.launcher == "ray":
        device = "cuda" if scale.training.gpus else "cpu"  # Ray hides the GPUs that a process did not ask for
    try:
        return arithmetic_of(training.dtype, device)
    except EngineError as error:
        raise ParameterError(
            f"training.dtype=auto cannot be resolved on this machine, which has no {device} as those that train: set "
            "training.dtype=bfloat16 or float32"
        ) from error


def is_first_process() -> bool:
    """Return whether this process is the one that writes; a process that trains alone is."""
    return os.environ.get("RANK", "0") == "0"  # set by torch's launcher


@contextmanager
def outside_of_the_group() -> Iterator[None]:
    """Hide from what is started here that this process is one of several: an engine's process is none of them."""
    variables = {name: os.environ.pop(name) for name in list(os.environ) if re.fullmatch(_OF_THE_GROUP, name)}
    try:
        yield
    finally:
        os.environ.update(variables)


def micro_batch_size(training: TrainingParameters, launch: Launch) -> int:
    """Return how many rows a process takes at once: `training.micro_batch_size`, or its share of a batch if less."""
    return _rows_at_once(training, launch.n_processes)


def _rows_at_once(training: TrainingParameters, n_processes: int) -> int:
    share = max(1, training.batch_size // n_processes)
    size = training.micro_batch_size or share
    return size if n_processes == 1 else min(size, share)


def _refuse_unequal_shares(training: TrainingParameters, n_processes: int) -> None:
    size = _rows_at_once(training, n_processes)
    if training.batch_size % (size * n_processes):
        shared = f" times {n_processes} training.processes" if n_processes > 1 else ""
        raise ParameterError(
            f"training.batch_size must be a multiple of training.micro_batch_size = {size}{shared}, "
            f"got {training.batch_size}"
        )


def _refuse_uneven_machines(n_processes: int, n_machines: int) -> None:
    if n_processes % n_machines:
        raise ParameterError(
            f"training.processes must be a multiple of training.machines = {n_machines}, got {n_processes}"
        )


def _by_accelerate(training: TrainingParameters) -> Launch:
    file = Path(training.launcher_config)
    content = _read(file)
    n_processes = _number(training.processes or content.get("num_processes") or 1, f"num_processes in {file}")
    n_machines = _number(training.machines or content.get("num_machines") or 1, f"num_machines in {file}")
    _refuse_uneven_machines(n_processes, n_machines)
    has_address = content.get("main_process_ip") and content.get("main_process_port")
    if n_machines > 1 and training.launcher == "accelerate" and not has_address:
        raise ParameterError(
            f"training.machines = {n_machines}: name this machine as main_process_ip and main_process_port in {file}"
        )
    kind = str(content.get("distributed_type", "NO"))
    settings = {key: value for key, value in content.items() if key not in _WHERE and value not in ({}, None)}
    return Launch(file, n_processes, n_machines, kind if kind in _SHARDED else "", settings)


def _read(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParameterError(
            f"training.launcher_config must name an accelerate configuration, as conf/accelerate/ddp.yaml; "
            f"there is no {file.absolute()}"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"training.launcher_config = {file} cannot be read: {error}") from error
    if not isinstance(content, Mapping) or "distributed_type" not in content:
        raise ParameterError(
            f"training.launcher_config = {file} is no accelerate configuration: it has no distributed_type"
        )
    return content


def _number(value: Any, name: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name} must be a number from 1, got {value!r}")
    return value
