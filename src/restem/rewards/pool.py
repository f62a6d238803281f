"""Worker processes that can be killed: the wall clock limit of every verdict is held from outside.

A judge is given a few tasks at a time and answers one by one. When its limit passes it is killed: the task it was at
has timed out, the ones behind it go back to the queue. A task that had not computed for most of its limit is judged
once more, alone: it may have been the machine that slept. Nothing that a judge says is believed beyond its form.
"""

import json
import logging
import pickle
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from restem.errors import RewardError
from restem.rewards.base import Task
from restem.rewards.nursery import NoSandboxError, Nursery, Seat
from restem.rewards.sandbox.launch import SANDBOX_NEEDS
from restem.rewards.verdicts import Verdict, refused
from restem.rewards.worker import receive_bytes, send_bytes
from restem.schemas import REASONS

_TASKS_AT_ONCE = 32  # per judge: few enough that all judges end together, enough to hide the sockets' latency
_BUSY = 0.5  # of its limit: a task that computed for less was kept waiting
_ASLEEP_S = 0.5  # beyond what was asked for: this process did not run, and so may its judges
_SHOWN = 200  # characters of a message that a completion may have written
_logger = logging.getLogger(__name__)


class WorkerPool:
    """Judge processes for one reward, started when first needed and reused."""

    def __init__(  # noqa: PLR0913 - what a judge is, and how it is kept
        self,
        judge_path: str,
        options: Mapping[str, Any],
        *,
        timeout_s: float,
        workers: int,
        patience_s: Callable[[Mapping[str, Any]], float] | None = None,
        sandbox: str = "",
    ) -> None:
        """Describe the pool; no process is started yet.

        With `patience_s` the judge holds its limit itself, and a worker that takes so long for a subject is broken.
        With `sandbox` judges are confined: "required", or "wanted" where the judge can do without.
        """
        self.patience_s = patience_s
        self._sandbox = sandbox
        self._judge_path, self._options = judge_path, dict(options)
        self._timeout_s, self._workers = timeout_s, workers
        self._lock = threading.Lock()
        self._nursery: Nursery | None = None
        self._seats: list[Seat] = []

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

    def seats(self, wanted: int) -> list[Seat]:
        """Return the running judges, started up to the number wanted or `workers`."""
        if self._nursery is None:
            self._nursery = self._open_nursery()
        while len(self._seats) < min(wanted, self._workers):
            self._seats.append(self._nursery.fork())
        return self._seats

    def _open_nursery(self) -> "Nursery":
        if not self._sandbox:
            return Nursery(self._judge_path, self._options)
        try:
            return Nursery(self._judge_path, self._options, is_confined=True)
        except NoSandboxError as error:
            if self._sandbox == "required":
                raise RewardError(
                    f"the reward {self._judge_path} judges in a sandbox, which cannot be had: {error}. {SANDBOX_NEEDS}"
                ) from error
            _logger.warning("no sandbox for the reward %s: %s. %s", self._judge_path, error, SANDBOX_NEEDS)
            return Nursery(self._judge_path, self._options, why_open=str(error))

    def replace(self, seat: Seat) -> Seat:
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


