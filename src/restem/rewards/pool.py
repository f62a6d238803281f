"""Worker processes that can be killed: the wall clock limit of every verdict is held from outside.

A judge is given a few tasks at a time and answers one by one. When its limit passes it is killed: the task it was at
has timed out, the ones behind it go back to the queue.
"""

import json
import pickle
import selectors
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from restem.errors import RewardError
from restem.rewards.verdicts import Verdict, refused
from restem.rewards.worker import receive_bytes, send_bytes

_TASKS_AT_ONCE = 32  # per judge: few enough that all judges end together, enough to hide the sockets' latency
_START_LIMIT_S = 120.0  # to import a reward's libraries on a cold disk
_MESSAGE_LIMIT_S = 10.0  # for one message to pass once it has begun
_CONTROL_BYTES = 16  # of a message from the nursery


class Task(NamedTuple):
    """One verdict to be had."""

    subject: Mapping[str, Any]  # the gold, or the whole question
    answer: str
    name: str  # of the question, for messages


class _Seat:
    """A judge process, the tasks that it has not answered, and when it began the first of them."""

    def __init__(self, nursery: "_Nursery", connection: socket.socket, process_id: int) -> None:
        self.nursery = nursery
        self.connection = connection
        self.process_id = process_id
        self.waiting: deque[int] = deque()
        self.since = 0.0


