"""The Ray cluster: reached, or started on this machine; and whether it can do what is asked of it.

Ray is imported here, in `restem.scale.ray_workers` and in `restem.scale.ray_training` only, and only when asked for.
"""

import logging
import os
import secrets
import socket
import time
from typing import Any, Literal, NamedTuple

from restem.errors import ScaleError
from restem.parameters.scale import ScaleParameters, ShareParameters

_logger = logging.getLogger(__name__)

_STORE_BYTES = 200_000_000  # of a cluster started here: a few shards of prompts; results never pass through Ray
_LOOK_EVERY_S = 0.5
_LINE_EVERY_S = 30.0
# Ray's head speaks gRPC, so HTTP/2: a connection preface and empty settings are answered by settings (RFC 9113, 3.4).
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_HTTP2_FRAME_BYTES = 9
_HTTP2_SETTINGS = b"\4"
# Without clusters, as Ray calls it, its processes meet at 127.0.0.1 and do not listen to the network. Ray has no other
# setting for that: it replaces 127.0.0.1, where it is asked for, by the machine's address in the network.
_NO_CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_TOKEN = "RAY_AUTH_TOKEN"
_TOKEN_BYTES = 32


def connect(scale: ScaleParameters) -> Any:
    """Return the module `ray`, connected to the cluster; it stays connected until this process ends.

    Raises:
        ScaleError: If Ray is missing, or the cluster cannot be reached or is of other versions.
    """
    if scale.address is None:
        _keep_to_this_machine()
    ray = _import_ray()
    if ray.is_initialized():
        _refuse_another(ray, scale.address)
        return ray
    options: dict[str, Any] = {"configure_logging": False, "log_to_driver": True}
    if scale.address is None:  # without "local" Ray would join a cluster that another program started here
        options |= {"address": "local", "include_dashboard": False, "object_store_memory": _STORE_BYTES}
    else:
        _refuse_silent(scale.address, patience_s=scale.patience_s)
        options |= {"address": scale.address}
    try:
        ray.init(**options)
    except (RuntimeError, OSError, ValueError, ray.exceptions.RayError) as error:
        where = f"scale.address={scale.address}" if scale.address else "a Ray cluster on this machine"
        raise ScaleError(f"{where} cannot be used: {error}") from error
    return ray


class Room(NamedTuple):
    """What some nodes of a cluster must be big enough for."""

    kind: Literal["sampling", "scoring", "training"]  # the group of `scale`
    share: ShareParameters  # what a worker takes
    n_workers: int = 1  # of a node
    n_nodes: int = 1


def wait_for_room(ray: Any, room: Room, *, patience_s: float) -> None:
    """Return when there are such nodes, busy or not.

    Args:
        ray: The module, connected.
        room: What they must be big enough for.
        patience_s: How long they may take to join.

    Raises:
        ScaleError: If they did not.
    """
    until = time.monotonic() + patience_s
    while sum(_is_big_enough(node, room) for node in ray.nodes()) < room.n_nodes:
        if time.monotonic() > until:
            few = "no node of the Ray cluster has"
            if room.n_nodes > 1:
                few = f"fewer than {room.n_nodes} nodes of the Ray cluster have"
            workers = "a worker" if room.n_workers == 1 else f"{room.n_workers} workers"
            raise ScaleError(
                f"{few} room for {workers}: scale.{room.kind} asks for {room.share.cpus:g} CPUs and "
                f"{room.share.gpus:g} GPUs for each, and the nodes have {_described(ray)}. Ask for less, or add a "
                f"node; this run waited {patience_s:g} s for one (scale.patience_s)"
            )
        time.sleep(_LOOK_EVERY_S)


def say_what_is_free(ray: Any, awaited: str, *, since: float) -> float:
    """Log what is waited for now and then, and what the cluster has; return when it was said last.

    Args:
        ray: The module, connected.
        awaited: What is waited for.
        since: When it was said last, by `time.monotonic`.
    """
    if time.monotonic() - since < _LINE_EVERY_S:
        return since
    free, whole = ray.available_resources(), ray.cluster_resources()
    _logger.info(
        "waiting for %s: of the cluster's %g CPUs %g are free, of its %g GPUs %g",
        awaited,
        *(resources.get(name, 0) for name in ("CPU", "GPU") for resources in (whole, free)),
    )
    return time.monotonic()


def _is_big_enough(node: dict[str, Any], room: Room) -> bool:
    wanted = {"CPU": room.share.cpus, "GPU": room.share.gpus}
    has = node["Resources"]
    return bool(node["Alive"]) and all(has.get(name, 0) >= room.n_workers * share for name, share in wanted.items())


def _described(ray: Any) -> str:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    described = (f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs" for has in nodes)
    return "; ".join(sorted(described, reverse=True)) or "nothing"


def _keep_to_this_machine() -> None:
    """Have Ray, before it is imported, listen to this machine alone, and to those with a token of this process alone.

    Ray itself would write a token to the home folder, which need not be writable.
    """
    os.environ[_NO_CLUSTER] = "0"
    os.environ.setdefault(_TOKEN, secrets.token_hex(_TOKEN_BYTES))


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ScaleError(
            "scale.backend=ray and training.launcher=ray need Ray: pip install 'restem[ray]'; or work in one process "
            "with scale.backend=local and training.launcher=in_process"
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
