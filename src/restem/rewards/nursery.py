"""The process that forks judges, and each judge, as the pool sees them."""

import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

from restem.errors import RewardError
from restem.rewards.sandbox.launch import SandboxError, layout_of, map_users
from restem.rewards.sandbox.meter import cpu_s_of
from restem.rewards.worker import HELLO, Opening, receive_bytes, send_bytes

_START_LIMIT_S = 120.0  # to import a reward's libraries on a cold disk
_MESSAGE_LIMIT_S = 10.0  # for one message to pass once it has begun
_CONTROL_BYTES = 16  # of a message from the nursery
_CREDENTIALS = struct.Struct("3i")  # process, user and group; Source: man 7 unix
_NAMES_SENDERS = hasattr(socket, "SO_PASSCRED")  # Linux; elsewhere there is no sandbox, and a process has one id


class NoSandboxError(Exception):
    """There are no namespaces to be had."""


class Seat:
    """A judge process, the tasks that it has not answered, and when it began the first of them."""

    def __init__(self, nursery: "Nursery", connection: socket.socket, process_id: int) -> None:
        """Hear the judge's first word."""
        self.nursery = nursery
        self.connection = connection
        self.process_id = process_id  # as the nursery knows it
        self.host_id = _host_id(connection) if _NAMES_SENDERS else _heard_of(connection, process_id)
        self.waiting: deque[int] = deque()
        self.since = self._cpu_s = 0.0

    def begin(self) -> None:
        """Start the clocks of the next task."""
        self.since, self._cpu_s = time.monotonic(), cpu_s_of(self.host_id)

    def used_s(self) -> float:
        """Return the seconds of cpu time since then, of the judge and of the processes that it has started."""
        return cpu_s_of(self.host_id, with_children=True) - self._cpu_s


def _host_id(connection: socket.socket) -> int:
    """Return a judge's process id, as it is known here, from what the kernel adds to the judge's first word."""
    try:
        said, ancillary, _, _ = connection.recvmsg(len(HELLO), socket.CMSG_SPACE(_CREDENTIALS.size))
    except OSError as error:
        raise RewardError(f"a process that judges did not start: {error}") from error
    if said != HELLO or not ancillary:
        raise RewardError("a process that judges died when it started; was it killed for memory?")
    return int(_CREDENTIALS.unpack(ancillary[0][2])[0])


def _heard_of(connection: socket.socket, process_id: int) -> int:
    """Return a judge's process id, which is that of the nursery, once its first word came."""
    if connection.recv(len(HELLO)) != HELLO:
        raise RewardError("a process that judges died when it started; was it killed for memory?")
    return process_id


class Nursery:
    """The process that forks judges."""

    def __init__(
        self, judge_path: str, options: Mapping[str, Any], *, is_confined: bool = False, why_open: str = ""
    ) -> None:
        """Start it, in a sandbox or not; `why_open` tells a judge that asks for one why there is none.

        Raises:
            NoSandboxError: If there is no sandbox to be had.
            RewardError: If the reward cannot be loaded.
        """
        self.is_confined = is_confined
        self._control, theirs = socket.socketpair()
        with theirs:
            process = _start(theirs, is_confined=is_confined)
        self.close = weakref.finalize(self, _end_nursery, self._control, process)  # also at exit
        self._control.settimeout(_START_LIMIT_S)
        try:
            layout = layout_of(()) if is_confined else None
            opening = Opening(sys.path, judge_path, dict(options), layout, why_open)
            send_bytes(self._control, pickle.dumps(tuple(opening)))
            if is_confined:
                self._hear(judge_path)
                map_users(process.pid)
                send_bytes(self._control, b"mapped")
            self._hear(judge_path)
        except TimeoutError as error:
            self.close()
            raise RewardError(f"the reward's libraries did not load within {_START_LIMIT_S:g} s") from error
        except (OSError, SandboxError) as error:
            self.close()
            raise NoSandboxError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _hear(self, judge_path: str) -> None:
        """Go on if the nursery does."""
        reply = receive_bytes(self._control)
        answer = json.loads(reply) if reply else {"error": "its worker process died while loading"}
        if "refused" in answer:
            raise NoSandboxError(answer["refused"])
        if "error" in answer:
            raise RewardError(f"the reward {judge_path} cannot be loaded in its worker process: {answer['error']}")

    def fork(self) -> Seat:
        """Return a new judge."""
        ours, theirs = socket.socketpair()
        if _NAMES_SENDERS:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with theirs:
            socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
        ours.settimeout(_MESSAGE_LIMIT_S)
        return Seat(self, ours, int(self._reply()))

    def end(self, process_id: int) -> None:
        """Kill a judge, and all that it has started."""
        self._control.sendall(str(process_id).encode())
        self._reply()

    def _reply(self) -> bytes:
        try:
            reply = self._control.recv(_CONTROL_BYTES, socket.MSG_WAITALL)
        except OSError as error:
            raise RewardError(f"the process that starts reward workers does not answer: {error}") from error
        if not reply:
            raise RewardError("the process that starts reward workers died; was it killed for memory?")
        return reply


# The nursery must find restem wherever the caller found it; its own path is set again from the first message.
_BOOT = (
    "import json, os, socket, sys; sys.path[:] = json.loads(sys.argv[2]); os.dup2(2, 1); "
    "from restem.rewards.worker import main; main(socket.socket(fileno=int(sys.argv[1])))"
)

# Where libraries look for their settings and caches while they are imported; nothing else of ours is handed on.
_FOLDERS = ("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH")
# Libraries of numbers start a thread per processor, and a process with threads cannot enter a sandbox.
_ENVIRONMENT = {
    "PATH": "/usr/bin",
    "LANG": "C.UTF-8",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}


def _confined_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _FOLDERS if name in os.environ} | _ENVIRONMENT


def _start(connection: socket.socket, *, is_confined: bool) -> "subprocess.Popen[bytes]":
    boot = ["-W", "ignore::SyntaxWarning", "-c", _BOOT, str(connection.fileno()), json.dumps(sys.path)]
    return subprocess.Popen(
        [sys.executable, *boot],
        pass_fds=[connection.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the caller, whose end ends the nursery
        env=_confined_environment() if is_confined else None,
    )


def _end_nursery(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    control.close()  # the nursery takes this as the signal to end its judges and itself
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
