"""One run of a program, from the worker's side: hand it over, watch, end it, and say what came of it."""

import fcntl
import os
import select
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from restem.rewards.sandbox import messages
from restem.rewards.sandbox.launch import Keeper, SandboxError
from restem.rewards.sandbox.meter import Excess, Meter
from restem.rewards.sandbox.program import STARTED
from restem.rewards.sandbox.tester import NOT_STARTED

_LONGEST_REPLY = 4096
_PART = 1 << 16
_DIED = "a program's process died before the program was read"


class Outcome(NamedTuple):
    """What came of one run."""

    reason: str  # of a verdict; for a script "correct" says only that it ended well
    is_doubtful: bool = False
    output: str = ""


def judge_functions(keeper: Keeper, program: dict[str, Any], gold: Mapping[str, Any]) -> Outcome:
    """Return the tester's verdict."""
    tester = keeper.tester()
    channel, of_program = socket.socketpair()
    with channel:
        with of_program:
            meter = keeper.start(of_program)
        try:
            messages.send(channel.fileno(), program)
            socket.send_fds(tester, [b"+"], [channel.fileno()])
            messages.send(tester.fileno(), gold)
            channel.close()  # the tester's from here on
            excess = _watch(meter, tester)
            reason = None if excess else str(messages.receive(tester.fileno(), longest=_LONGEST_REPLY))
        except (messages.GoneError, BrokenPipeError):
            reason, excess = None, None
    status = keeper.end()
    if reason is None:
        keeper.renew_tester()
    if reason == NOT_STARTED:
        raise SandboxError(_DIED)
    if excess is not None:
        return Outcome(excess.reason, excess.is_doubtful)
    # Memory may have run out, for the tester or for the program: on this machine, or by the program's doing.
    is_doubtful = reason is None or (reason == "crashed" and status == -signal.SIGKILL)
    return Outcome(reason or "crashed", is_doubtful)


def judge_itself(keeper: Keeper, program: dict[str, Any]) -> Outcome:
    """Return the verdict of tests that ran in the program's own process."""
    channel, of_program = socket.socketpair()
    with channel:
        with of_program:
            meter = keeper.start(of_program)
        excess, said, _ = _follow(keeper, meter, channel, program)
    keeper.end()
    if excess is not None:
        return Outcome(excess.reason, excess.is_doubtful)
    known = ("correct", "wrong", "unparseable_gold")
    reason = next((reason for reason in known if said == messages.packed(reason)), "crashed")
    return Outcome(reason)


def run_script(keeper: Keeper, program: dict[str, Any], standard_input: str) -> Outcome:
    """Return how a script ended, and what it printed."""
    channel, of_program = socket.socketpair()
    reading, writing = os.pipe()
    given = _sealed(standard_input.encode("utf-8", "surrogatepass"))
    with channel, os.fdopen(reading, "rb"):
        with of_program, os.fdopen(writing, "wb"), os.fdopen(given, "rb"):
            meter = keeper.start(of_program, given, writing)
        excess, _, printed = _follow(keeper, meter, channel, program, reading)
    # Its ends are closed: by its end, or by itself on the way there. Killed in between it would seem to have crashed.
    status = keeper.end(is_leaving=excess is None)
    if excess is not None:
        return Outcome(excess.reason, excess.is_doubtful)
    if status != 0:
        return Outcome("crashed", is_doubtful=status == -signal.SIGKILL)
    return Outcome("correct", output=printed.decode("utf-8", "replace"))


def _sealed(content: bytes) -> int:
    """Return the descriptor of a file in memory that can be read and not be changed."""
    descriptor = os.memfd_create("stdin", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    with open(os.dup(descriptor), "wb") as stream:  # noqa: PTH123 - a descriptor has no path
        stream.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def _watch(meter: Meter, connection: socket.socket) -> Excess | None:
    """Wait until something can be read, or a limit is passed."""
    while not select.select([connection], [], [], meter.look_after_s)[0]:
        excess = meter.excess()
        if excess is not None:
            return excess
    return None


def _follow(
    keeper: Keeper, meter: Meter, channel: socket.socket, program: dict[str, Any], output: int | None = None
) -> tuple[Excess | None, bytes, bytes]:
    """Hand over a program, and return what it writes to its channel and to its output until it ends."""
    said: list[bytes] = []
    printed: list[bytes] = []
    ends = {channel.fileno(): said} if output is None else {channel.fileno(): said, output: printed}
    with suppress(messages.GoneError):  # then the channel holds nothing either
        messages.send(channel.fileno(), program)
    excess = _collect(meter, ends, keeper.limits.output_mb << 20)
    words = b"".join(said)
    if excess is None and not words.startswith(STARTED):
        keeper.end()  # says why, if it knows
        raise SandboxError(_DIED)
    return excess, words.removeprefix(STARTED), b"".join(printed)


def _collect(meter: Meter, ends: dict[int, list[bytes]], longest: int) -> Excess | None:
    """Read descriptors until they are closed, which the last process of a program does by ending."""
    waiting, room = dict(ends), dict.fromkeys(ends, longest)
    next_look = time.monotonic() + meter.look_after_s
    while waiting:
        for end in select.select(list(waiting), [], [], max(0.0, next_look - time.monotonic()))[0]:
            part = _read(end)
            waiting[end].append(part)
            room[end] -= len(part)
            if room[end] < 0:
                return Excess("forbidden", is_doubtful=False)
            if not part:
                del waiting[end]
        if time.monotonic() >= next_look:
            excess = meter.excess()
            if excess is not None:
                return excess
            next_look = time.monotonic() + meter.look_after_s
    return None


def _read(end: int) -> bytes:
    try:
        return os.read(end, _PART)
    except ConnectionResetError:  # the other side ended without reading everything
        return b""