class WorkerPool:
    """Judge processes for one reward, started when first needed and reused."""

    def __init__(
        self,
        judge_path: str,
        options: Mapping[str, Any],
        *,
        timeout_s: float,
        workers: int,
        patience_s: Callable[[Mapping[str, Any]], float] | None = None,
    ) -> None:
        """Describe the pool; no process is started yet.

        With `patience_s` the judge holds its limit itself, and a worker that takes so long for a subject is broken.
        """
        self.patience_s = patience_s
        self._judge_path, self._options = judge_path, dict(options)
        self._timeout_s, self._workers = timeout_s, workers
        self._lock = threading.Lock()
        self._nursery: _Nursery | None = None
        self._seats: list[_Seat] = []

    def run(self, tasks: Sequence[Task]) -> list[Verdict]:
        """Return one verdict per task, in order. Callers in other threads wait for their turn.

        Raises:
            RewardError: If the reward cannot be loaded, or raises twice on the same task.
        """
        if not tasks:
            return []
        with self._lock:
            try:
                return _Batch(self, tasks).run()
            except BaseException:
                self._close()  # judges may be in the middle of something
                raise

    def close(self) -> None:
        """End all processes; the next run starts fresh ones."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        for seat in self._seats:
            seat.connection.close()
        self._seats.clear()
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None

    def seats(self, wanted: int) -> list[_Seat]:
        """Return the running judges, started up to the number wanted or `workers`."""
        if self._nursery is None:
            self._nursery = _Nursery(self._judge_path, self._options)
        while len(self._seats) < min(wanted, self._workers):
            self._seats.append(self._nursery.fork())
        return self._seats

    def replace(self, seat: _Seat) -> _Seat:
        """Return a new judge in place of one that hangs or is dead."""
        seat.connection.close()
        seat.nursery.end(seat.process_id)
        fresh = seat.nursery.fork()
        self._seats[self._seats.index(seat)] = fresh
        return fresh

    @property
    def timeout_s(self) -> float:
        """Return the wall clock limit per verdict."""
        return self._timeout_s


class _Nursery:
    """The process that forks judges."""

    def __init__(self, judge_path: str, options: Mapping[str, Any]) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the caller, whose end ends the nursery
            )
        self.close = weakref.finalize(self, _end_nursery, self._control, process)  # also at exit
        self._control.settimeout(_START_LIMIT_S)
        send_bytes(self._control, pickle.dumps((sys.path, judge_path, dict(options))))
        try:
            reply = receive_bytes(self._control)
        except TimeoutError as error:
            self.close()
            raise RewardError(f"the reward's libraries did not load within {_START_LIMIT_S:g} s") from error
        answer = json.loads(reply) if reply else {"error": "its worker process died while loading"}
        if "error" in answer:
            self.close()
            raise RewardError(f"the reward {judge_path} cannot be loaded in its worker process: {answer['error']}")

    def fork(self) -> _Seat:
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
        ours.settimeout(_MESSAGE_LIMIT_S)
        return _Seat(self, ours, int(self._reply()))

    def end(self, process_id: int) -> None:
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


def _end_nursery(control: socket.socket, process: "subprocess.Popen[bytes]") -> None:
    control.close()  # the nursery takes this as the signal to end its judges and itself
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Batch:
    """The tasks of one call, on their way through the judges."""

    def __init__(self, pool: WorkerPool, tasks: Sequence[Task]) -> None:
        self._pool, self._tasks = pool, tasks
        self._verdicts: list[Verdict | None] = [None] * len(tasks)
        self._queue = deque(range(len(tasks)))
        self._again: set[int] = set()  # tasks on their second and last try, with nothing else running
        self._seats: list[_Seat] = []
        share = -(-len(tasks) // (2 * max(1, pool._workers)))
        self._at_once = 1 if pool.patience_s else max(1, min(_TASKS_AT_ONCE, share))

    def run(self) -> list[Verdict]:
        seats = self._seats = self._pool.seats(len(self._tasks))
        with selectors.DefaultSelector() as selector:
            for seat in seats:
                selector.register(seat.connection, selectors.EVENT_READ, seat)
            busy = [seat for seat in seats if self._feed(seat)]
            while busy:
                next_deadline = min(map(self._deadline, busy))
                events = selector.select(max(0.0, next_deadline - time.monotonic()))
                for key, _ in events:
                    self._hear(key.data, selector)
                self._end_late(selector)
                busy = [seat for seat in seats if seat.waiting or self._feed(seat)]
        return [verdict for verdict in self._verdicts if verdict is not None]

    def _feed(self, seat: _Seat) -> bool:
        """Return whether the judge has something to do, given it more if there is more."""
        while self._queue and len(seat.waiting) < self._at_once:
            if self._again:  # a second try is alone
                running = {index for other in self._seats for index in other.waiting}
                if running and (self._queue[0] in self._again or running & self._again):
                    break
            seat.waiting.append(self._queue.popleft())
        if not seat.waiting:
            return False
        tasks = [(self._tasks[index].subject, self._tasks[index].answer) for index in seat.waiting]
        with suppress(OSError):  # it is dead: select reports the end of its socket, and _hear replaces it
            send_bytes(seat.connection, pickle.dumps(tasks))
        seat.since = time.monotonic()
        return True

    def _hear(self, seat: _Seat, selector: selectors.BaseSelector) -> None:
        message = receive_bytes(seat.connection)
        if message is None:
            index = self._take_back(seat, selector)
            if index is not None:
                self._retry_or(index, lambda task: refused("crashed", task.answer))
            return
        index = seat.waiting.popleft()
        seat.since = time.monotonic()
        reply = json.loads(message)
        if "error" in reply:
            self._retry_or(index, lambda task: _raise_broken(task, reply["error"]))
        elif reply["is_doubtful"] and index not in self._again:
            self._retry_or(index, lambda task: refused("infrastructure", task.answer))
        else:
            self._verdicts[index] = Verdict(**{name: reply[name] for name in Verdict._fields})

    def _retry_or(self, index: int, give_up: Any) -> None:
        if index in self._again:
            self._verdicts[index] = give_up(self._tasks[index])
        else:
            self._again.add(index)
            self._queue.append(index)

    def _deadline(self, seat: _Seat) -> float:
        subject = self._tasks[seat.waiting[0]].subject
        return seat.since + (self._pool.patience_s(subject) if self._pool.patience_s else self._pool.timeout_s)

    def _end_late(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        seats = [key.data for key in selector.get_map().values()]
        for seat in [seat for seat in seats if seat.waiting and self._deadline(seat) <= now]:
            index = self._take_back(seat, selector)
            if index is None:
                continue
            if self._pool.patience_s:
                self._retry_or(index, lambda task: _raise_broken(task, "no answer, far beyond its own limit"))
            else:
                seconds = float(int(self._pool.timeout_s))
                self._verdicts[index] = Verdict(0.0, "timeout", self._tasks[index].answer, seconds)

    def _take_back(self, seat: _Seat, selector: selectors.BaseSelector) -> int | None:
        """Return the task that the judge was at, the judge replaced and the tasks behind it queued again."""
        selector.unregister(seat.connection)
        fresh = self._pool.replace(seat)
        selector.register(fresh.connection, selectors.EVENT_READ, fresh)
        index = seat.waiting.popleft() if seat.waiting else None
        self._queue.extendleft(reversed(seat.waiting))
        seat.waiting.clear()
        return index


def _raise_broken(task: Task, message: str) -> Verdict:
    raise RewardError(
        f"the reward failed twice on question {task.name!r} with {message}; "
        "this is a fault of the reward and not of the completion: mend it, and run again"
    )
