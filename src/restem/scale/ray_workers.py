"""The backend `ray`: workers on a cluster, each an actor that holds what its work needs and does shard after shard.

A worker is given a shard when it is free, so that slow ones hold nobody up and nothing piles up. One that dies is
replaced, wherever there is room; its shard goes to the next free one. Nodes that join take workers that were waiting.
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from restem import suggestions
from restem.errors import RestemError, ScaleError
from restem.parameters.scale import ScaleParameters
from restem.scale import CountDone, MakeShard, Shard, Work
from restem.scale.attempts import Attempt, Attempts
from restem.scale.cluster import Room, connect, say_what_is_free, wait_for_room
from restem.scale.probe import Fault, Probe, first_line, named
from restem.spending import spending
from restem.store.ledger import Account

_logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0


class _Done(NamedTuple):
    """A shard whose file is made now."""

    counts: dict[str, int]
    taken: Account


class _Worker:
    """The far side: an actor's process."""

    def __init__(self, work: Work, probe: Probe, path: list[str], asked: suggestions.Asked) -> None:
        suggestions.use(asked)
        sys.path.extend(entry for entry in path if entry not in sys.path)  # rewards and engines of the user's own
        self._work, self._probe = work, probe
        self._held = ExitStack()
        self._make: MakeShard | None = None

    def start(self) -> Fault | None:
        """Get ready for shards."""
        fault = self._probe.look()
        if fault is not None:
            return fault
        try:
            self._make = self._held.enter_context(self._work.open())
        except RestemError as error:
            return Fault(str(error), is_final=True)
        except Exception as error:  # whatever it is, it must not end the run before others have tried
            _logger.exception("a worker for %s could not start", self._work.kind)
            return Fault(named(error))
        return None

    def do(self, shard: Shard) -> Fault | _Done:
        """Return what was done for a shard, and what it took."""
        if self._make is None:
            return Fault("it was not started")
        counts: Counter[str] = Counter()
        try:
            self._make(shard, counts.update)
        except Exception as error:  # whatever it is, the driver decides what becomes of the shard
            _logger.exception("shard %s failed", shard.target.name)
            return Fault(named(error), taken=spending.untold())
        return _Done(dict(counts), spending.untold())


class RayWorkers:
    """The near side: who works, who is free, who starts."""

    def __init__(self, work: Work, scale: ScaleParameters, shared: Path) -> None:
        """Connect to nothing yet: everything may be in the journal."""
        self._work, self._scale = work, scale
        self._asked = {"sampling": scale.sampling, "scoring": scale.scoring}[work.kind]
        self._probe = Probe.of(shared)
        self._ray: Any = None
        self._starting: dict[Any, Any] = {}  # the call `start` -> its worker
        self._busy: dict[Any, tuple[Any, Attempt]] = {}  # the call `do` -> its worker and shard
        self._idle: list[Any] = []
        self._n_failed_starts = 0  # since the last success
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End the workers."""
        for worker in [*self._starting.values(), *self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)
        self._probe.remove()

    def do(self, shards: Iterable[Shard], *, n_shards: int, advance: CountDone) -> None:
        """Make the files of these shards; see `restem.scale.Workers`."""
        attempts = Attempts(shards, n_shards=n_shards, retries=self._scale.retries)
        while self._goes_on(attempts):
            self._hire(attempts)
            while self._idle and attempts.n_waiting:
                self._give(self._idle.pop(), attempts.take())
            self._listen(attempts, advance)
        attempts.refuse_if_given_up()
        if attempts.is_over:
            spending.refuse_if_spent()

    def _goes_on(self, attempts: Attempts) -> bool:
        """Return whether shards are to be begun or waited for; none is begun once the budget is spent."""
        if attempts.n_waiting and spending.why_spent():
            attempts.begin_no_more()
        return bool(attempts.n_waiting or self._busy)

    def _hire(self, attempts: Attempts) -> None:
        """Start workers, as many as are wanted and have something to do."""
        n_now = len(self._starting) + len(self._idle) + len(self._busy)
        n_wanted = min(self._asked.workers, attempts.n_waiting + len(self._busy))
        if n_wanted <= n_now:
            return
        if self._ray is None:
            self._ray = connect(self._scale)
            self._probe.place()
        if not n_now:
            self._wait_for_room()
        for _ in range(n_wanted - n_now):
            worker = self._new_worker()
            self._starting[worker.start.remote()] = worker

    def _new_worker(self) -> Any:
        options = {
            "num_cpus": self._asked.cpus,
            "num_gpus": self._asked.gpus,
            "max_restarts": 0,  # a new one is started instead, wherever there is room
            "scheduling_strategy": "SPREAD",
        }
        return self._ray.remote(**options)(_Worker).remote(self._work, self._probe, sys.path, suggestions.asked())

    def _give(self, worker: Any, attempt: Attempt) -> None:
        self._busy[worker.do.remote(attempt.shard)] = (worker, attempt)

    def _listen(self, attempts: Attempts, advance: CountDone) -> None:
        """Hear of at most one worker."""
        ready, _ = self._ray.wait([*self._starting, *self._busy], timeout=_LOOK_EVERY_S)
        if not ready:
            self._look_around()
        for call in ready:
            try:
                outcome = self._ray.get(call)
            except self._ray.exceptions.RayError as error:
                outcome = Fault(f"its worker died ({type(error).__name__}): {first_line(error)}")
            if call in self._starting:
                self._after_start(self._starting.pop(call), outcome)
            else:
                self._after_shard(*self._busy.pop(call), outcome, attempts, advance)

    def _after_start(self, worker: Any, outcome: Fault | None) -> None:
        if outcome is None:
            self._n_failed_starts = 0
            self._idle.append(worker)
            return
        self._ray.kill(worker)
        self._n_failed_starts += 1
        _logger.warning("a worker for %s could not start: %s", self._work.kind, outcome.reason)
        if outcome.is_final or self._n_failed_starts > self._scale.retries:
            raise ScaleError(
                f"no worker for {self._work.kind} can start (tried {self._n_failed_starts} times): {outcome.reason}"
            )

    def _after_shard(
        self, worker: Any, attempt: Attempt, outcome: Fault | _Done, attempts: Attempts, advance: CountDone
    ) -> None:
        spending.add(outcome.taken)
        if isinstance(outcome, Fault):
            # Nobody knows what state it is in: an engine may be broken for good.
            self._ray.kill(worker)
            _logger.warning("shard %s failed: %s", attempt.shard.target.name, outcome.reason)
            attempts.put_back(attempt, outcome.reason)
        else:
            self._idle.append(worker)
            advance(**outcome.counts)

    def _look_around(self) -> None:
        """While nothing is done, make sure that something can be, and say what is waited for."""
        if self._busy:
            return
        self._wait_for_room()
        self._last_line = say_what_is_free(self._ray, f"a worker for {self._work.kind}", since=self._last_line)

    def _wait_for_room(self) -> None:
        wait_for_room(self._ray, Room(self._work.kind, self._asked), patience_s=self._scale.patience_s)
