"""Shards that wait to be worked on, and what is done about those that fail."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from restem.errors import ScaleError, first_few
from restem.scale import Shard

_GIVEN_UP_AT_MOST = 5  # shards; when so many fail for good, the fault is not theirs and the rest would fail as well


class Attempt(NamedTuple):
    """A shard, and how often it failed before."""

    shard: Shard
    n_failures: int = 0


class _GivenUp(NamedTuple):
    shard: Shard
    reason: str

    def __str__(self) -> str:
        return f"questions {first_few(self.shard.question_ids)} ({self.shard.target.name}): {self.reason}"


class Attempts:
    """The shards of one job: each is tried until it succeeds or has failed too often."""

    def __init__(self, shards: Iterable[Shard], *, n_shards: int, retries: int) -> None:
        """Take shards from the iterator only when a worker is free for them.

        Args:
            shards: All of them.
            n_shards: How many.
            retries: Further tries of a shard that failed.
        """
        self._fresh = iter(shards)
        self._again: deque[Attempt] = deque()
        self._given_up: list[_GivenUp] = []
        self._n_shards, self._n_fresh, self._retries = n_shards, n_shards, retries
        self.is_over = False  # whether none is begun any more, though some may wait

    @property
    def n_waiting(self) -> int:
        """Return how many shards wait for a worker."""
        return 0 if self._is_hopeless or self.is_over else self._n_fresh + len(self._again)

    def begin_no_more(self) -> None:
        """Let no shard be begun from now on."""
        self.is_over = True

    def take(self) -> Attempt:
        """Return the next shard to try; only while some wait."""
        if self._again:
            return self._again.popleft()
        self._n_fresh -= 1
        return Attempt(next(self._fresh))

    def put_back(self, attempt: Attempt, reason: str) -> None:
        """Try a shard again, unless it failed too often."""
        if attempt.n_failures < self._retries:
            self._again.append(attempt._replace(n_failures=attempt.n_failures + 1))
        else:
            self._given_up.append(_GivenUp(attempt.shard, reason))

    def refuse_if_given_up(self) -> None:
        """Raise if shards failed for good.

        Raises:
            ScaleError: With their questions and the last reason of each.
        """
        if not self._given_up:
            return
        n_open = len(self._given_up) + self._n_fresh + len(self._again)
        raise ScaleError(
            f"{len(self._given_up)} of {self._n_shards} shards failed {self._retries + 1} times each "
            f"(scale.retries={self._retries}): {'; '.join(map(str, self._given_up))}. "
            f"The other {self._n_shards - n_open} are finished and kept"
            + (f", {n_open - len(self._given_up)} were not begun" if self._is_hopeless else "")
            + ". Mend the fault, or leave these questions out, and run again: only what is missing is done"
        )

    @property
    def _is_hopeless(self) -> bool:
        return len(self._given_up) >= _GIVEN_UP_AT_MOST
