"""The backend `local`: one shard after the other, in this process."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Self

from restem.scale import CountDone, MakeShard, Shard, Work
from restem.spending import spending


class LocalWorkers:
    """This process."""

    def __init__(self, work: Work) -> None:
        """Open nothing yet: everything may be in the journal."""
        self._work = work
        self._held = ExitStack()
        self._make: MakeShard | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Close what was opened."""
        self._held.close()

    def do(self, shards: Iterable[Shard], *, n_shards: int, advance: CountDone) -> None:
        """Make the files of these shards; see `restem.scale.Workers`. The first failure ends it."""
        for shard in shards:
            spending.refuse_if_spent()
            if self._make is None:
                self._make = self._held.enter_context(self._work.open())
            self._make(shard, advance)
