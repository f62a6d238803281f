"""A command on each of some nodes of a Ray cluster, at the same time: the processes of a training.

Ray finds the nodes, keeps their processors free, starts the command there and hears what it says. What the processes
are to each other is the command's business, which is `accelerate launch`.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from restem.engines.arithmetic import Arithmetic, arithmetic_of
from restem.errors import ScaleError, TrainingError
from restem.parameters.scale import ScaleParameters
from restem.scale.cluster import Room, connect, say_what_is_free, wait_for_room
from restem.scale.probe import Fault, Probe, first_line
from restem.store.provenance import OF_TRAINING, unlike, versions

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_GRACE_S = 30.0  # after the first command that failed: for the others to fail, or for Ray to miss a node

Address = tuple[str, int]
Command = Callable[[int, Address], list[str]]  # the number of a node, where the first one is reached -> what to run
TakeLine = Callable[[int, str], None]  # the number of a node, a line of its command


class Nodes(NamedTuple):
    """What is asked of the cluster."""

    n: int
    n_each: int  # processes of a node
    shared: Path  # a folder that all must see
    dtype: str  # `training.dtype`
    arithmetic: Arithmetic  # that it becomes where the run was started


class _NodeLostError(Exception):
    """A command ended with its node, or with what ran it there."""


class _Node:
    """The far side: an actor that has its share of a node."""

    def __init__(
        self, probe: Probe, versions_there: Mapping[str, str], path: list[str], dtype: str, arithmetic: Arithmetic
    ) -> None:
        self._probe, self._versions, self._path = probe, dict(versions_there), path
        self._dtype, self._arithmetic = dtype, arithmetic

    def address(self) -> Address | Fault:
        """Return where a process of this node can be reached, if it can be of use."""
        fault = self._probe.look()
        if fault is not None:
            return fault
        difference = unlike(self._versions)
        if difference:
            return Fault(f"it {difference}")
        here = arithmetic_of(self._dtype)
        if here.dtype != self._arithmetic.dtype:
            return Fault(
                f"training.dtype={self._dtype} would be {here} there, and is {self._arithmetic} where the run was "
                "started: say which of the two is meant"
            )
        import ray

        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), free.getsockname()[1]

    def run(self, command: list[str]) -> Iterator[str | int]:
        """Yield what the command says, line by line, and how it ended."""
        from restem.store.processes import running

        known = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        # Engines and rewards of the user's own; what is installed is found without.
        added = [entry for entry in self._path if entry and not entry.startswith((sys.prefix, sys.base_prefix))]
        path = os.pathsep.join(dict.fromkeys([*known, *added]))
        environment = {**network(), **os.environ, "PYTHONPATH": path}
        with running([sys.executable, *command[1:]], environment) as process:
            for line in process.stdout or ():  # noqa: UP028 - Ray sends to what it iterates, which a file cannot take
                yield line
            yield process.wait()


def network() -> dict[str, str]:
    """Return what tells processes to meet where Ray's nodes do.

    Gloo would take the address that the machine's own name has, which often is that of the machine alone, and NCCL
    the first network that it finds, which need not lead to the other nodes.
    """
    import psutil
    import ray

    here = ray.util.get_node_ip_address()
    interfaces = psutil.net_if_addrs().items()
    interface = next((name for name, has in interfaces if any(assigned.address == here for assigned in has)), None)
    return {f"{kind}_SOCKET_IFNAME": interface for kind in ("GLOO", "NCCL")} if interface else {}


def run_on_nodes(command: Command, nodes: Nodes, scale: ScaleParameters, take_line: TakeLine) -> dict[int, int]:
    """Run a command on each of some nodes, and again on those that are left if one is lost.

    Args:
        command: What to run; the Python that it names is replaced by the node's own.
        nodes: On how many, and for how many processes each.
        scale: The cluster, and what a process takes.
        take_line: Told every line.

    Returns:
        How the commands ended, by the number of the node, in the order in which they did; a command that had not
        ended a while after another failed is not there.

    Raises:
        ScaleError: If the cluster cannot be had, or its nodes are of no use.
        TrainingError: If nodes were lost more often than `scale.retries`.
    """
    ray = connect(scale)
    n_lost = 0
    while True:
        try:
            return _run(ray, command, nodes, scale, take_line)
        except _NodeLostError as error:
            n_lost += 1
            if n_lost > scale.retries:
                raise TrainingError(
                    f"training lost a node {n_lost} times (scale.retries={scale.retries}), the last time: {error}. "
                    "Run again: training goes on from its last checkpoint"
                ) from error
            _logger.warning("%s; training goes on from its last checkpoint", error)


def _run(ray: Any, command: Command, nodes: Nodes, scale: ScaleParameters, take_line: TakeLine) -> dict[int, int]:
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    share, probe = scale.training, Probe.of(nodes.shared)
    room = Room("training", share, nodes.n_each, nodes.n)
    wait_for_room(ray, room, patience_s=scale.patience_s)
    has = {"num_cpus": nodes.n_each * share.cpus, "num_gpus": nodes.n_each * share.gpus}
    bundle = {"CPU": has["num_cpus"]} | ({"GPU": has["num_gpus"]} if has["num_gpus"] else {})
    group = placement_group([bundle] * nodes.n, strategy="STRICT_SPREAD")
    actors: list[Any] = []
    try:
        probe.place()
        last_line = time.monotonic()
        while not group.wait(_LOOK_EVERY_S):  # others may have the nodes, for however long
            wait_for_room(ray, room, patience_s=scale.patience_s)
            last_line = say_what_is_free(ray, "nodes to train on", since=last_line)
        for number in range(nodes.n):
            place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
            actor = ray.remote(**has, max_restarts=0, scheduling_strategy=place)(_Node)
            actors.append(actor.remote(probe, versions(*OF_TRAINING), sys.path, nodes.dtype, nodes.arithmetic))
        address = _addresses(ray, actors)[0]
        streams = {actor.run.remote(command(number, address)): number for number, actor in enumerate(actors)}
        return _listen(ray, streams, take_line)
    finally:
        for actor in actors:
            ray.kill(actor)
        remove_placement_group(group)
        probe.remove()


def _addresses(ray: Any, actors: list[Any]) -> list[Address]:
    try:
        answers: list[Address | Fault] = ray.get([actor.address.remote() for actor in actors])
    except ray.exceptions.RayActorError as error:
        raise _NodeLostError(f"a node was lost before training began: {first_line(error)}") from error
    for answer in answers:
        if isinstance(answer, Fault):
            raise ScaleError(f"a node cannot train: {answer.reason}")
    return [answer for answer in answers if not isinstance(answer, Fault)]


def _listen(ray: Any, streams: dict[Any, int], take_line: TakeLine) -> dict[int, int]:
    """Hear all commands until they end, or one failed and the others take too long over it."""
    ended: dict[int, int] = {}
    until = float("inf")
    while streams and time.monotonic() < until:
        ready, _ = ray.wait(list(streams), timeout=_LOOK_EVERY_S)
        for stream in ready:
            try:
                line = ray.get(next(stream))
            except ray.exceptions.RayActorError as error:
                raise _NodeLostError(f"the node of machine {streams[stream]} was lost: {first_line(error)}") from error
            except ray.exceptions.RayTaskError as error:
                raise ScaleError(
                    f"the node of machine {streams[stream]} cannot start a training: {error.cause}"
                ) from error
            if isinstance(line, str):
                take_line(streams[stream], line)
                continue
            ended[streams.pop(stream)] = line
            if line and until == float("inf"):
                until = time.monotonic() + _GRACE_S
    return ended
