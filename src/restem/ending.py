"""How a command ends when it is told to: within seconds, with a sentence on what is kept, and leaving nothing behind.

Ctrl-C, SIGTERM and SIGHUP are one to restem. What is written appears whole or not at all, so that a run may end
anywhere; it unwinds, which closes engines, judges and temporary folders, and what takes longer than that is cut off.
A thread of its own sees to that: Python runs a handler only when the main thread comes back from what it computes.
"""

import atexit
import contextlib
import fcntl
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from restem.masking import mask
from restem.systems import refuse_windows

refuse_windows()  # which lacks some of the signals

PATIENCE_S = 1.0  # for unwinding; a busy machine takes its time before and after
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COMMANDS = ("kedro", "restem")
_PREFIX, _LOCK = "restem-", ".lock"  # of temporary folders, and in each
_SHELLS = ("ipython", "jupyter")  # of Kedro, which Ctrl-C interrupts and does not end


class _Ending:
    """What the process does when it is told to end."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.code = 0
        self.kept = ""
        self.folder = ""
        self.lock = -1  # the descriptor of its lock
        self.farewell: Callable[[], None] | None = None
        self._farewell = threading.Thread(target=self._say_farewell, daemon=True)
        self._has_said = threading.Event()
        self._mask = threading.local()  # signals that a thread keeps back while it forks
        self._told, self._telling = socket.socketpair()
        self._telling.setblocking(False)

    def begin(self) -> None:
        """Wait for signals from now on."""
        threading.Thread(target=self._watch, name="ending", daemon=True).start()
        self._wake_by_signals()
        os.register_at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._forget)
        atexit.register(self._leave)

    def __call__(self, number: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() != self.owner:  # a fork, which is not the command; whoever forked it ends it
            os._exit(128 + number)
        if not self._wake_by_signals():  # a library has put its own in place of ours
            self._telling.send(bytes([number]))
        self._has_said.wait(PATIENCE_S)
        raise SystemExit(128 + number)

    def _wake_by_signals(self) -> bool:
        """Have each signal written where the thread reads, as soon as it comes; return whether it already was."""
        ours = self._telling.fileno()
        return signal.set_wakeup_fd(ours, warn_on_full_buffer=False) == ours

    def _hold(self) -> None:
        """Before a fork, keep signals back: one that comes to the fork while it is born would be told as ours."""
        self._mask.before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _let_go(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask.before)

    def _forget(self) -> None:
        """In a fork, tell nobody of signals: whoever forked it hears of its own."""
        signal.set_wakeup_fd(-1)
        self._let_go()

    def _watch(self) -> None:
        number = self._next()
        self.code = 128 + number
        os.write(2, f"\n{_said(signal.Signals(number).name, self.kept)}\n".encode())
        atexit.register(_end_processes)
        self._farewell.start()
        self._has_said.set()  # the main thread may be at its end a moment later
        self._told.settimeout(PATIENCE_S)
        with contextlib.suppress(TimeoutError):
            self._next()  # told twice
        self._cut_off()

    def _say_farewell(self) -> None:
        if self.farewell is not None:
            self.farewell()

    def _next(self) -> int:
        while (number := self._told.recv(1)[0]) not in _SIGNALS:
            pass
        return number

    def _cut_off(self) -> NoReturn:
        """End now."""
        _end_processes()
        self._clear()
        os._exit(self.code)

    def _leave(self) -> None:
        """Do what is left at the very end; with a signal also in place of the interpreter, which may take long."""
        if os.getpid() != self.owner:
            return
        self._clear()
        if self.code:
            self._farewell.join(PATIENCE_S)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):  # closed
                    stream.flush()
            os._exit(self.code)

    def _clear(self) -> None:
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


_ending: _Ending | None = None


def end_when_told() -> None:
    """From now on end this command as the module says; other programs that import restem stay as they are."""
    global _ending  # noqa: PLW0603 - signals are the process's
    if _ending is not None or not _program() or threading.current_thread() is not threading.main_thread():
        return
    if sys.argv[1:2] and sys.argv[1] in _SHELLS:
        signal.signal(signal.SIGINT, lambda *_: None)  # the shell that was started has it too; this one waits for it
        return
    _ending = _Ending()
    _ending.begin()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and means it
            signal.signal(number, _ending)


def begin_work(kept: str) -> None:
    """Say, if the command is ended from now on, what is kept; put all temporary files where they go with the process.

    Args:
        kept: What there will be after it was ended, as a sentence.
    """
    if _ending is None:
        return
    _ending.kept = kept
    if not _ending.folder:
        _remove_left_over(Path(tempfile.gettempdir()))
        _ending.folder = os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix=_PREFIX)
        _ending.lock = _locked(Path(_ending.folder) / _LOCK)


def on_told(farewell: Callable[[], None] | None) -> None:
    """Call this, in a thread of its own, when the command is told to end: it has a second; None calls nothing."""
    if _ending is not None:
        _ending.farewell = farewell


def end_work() -> None:
    """Say no more what is kept."""
    if _ending is not None:
        _ending.kept = ""


def _locked(file: Path) -> int:
    """Return the descriptor of a new file whose lock this process holds until it is gone, however it goes.

    It holds something only then: another process that finds it empty leaves it alone.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
    with contextlib.suppress(OSError):  # a file system without locks: what is left over there stays
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _remove_left_over(place: Path) -> None:
    """Remove the temporary folders of commands that were killed, which no unwinding could."""
    for file in place.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # gone meanwhile, another user's, or held: its command is at work
            if file.stat().st_size and file.parent.stat().st_uid == os.geteuid() and not file.parent.is_symlink():
                descriptor = os.open(file, os.O_RDWR)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(file.parent, ignore_errors=True)
                finally:
                    os.close(descriptor)


def _program() -> str:
    """Return how the command was started, if it is one of ours."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py" and program.parent.name in _COMMANDS:
        return f"python -m {program.parent.name}"
    return program.name if program.name in _COMMANDS else ""


def _said(name: str, kept: str) -> str:
    if not kept:
        return f"Ended by {name}."
    command = mask(f"{_program()} {shlex.join(sys.argv[1:])}".rstrip())
    return f"Ended by {name}. {kept} The same command goes on from there: {command}"


def _end_processes() -> None:
    """Kill what this process started, and what that started."""
    for process in _descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, file.read_text(encoding="ascii").split()):
                found += [*_descendants(child), child]
    return found
