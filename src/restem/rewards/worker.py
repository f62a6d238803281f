"""The process side of the rewards: a nursery that forks judges, and the judges.

The nursery is a fresh interpreter with one thread, started by its path and not by multiprocessing: it never
imports the caller's `__main__`, and forks without inheriting torch's threads. It imports the reward's libraries once,
so that a judge that was killed is replaced in milliseconds. Each judge serves one socket of its own. What a judge
says is JSON, never a pickle: it has read a model's text.
"""

import ctypes
import json
import os
import pickle
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from restem.rewards.verdicts import Doubtful, Judge

_LENGTH = struct.Struct(">Q")
_LONGEST_MESSAGE = 1 << 30  # bytes; more is a process that has lost its mind
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
    from importlib import import_module

    module, _, name = path.partition(":")
    judge: Judge = getattr(import_module(module), name)(**options)
    return judge


def main(control: socket.socket) -> None:
    """Serve the nursery until the caller is gone, however it went."""
    opening = receive_bytes(control)
    if opening is None:
        return
    path, judge_path, options = pickle.loads(opening)  # from our own parent, before any completion was read
    sys.path[:] = path
    try:
        judge = open_judge(judge_path, options)
        judge.prepare()
    except Exception as error:  # the caller raises it, with the reward's name
        send_bytes(control, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        return
    send_bytes(control, json.dumps({"ready": True}).encode())
    children: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 1)
        if not message:
            break
        if descriptors:
            _fork(control, children, judge, descriptors[0])
        else:
            _end(children, int(message))
            control.sendall(b"ended".ljust(16))
    for child in tuple(children):
        _end(children, child)


def _fork(control: socket.socket, children: set[int], judge: Judge, descriptor: int) -> None:
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        control.close()
        status = 1
        try:
            _serve(socket.socket(fileno=descriptor), judge)
            status = 0
        finally:
            os._exit(status)
    os.close(descriptor)
    children.add(child)
    control.sendall(str(child).encode().ljust(16))


def _end(children: set[int], child: int) -> None:
    # The nursery ends its own children, and reaps them only here: a process id cannot have become another's.
    if child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        children.remove(child)


def _serve(connection: socket.socket, judge: Judge) -> None:
    if judge.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (judge.memory_bytes, judge.memory_bytes))
    while (message := receive_bytes(connection)) is not None:
        for subject, answer in pickle.loads(message):
            send_bytes(connection, json.dumps(_reply(judge, subject, answer)).encode())


def _reply(judge: Judge, subject: Mapping[str, Any], answer: str) -> dict[str, Any]:
    start = time.monotonic()
    try:
        judged = judge.judge(subject, answer)
    except MemoryError:
        os._exit(1)  # nothing can be trusted to work now; the caller sees a crash
    except Exception as error:
        with suppress(Exception):  # an exception whose own text fails
            return {"error": f"{type(error).__name__}: {error}"}
        return {"error": type(error).__name__}
    is_doubtful = isinstance(judged, Doubtful)
    verdict = judged.verdict if isinstance(judged, Doubtful) else judged
    seconds = float(int(time.monotonic() - start))
    shown = verdict._asdict() | {"seconds": seconds}
    return {**shown, "is_doubtful": is_doubtful}
