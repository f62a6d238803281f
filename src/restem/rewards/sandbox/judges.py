"""The ground under judges whose reward hands a model's text to code that is not ours.

The nursery enters the namespaces of the sandbox, imports the reward's libraries, and then a file system that shows
nothing but Python and these libraries, read-only, with no folder to write to. Each judge is the first process of a
namespace of its own, nobody, without capabilities: what it starts cannot signal it, and ends with it. A verdict that
asks for a process of its own is made in a fork of the judge that can only write to one pipe.
"""

import fcntl
import gc
import os
import resource
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from restem.rewards.sandbox import linux
from restem.rewards.sandbox.ground import Sandbox
from restem.rewards.sandbox.limits import Limits

_CONNECTION = 3  # of a judge, and the pipe of a fresh process
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
_PROCESSES = 128  # of all judges of a nursery together; a fresh process may start none
_LONGEST_REPLY = 1 << 26  # bytes; more is no verdict


class JudgeGround:
    """The sandbox, as far as a nursery and its judges need it."""

    def __init__(self) -> None:
        """Enter new namespaces, in which this process has no user yet. It must have one thread."""
        self._sandbox = Sandbox()

    def settle(self, layout: dict[str, Any], own: Sequence[Path], *, memory_bytes: int | None) -> None:
        """Leave the host's files behind, but for those that the libraries may still want to read.

        Args:
            layout: Of Python, as `layout.main` prints it.
            own: Files and folders of the reward itself.
            memory_bytes: The address space of a judge; None for no limit of ours.
        """
        mounts = _mounts(layout, own)
        targets = {target for _, target in mounts}
        shown = {**layout, "empty": [path for path in layout["empty"] if path not in targets], "mounts": mounts}
        memory_mb = (memory_bytes or (1 << 46)) >> 20
        self._sandbox.settle(Limits(memory_mb=memory_mb, disk_mb=1, processes=_PROCESSES), shown)

    def fork(self) -> int:
        """Fork into a new namespace of processes, which ends with the child."""
        return self._sandbox.fork()

    def confine(self, connection: int) -> socket.socket:
        """Give up everything but a connection, which is returned, and the memory."""
        _keep_only(connection)
        self._sandbox.confine()
        linux.die_with_parent()
        os.chdir("/")
        return socket.socket(fileno=_CONNECTION)


def _mounts(layout: dict[str, Any], own: Sequence[Path]) -> list[tuple[str, str]]:
    """Return (source, where it is seen) of the folders that hold libraries, each under the name it was imported by."""
    folders = [path for path in sys.path if Path(path).name in _PACKAGE_FOLDERS and Path(path).is_dir()]
    wanted = [*folders, *(str(path) for path in own if path.exists())]
    kept: list[tuple[str, str]] = []
    for path in dict.fromkeys(map(os.path.abspath, wanted)):
        seen = [*layout["folders"], *(target for _, target in kept)]
        if Path(path).name in _PACKAGE_FOLDERS or not any(path.startswith(f"{folder}/") for folder in seen):
            kept.append((os.path.realpath(path), path))
    return kept


def in_fresh_process(work: Callable[[], bytes]) -> bytes:
    """Return what a fork of this judge came to; nothing if it died. It can start no process, and keeps nothing open."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            gc.disable()  # it ends before it could matter, and a collection copies pages
            os.close(reading)
            _keep_only(writing)
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            said = memoryview(work())
            while said:
                said = said[os.write(_CONNECTION, said) :]
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said_by_child = pipe.read(_LONGEST_REPLY)
    os.kill(child, linux.KILL)  # of no effect on one that has ended; one that goes on has said what it says
    status = os.waitpid(child, 0)[1]
    return said_by_child if said_by_child and (status == 0 or os.WIFSIGNALED(status)) else b""


def _keep_only(descriptor: int) -> None:
    """Leave this process with one descriptor, and with nothing on the standard ones."""
    nothing = os.open("/dev/null", os.O_RDWR)
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, _CONNECTION + 1)  # out of the way of the others
    for place in range(_CONNECTION):
        os.dup2(nothing, place)
    os.dup2(moved, _CONNECTION)
    os.closerange(_CONNECTION + 1, linux.LAST_DESCRIPTOR)
