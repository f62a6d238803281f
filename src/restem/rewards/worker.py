"""The process side of the rewards: a nursery that forks judges, and the judges.

The nursery is a fresh interpreter with one thread, started by its path and not by multiprocessing: it never
imports the caller's `__main__`, and forks without inheriting torch's threads. It imports the reward's libraries once,
so that a judge that was killed is replaced in milliseconds. Each judge serves one socket of its own. What a judge
says is JSON, never a pickle: it has read a model's text.
"""

import ctypes
import gc
import json
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.rewards.base import Judge
from restem.rewards.verdicts import Doubtful
from restem.store.importing import named

if TYPE_CHECKING:
    from restem.rewards.sandbox.judges import JudgeGround

_LENGTH = struct.Struct(">Q")
_LONGEST_MESSAGE = 1 << 30  # bytes; more is a process that has lost its mind
HELLO = b"+"  # the first that is heard of a judge
_PR_SET_PDEATHSIG = 1  # prctl: die with the nursery; Source: linux/prctl.h


def send_bytes(connection: socket.socket, content: bytes) -> None:
    """Send one message."""
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive_bytes(connection: socket.socket) -> bytes | None:
    """Return one message, or None if the other side is gone."""
    head = _receive_exactly(connection, _LENGTH.size)
    if head is None or (length := _LENGTH.unpack(head)[0]) > _LONGEST_MESSAGE:
        return None
    return _receive_exactly(connection, length)


def _receive_exactly(connection: socket.socket, length: int) -> bytes | None:
    parts, missing = [], length
    while missing:
        try:
            part = connection.recv(min(missing, 1 << 20))
        except (ConnectionResetError, TimeoutError):
            return None  # reset by a death, or stuck in the middle of a message: of no use either way
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def open_judge(path: str, options: Mapping[str, Any]) -> Judge:
    """Return the judge that a path "module:class" and options describe."""
    judge: Judge = named(path)(**options)
    return judge


class Opening(NamedTuple):
    """What a nursery is told first, by its own parent."""

    path: list[str]  # to import from
    judge_path: str
    options: dict[str, Any]
    layout: dict[str, Any] | None  # of Python's files, to be confined to; None for no sandbox
    why_open: str  # why there is no sandbox although the judge asks for one


def main(control: socket.socket) -> None:
    """Serve the nursery until the caller is gone, however it went, as by Ctrl-C while this was starting."""
    with suppress(BrokenPipeError, ConnectionResetError):
        _open_and_serve(control)


def _open_and_serve(control: socket.socket) -> None:
    message = receive_bytes(control)
    if message is None:
        return
    opening = Opening(*pickle.loads(message))  # before any completion was read
    sys.path[:] = opening.path
    try:
        ground = None if opening.layout is None else _enter(control)
    except OSError as error:
        _tell(control, refused=str(error))
        return
    try:
        judge = open_judge(opening.judge_path, opening.options)
        judge.prepare()
        if opening.why_open:
            judge.left_open(opening.why_open)
    except Exception as error:  # the caller raises it, with the reward's name
        _tell(control, error=f"{type(error).__name__}: {error}")
        return
    try:
        if ground is not None and opening.layout is not None:
            own = [Path(__file__).parents[1], *judge.shown]
            ground.settle(opening.layout, own, memory_bytes=judge.memory_bytes)
    except OSError as error:
        _tell(control, refused=str(error))
        return
    gc.collect()
    gc.freeze()  # judges, and their forks, collect nothing of ours, and so copy no pages
    _tell(control, ready=True)
    _Nursery(control, judge, ground).serve()


def _tell(control: socket.socket, **what: Any) -> None:
    send_bytes(control, json.dumps(what).encode())


def _enter(control: socket.socket) -> "JudgeGround":
    """Return the sandbox, in its first process; the process that came here waits for that one, and ends.

    Raises:
        OSError: If there is no sandbox to be had.
    """
    from restem.rewards.sandbox import linux
    from restem.rewards.sandbox.judges import JudgeGround

    ground = JudgeGround()
    _tell(control, unshared=True)
    if receive_bytes(control) != b"mapped":  # the caller maps our user from outside
        os._exit(1)
    first = os.fork()
    if first:
        linux.die_with_parent()
        control.close()
        os.waitpid(first, 0)
        os._exit(0)
    linux.die_with_parent()
    return ground


