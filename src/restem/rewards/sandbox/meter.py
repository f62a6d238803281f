"""What a running program has used, seen from outside: cpu time, memory, processes, and time it was kept waiting."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from restem.rewards.sandbox.limits import Limits

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MOST_WAITING = 10.0  # times the limit, on the clock, however starved the machine is
_STARVED = 0.05  # of the clock: a program kept waiting for more may have been kept waiting for other things too
_FIRST_LOOK_S = 0.02  # most programs are done by then, and never looked at
_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.005, 0.05
_UTIME, _CHILDREN_STIME = 11, 14  # in /proc/pid/stat behind the name; Source: man 5 proc

_PROCESS_CLOCK = 2  # in the number of a clock; Source: man 3 clock_getcpuclockid, linux/posix-timers.h


class Excess(NamedTuple):
    """A limit that was passed."""

    reason: str  # timeout or forbidden
    is_doubtful: bool  # the state of the machine may have decided


class _Use(NamedTuple):
    cpu_s: float = 0.0
    waited_s: float = 0.0  # ready to run, but not running
    memory_bytes: int = 0
    processes: int = 0


class Meter:
    """Watches the children of a keeper: the tester, if there is one, and the program, which is younger."""

    def __init__(self, keeper: int, limits: Limits, *, has_tester: bool) -> None:
        """Start the clock."""
        self._keeper, self._limits, self._has_tester = keeper, limits, has_tester
        self._start = time.monotonic()
        self._of_tester_before: _Use | None = None
        self.look_after_s = _FIRST_LOOK_S  # when to look again

    def excess(self) -> Excess | None:
        """Return the limit that is passed by now, if any."""
        tester, program, *_ = [*([] if self._has_tester else [0]), *_children(self._keeper), 0, 0]
        of_program, of_tester = _of_tree(program), self._of_tester(tester)
        limit_s = self._limits.timeout_s
        if max(of_program.memory_bytes, of_tester.memory_bytes) > self._limits.memory_mb << 20:
            return Excess("forbidden", is_doubtful=False)
        if of_program.processes > self._limits.processes:  # where the kernel cannot count by itself
            return Excess("forbidden", is_doubtful=False)
        cpu_s = max(of_program.cpu_s, of_tester.cpu_s)
        if cpu_s >= limit_s:
            return Excess("timeout", is_doubtful=False)
        clock_s = time.monotonic() - self._start
        waited_s = of_program.waited_s + of_tester.waited_s
        own_s = clock_s - waited_s - of_tester.cpu_s
        if own_s >= limit_s or clock_s >= _MOST_WAITING * limit_s:
            return Excess("timeout", is_doubtful=waited_s > _STARVED * clock_s)
        self.look_after_s = min(_LONGEST_LOOK_S, max(_SHORTEST_LOOK_S, limit_s - max(cpu_s, own_s)))
        return None

    def _of_tester(self, tester: int) -> _Use:
        """Return what the tester has used since it was first looked at: it may have judged others before."""
        use = _of_tree(tester)
        before = self._of_tester_before = self._of_tester_before or use
        return use._replace(cpu_s=use.cpu_s - before.cpu_s, waited_s=use.waited_s - before.waited_s)


def _of_tree(root: int) -> _Use:
    """Return what a process and its descendants use."""
    total, waiting, seen = _Use(), [root] if root else [], 0
    while waiting:
        process = waiting.pop()
        with suppress(OSError, ValueError, IndexError):  # it may end at any time
            use = _of_process(process, is_root=process == root)
            total = _Use(
                total.cpu_s + use.cpu_s,
                total.waited_s + use.waited_s,
                total.memory_bytes + use.memory_bytes,
                total.processes + use.processes,
            )
            waiting += _children(process)
        seen += 1
    return total


def _of_process(process: int, *, is_root: bool) -> _Use:
    folder = Path(f"/proc/{process}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[_UTIME : _CHILDREN_STIME + 1])
    status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
    memory = sum(int(status.get(name, "0 kB").split()[0]) for name in ("RssAnon", "RssShmem")) << 10
    # Only of the first thread: a program cannot gain time by starving a crowd of its own.
    waited = _waited_s(folder) if is_root else 0.0
    return _Use(ticks / _TICKS_PER_S, waited, memory, int(status.get("Threads", "1")))


def _waited_s(folder: Path) -> float:
    try:
        return int((folder / "schedstat").read_text().split()[1]) / 1e9
    except OSError:  # a kernel that does not tell: then the clock alone decides
        return 0.0


def _children(process: int) -> list[int]:
    """Return the children of all threads of a process, oldest first."""
    found: list[int] = []
    with suppress(OSError):  # it may end at any time
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    return found


def only_child(process: int) -> int:
    """Return the one child of a process.

    Raises:
        OSError: If there is none, or the kernel does not tell.
    """
    children = _children(process)
    if len(children) != 1:
        raise OSError(f"process {process} has {len(children)} children where one was expected")
    return children[0]


def cpu_s_of(process: int, *, with_children: bool = False) -> float:
    """Return the cpu time of a process's own threads, and of its living children; 0 if it is gone.

    From the kernel's clocks, which are finer than what /proc tells and cost a microsecond.
    """
    processes = [process, *(_children(process) if with_children else ())]
    total = 0.0
    for one in processes:
        with suppress(OSError):
            total += time.clock_gettime((~one << 3) | _PROCESS_CLOCK)
    return total
