"""The keeper: an interpreter with the common modules imported, inside the sandbox, that forks programs and testers.

It never reads a program or a test: those go straight to its children, so that no child finds in its memory what
another was given. It is started in an empty environment. Every megabyte and every line here costs each fork a little:
hence no more modules than needed, and plain words on the control socket.
"""

# Pathlib is one of the modules that are not needed.
# ruff: noqa: PTH123

import _socket
import gc
import importlib
import json
import os
import struct
import sys
import time
import types

from restem.rewards.sandbox import linux, plain, program, tester
from restem.rewards.sandbox.ground import OpenGround, Sandbox
from restem.rewards.sandbox.limits import Limits

_LONGEST_OPENING = 1 << 18
_LONGEST_REQUEST = 256
_MOST_DESCRIPTORS = 3
_INT = struct.Struct("i")
_CHANNEL = 3  # of a child
_LEAVING_S = 0.5  # for a script to end, once nothing more can come of it
_LOOK_S = 0.0005
_ROUNDS = 20  # after which the interpreter has specialised its own code, and children need not
# What programs import most, where it is cheap to hold.
_WARM = "bisect collections copy functools heapq itertools math operator re string typing"
_Ground = Sandbox | OpenGround


def main(control: _socket.socket) -> None:
    """Enter the sandbox that the caller asked for, and serve it."""
    control = _clear_descriptors(control)
    opening = json.loads(control.recv(_LONGEST_OPENING))
    limits = Limits(**opening["limits"])
    try:
        _offer_to_die_first()
        ground: _Ground = Sandbox() if opening["layout"] else OpenGround()
        control.send(b"unshared")
        if not control.recv(_LONGEST_REQUEST):  # the caller maps our user from outside
            return
        keeper = os.fork()  # the first process of the new namespace of processes
        if keeper:
            linux.die_with_parent()
            control.close()
            os.waitpid(keeper, 0)
            return
        ground.settle(limits, opening["layout"])
    except OSError as error:
        control.send(f"error {error}".encode())
        return
    sys.path += opening["paths"]
    _warm()
    control.send(b"ready")
    _Keeper(control, ground, limits).serve()


def _clear_descriptors(control: _socket.socket) -> _socket.socket:
    """Return the control socket elsewhere: descriptors 0 to 3 are nothing, as most children are to have them."""
    while (nothing := os.open("/dev/null", os.O_RDWR)) <= _CHANNEL:
        pass
    moved = os.dup(control.fileno())
    control.close()
    for place in (0, 1, _CHANNEL):
        os.dup2(nothing, place)
    return _socket.socket(fileno=moved)


def _offer_to_die_first() -> None:
    with open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("1000")


def _warm() -> None:
    """Do once what every child would do for the first time: import, open streams, read and call a program."""
    linux.one_arena()
    for name in _WARM.split():
        importlib.import_module(name)
    _import_random()
    program.open_standard_streams()
    module = types.ModuleType("warm")
    opening = {"text": "    return x + 1\n\nf(1)\n", "prompt": "def f(x):\n", "entry_point": "f"}
    for _ in range(_ROUNDS):
        program.execute(module, opening)
        program.answer(module, "f", plain.encode((1,)), plain.encode({}), None)
    sys.argv = [""]
    del os.environ["LD_BIND_NOW"]  # so far: symbols that are found now are not looked up in every child
    gc.collect()
    gc.freeze()  # children collect nothing of ours, and so copy no pages


def _import_random() -> None:
    """Import random so that all programs start with the same numbers: the same program, the same verdict."""
    register, os.register_at_fork = os.register_at_fork, lambda **hooks: None  # it would seed itself anew in every fork
    try:
        importlib.import_module("random").seed(0)
    finally:
        os.register_at_fork = register


class _Keeper:
    """Forks one program at a time, and clears up after it; a tester stays until a new one is asked for."""

    def __init__(self, control: _socket.socket, ground: _Ground, limits: Limits) -> None:
        self._control, self._ground, self._limits = control, ground, limits
        self._program, self._tester = 0, 0
        self._fault = ""
        self._is_prepared = False

    def serve(self) -> None:
        """Serve until the caller is gone."""
        room = _socket.CMSG_SPACE(_MOST_DESCRIPTORS * _INT.size)
        while True:
            request, ancillary, _, _ = self._control.recvmsg(_LONGEST_REQUEST, room)
            if not request:
                break
            if request in (b"end", b"leave"):
                if request == b"leave":
                    _let_leave(self._program)
                self._control.send(self._end())
                continue
            descriptors = [number for (number,) in _INT.iter_unpack(ancillary[0][2] if ancillary else b"")]
            try:
                self._start(request, descriptors)
            except OSError as error:  # told when the caller, whose sockets close now, asks
                self._fault = str(error)
            for descriptor in descriptors:
                os.close(descriptor)
        self._end()
        _end_child(self._tester)

    def _start(self, request: bytes, descriptors: list[int]) -> None:
        if request == b"tester":
            _end_child(self._tester)
            self._tester = 0
            self._tester = self._fork(descriptors, is_program=False)
            return
        self._ground.prepare(self._limits)
        self._is_prepared = True
        self._program = self._fork(descriptors, is_program=True)

    def _fork(self, descriptors: list[int], *, is_program: bool) -> int:
        child = self._ground.fork()
        if child:
            return child
        status = 1
        try:
            _arrange(*descriptors)
            os.chdir(self._ground.home)
            self._ground.confine()
            if is_program:
                program.main(_CHANNEL)
            else:
                tester.main(_CHANNEL, longest=self._limits.output_mb << 20)
            status = 0
        finally:
            os._exit(status)

    def _end(self) -> bytes:
        """Return how the program ended, after it and all its descendants have; or what went wrong."""
        status = _end_child(self._program)
        self._program = 0
        fault, self._fault = self._fault, ""
        if self._is_prepared:
            self._is_prepared = False
            try:
                self._ground.clear(spared=self._tester)
            except OSError as error:
                fault = fault or str(error)
        return f"error {fault}".encode() if fault else b"%d" % status


def _let_leave(child: int) -> None:
    """Give a program that has closed all that it could say something with the time to end by itself."""
    until = time.monotonic() + _LEAVING_S
    while child and not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() > until:
            return
        time.sleep(_LOOK_S)


def _end_child(child: int) -> int:
    if not child:
        return 0
    os.kill(child, linux.KILL)  # of no effect on one that has ended by itself
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _arrange(channel: int, standard_input: int = 0, standard_output: int = 1) -> None:
    """Leave a child with its channel and standard descriptors, and with nothing else of the keeper's."""
    os.dup2(standard_input, 0)
    os.dup2(standard_output, 1)
    os.dup2(0, 2)  # until here, faults of our own were to be read there
    os.dup2(channel, _CHANNEL)
    os.closerange(_CHANNEL + 1, linux.LAST_DESCRIPTOR)
