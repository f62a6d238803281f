"""How a command ends when it is told to: within seconds, with a sentence on what is kept, and leaving nothing behind.

Ctrl-C, SIGTERM and SIGHUP are one to restem. What is written appears whole or not at all, so that a run may end
anywhere; it unwinds, which closes engines, judges and temporary folders, and what takes longer than that is cut off.
"""

import atexit
import contextlib
import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

from restem.masking import mask

PATIENCE_S = 1.0  # for unwinding; a busy machine takes its time before and after
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COMMANDS = {"kedro", "restem", "__main__.py"}


class _Ending:
    """What the process does when it is told to end."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.code = 0

    def __call__(self, number: int, frame: FrameType | None) -> NoReturn:
        if os.getpid() != self.owner:  # a fork, which is not the command; whoever forked it ends it
            os._exit(128 + number)
        if self.code:  # told twice
            self.cut_off()
        self.code = 128 + number
        os.write(2, f"\n{_said(signal.Signals(number).name)}\n".encode())
        late = threading.Timer(PATIENCE_S, self.cut_off)
        late.daemon = True
        late.start()
        atexit.register(_end_processes)
        raise SystemExit(self.code)

    def cut_off(self) -> NoReturn:
        """End now."""
        _end_processes()
        os._exit(self.code)


def end_when_told() -> None:
    """From now on end this command as the module says; other programs that import restem stay as they are."""
    is_command = Path(sys.argv[0]).name in _COMMANDS and threading.current_thread() is threading.main_thread()
    if not is_command or isinstance(signal.getsignal(signal.SIGTERM), _Ending):
        return
    ending = _Ending()
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP, and means it
            signal.signal(number, ending)


def _said(name: str) -> str:
    command = mask(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    return (
        f"Ended by {name}. What was finished is kept: shards of samples and verdicts, and training up to its last "
        f"checkpoint. The same command goes on from there: {command}"
    )


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