class _Nursery:
    """Forks judges and ends them, as the caller says."""

    def __init__(self, control: socket.socket, judge: Judge, ground: "JudgeGround | None") -> None:
        self._control, self._judge, self._ground = control, judge, ground
        self._children: set[int] = set()

    def serve(self) -> None:
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._control, 64, 1)
            if not message:
                break
            if descriptors:
                self._fork(descriptors[0])
            else:
                self._end(int(message))
                self._control.sendall(b"ended".ljust(16))
        for child in tuple(self._children):
            self._end(child)

    def _fork(self, descriptor: int) -> None:
        child = os.fork() if self._ground is None else self._ground.fork()
        if child == 0:
            status = 1
            try:
                _serve(self._alone(descriptor), self._judge, is_confined=self._ground is not None)
                status = 0
            finally:
                os._exit(status)
        os.close(descriptor)
        self._children.add(child)
        self._control.sendall(str(child).encode().ljust(16))

    def _alone(self, descriptor: int) -> socket.socket:
        """Return a judge's connection, when the judge has nothing else of the nursery's left."""
        self._control.close()
        if self._ground is not None:
            return self._ground.confine(descriptor)
        os.setsid()  # what a verdict sends to its process group must not reach others
        if sys.platform == "linux":  # elsewhere a judge ends when the caller closes its connection
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        return socket.socket(fileno=descriptor)

    def _end(self, child: int) -> None:
        # The nursery ends its own children, and reaps them only here: a process id cannot have become another's.
        if child in self._children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self._children.remove(child)


def _serve(connection: socket.socket, judge: Judge, *, is_confined: bool) -> None:
    connection.sendall(HELLO)  # with which the kernel tells the caller our process id, whatever it is here
    if judge.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (judge.memory_bytes, judge.memory_bytes))
    while (message := receive_bytes(connection)) is not None:
        for subject, answer in pickle.loads(message):
            if is_confined and judge.needs_fresh(subject, answer):
                send_bytes(connection, _fresh_reply(judge, subject, answer))
            else:
                send_bytes(connection, _reply(judge, subject, answer))


def _fresh_reply(judge: Judge, subject: Mapping[str, Any], answer: str) -> bytes:
    from restem.rewards.sandbox.judges import in_fresh_process

    said = in_fresh_process(lambda: _reply(judge, subject, answer))
    if not said:
        os._exit(1)  # as if the verdict had been made here: the caller sees a crash
    return said


def _line(judge: Judge, error: Exception) -> str:
    """Return where in the sources of a judge an error arose: the user's own, if the judge is a function of theirs."""
    sources = {str(source) for source in getattr(judge, "sources", ())}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in sources]
    ours = str(Path(__file__).parents[1])
    theirs = [frame for frame in frames if not frame.filename.startswith(ours)]
    return f" ({theirs[-1].filename}, line {theirs[-1].lineno})" if theirs else ""


def _reply(judge: Judge, subject: Mapping[str, Any], answer: str) -> bytes:
    start = time.monotonic()
    try:
        judged = judge.judge(subject, answer)
    except MemoryError:
        os._exit(1)  # nothing can be trusted to work now; the caller sees a crash
    except Exception as error:
        with suppress(Exception):  # an exception whose own text fails
            return json.dumps({"error": f"{type(error).__name__}: {error}{_line(judge, error)}"}).encode()
        return json.dumps({"error": type(error).__name__}).encode()
    is_doubtful = isinstance(judged, Doubtful)
    verdict = judged.verdict if isinstance(judged, Doubtful) else judged
    seconds = float(int(time.monotonic() - start))
    shown = verdict._asdict() | {"seconds": seconds}
    return json.dumps({**shown, "is_doubtful": is_doubtful}).encode()