class _Batch:
    """The tasks of one call, on their way through the judges."""

    def __init__(self, pool: WorkerPool, tasks: Sequence[Task]) -> None:
        self._pool, self._tasks = pool, tasks
        self._verdicts: list[Verdict | None] = [None] * len(tasks)
        self._queue = deque(range(len(tasks)))
        self._again: set[int] = set()  # tasks on their second and last try, with nothing else running
        self._seats: list[Seat] = []
        share = -(-len(tasks) // (2 * max(1, pool._workers)))
        self._at_once = 1 if pool.patience_s else max(1, min(_TASKS_AT_ONCE, share))

    def run(self) -> list[Verdict]:
        seats = self._seats = self._pool.seats(len(self._tasks))
        with selectors.DefaultSelector() as selector:
            for seat in seats:
                selector.register(seat.connection, selectors.EVENT_READ, seat)
            busy = [seat for seat in seats if self._feed(seat)]
            while busy:
                wait_s = max(0.0, min(map(self._deadline, busy)) - time.monotonic())
                before = time.monotonic()
                events = selector.select(wait_s)
                slept_s = time.monotonic() - before - wait_s
                if slept_s > _ASLEEP_S:
                    for seat in busy:
                        seat.since += slept_s
                for key, _ in events:
                    self._hear(key.data, selector)
                self._end_late(selector)
                busy = [seat for seat in seats if seat.waiting or self._feed(seat)]
        return [verdict for verdict in self._verdicts if verdict is not None]

    def _feed(self, seat: Seat) -> bool:
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
        seat.begin()
        return True

    def _hear(self, seat: Seat, selector: selectors.BaseSelector) -> None:
        message = receive_bytes(seat.connection)
        reply = None if message is None or not seat.waiting else _read(message)
        if reply is None:  # it is dead, or says what no judge of ours says
            index = self._take_back(seat, selector)
            if index is not None:
                self._retry_or(index, lambda task: refused("crashed", task.answer))
            return
        index = seat.waiting.popleft()
        seat.begin()
        if isinstance(reply, _Fault):
            self._retry_or(index, lambda task: self._broken(seat, task, reply.message))
        elif reply.is_doubtful and index not in self._again:
            self._retry_or(index, lambda task: refused("infrastructure", task.answer))
        else:
            self._verdicts[index] = reply.verdict

    def _broken(self, seat: Seat, task: Task, message: str) -> Verdict:
        """Return the verdict where a judge has raised twice. A confined one stops no run: a completion may speak."""
        if not seat.nursery.is_confined:
            return _raise_broken(task, message)
        _logger.warning("the reward failed twice on question %r with %r: crashed", task.name, message[:_SHOWN])
        return refused("crashed", task.answer)

    def _retry_or(self, index: int, give_up: Any) -> None:
        if index in self._again:
            self._verdicts[index] = give_up(self._tasks[index])
        else:
            self._again.add(index)
            self._queue.append(index)

    def _deadline(self, seat: Seat) -> float:
        subject = self._tasks[seat.waiting[0]].subject
        return seat.since + (self._pool.patience_s(subject) if self._pool.patience_s else self._pool.timeout_s)

    def _end_late(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        seats = [key.data for key in selector.get_map().values()]
        for seat in [seat for seat in seats if seat.waiting and self._deadline(seat) <= now]:
            computed = seat.used_s() >= _BUSY * self._pool.timeout_s
            index = self._take_back(seat, selector)
            if index is None:
                continue
            if self._pool.patience_s:
                self._retry_or(index, lambda task: _raise_broken(task, "no answer, far beyond its own limit"))
            elif computed:
                self._verdicts[index] = self._late(self._tasks[index])
            else:
                self._retry_or(index, self._late)

    def _late(self, task: Task) -> Verdict:
        return Verdict(0.0, "timeout", task.answer, float(int(self._pool.timeout_s)))

    def _take_back(self, seat: Seat, selector: selectors.BaseSelector) -> int | None:
        """Return the task that the judge was at, the judge replaced and the tasks behind it queued again."""
        selector.unregister(seat.connection)
        fresh = self._pool.replace(seat)
        selector.register(fresh.connection, selectors.EVENT_READ, fresh)
        index = seat.waiting.popleft() if seat.waiting else None
        self._queue.extendleft(reversed(seat.waiting))
        seat.waiting.clear()
        return index


class _Fault(NamedTuple):
    message: str


class _Judged(NamedTuple):
    verdict: Verdict
    is_doubtful: bool


def _read(message: bytes) -> _Judged | _Fault | None:
    """Return what a judge said, or None if it is nothing that a judge says: a model's text may speak through it."""
    try:
        reply = json.loads(message)
        if set(reply) == {"error"}:
            return _Fault(str(reply["error"]))
        is_doubtful = reply.pop("is_doubtful")
        verdict = Verdict(**reply)
        fits = (
            isinstance(verdict.reward, float | int)
            and 0.0 <= verdict.reward <= 1.0
            and verdict.reason in REASONS
            and isinstance(verdict.answer, str | None)
            and isinstance(verdict.seconds, float)
            and isinstance(verdict.found_by, str | None)
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return _Judged(verdict, bool(is_doubtful)) if fits else None


def _raise_broken(task: Task, message: str) -> Verdict:
    raise RewardError(
        f"the reward failed twice on question {task.name!r} and the completion {task.answer[:_SHOWN]!r} with "
        f"{message}; this is a fault of the reward and not of the completion: mend it, and run again"
    )
