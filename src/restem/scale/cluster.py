"""The Ray cluster: reached, or started on this machine; and whether it can do what is asked of it.

Ray is imported here and in `restem.scale.ray_workers` only, and only when the backend is `ray`.
"""

import logging
import os
import socket
import time
from typing import Any

from restem.errors import ScaleError
from restem.scale.parameters import ScaleParameters, WorkersParameters

logger = logging.getLogger(__name__)

_STORE_BYTES = 200_000_000  # of a cluster started here: a few shards of prompts; results never pass through Ray
_LOOK_EVERY_S = 0.5
# Ray's head speaks gRPC, so HTTP/2: a connection preface and empty settings are answered by settings (RFC 9113, 3.4).
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_HTTP2_FRAME_BYTES = 9
_HTTP2_SETTINGS = b"\4"


def connect(scale: ScaleParameters) -> Any:
    """Return the module `ray`, connected to the cluster; it stays connected until this process ends.

    Raises:
        ScaleError: If Ray is missing, or the cluster cannot be reached or is of other versions.
    """
    ray = _import_ray()
    if ray.is_initialized():
        _refuse_another(ray, scale.address)
        return ray
    options: dict[str, Any] = {"configure_logging": False, "log_to_driver": True}
    if scale.address is None:
        options |= {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    else:
        _refuse_silent(scale.address, patience_s=scale.patience_s)
        options |= {"address": scale.address}
    try:
        ray.init(**options)
    except (RuntimeError, ConnectionError, ValueError, ray.exceptions.RayError) as error:
        where = f"scale.address={scale.address}" if scale.address else "a Ray cluster on this machine"
        raise ScaleError(f"{where} cannot be used: {error}") from error
    return ray


def wait_for_room(ray: Any, asked: WorkersParameters, *, kind: str, patience_s: float) -> None:
    """Return when some node is big enough for a worker, busy or not.

    Args:
        ray: The module, connected.
        asked: What a worker takes.
        kind: The group of `scale`, for messages.
        patience_s: How long a node may take to join.

    Raises:
        ScaleError: If none did.
    """
    until = time.monotonic() + patience_s
    while not any(_has_room(node, asked) for node in ray.nodes()):
        if time.monotonic() > until:
            raise ScaleError(
                f"no node of the Ray cluster has room for a worker: scale.{kind} asks for {asked.cpus:g} CPUs and "
                f"{asked.gpus:g} GPUs for each, and the nodes have {_described(ray)}. Ask for less, or add a node; "
                f"this run waited {patience_s:g} s for one (scale.patience_s)"
            )
        time.sleep(_LOOK_EVERY_S)


def _has_room(node: dict[str, Any], asked: WorkersParameters) -> bool:
    has = node["Resources"]
    return bool(node["Alive"] and has.get("CPU", 0) >= asked.cpus and has.get("GPU", 0) >= asked.gpus)


def _described(ray: Any) -> str:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    described = (f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs" for has in nodes)
    return "; ".join(sorted(described, reverse=True)) or "nothing"


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ScaleError(
            "scale.backend=ray needs Ray: pip install 'restem[ray]'; or work in one process with scale.backend=local"
        ) from error
    return ray


def _refuse_another(ray: Any, address: str | None) -> None:
    current = ray.get_runtime_context().gcs_address
    if address is not None and address not in {"auto", current}:
        raise ScaleError(
            f"this process is connected to the Ray cluster {current} already, and scale.address is {address}; "
            "start a new process, or call ray.shutdown() first"
        )


def _refuse_silent(address: str, *, patience_s: float) -> None:
    """Raise if nothing answers at the address: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ScaleError(
            f"scale.address must be HOST:PORT of the cluster's head, as ray start --head prints it, or auto, "
            f"got {address!r}; this process itself must run on a node of the cluster"
        )
    try:
        with socket.create_connection((host, int(port)), timeout=patience_s) as connection:
            connection.sendall(_HTTP2_GREETING)
            answer = connection.recv(_HTTP2_FRAME_BYTES, socket.MSG_WAITALL)
        if answer[3:4] != _HTTP2_SETTINGS:
            raise OSError("what answers there is no Ray head")
    except OSError as error:
        raise ScaleError(
            f"scale.address={address} does not answer as a Ray cluster: {error}. Is the cluster up (ray status), and "
            "is the address that of its head?"
        ) from error
