"""Who works on shards: this process, or workers on a Ray cluster. The code for one shard is the same.

A worker writes the file of its shard itself, whole or not at all, so that what is finished survives whoever dies: the
worker, its machine, or the process that handed the shard out.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from restem.parameters.scale import ScaleParameters

LOCAL = ScaleParameters()


class Shard(NamedTuple):
    """Some whole questions, and the file that is to be made of them."""

    target: Path
    question_ids: tuple[str, ...]  # for messages
    inputs: Any  # what the file is made from; plain data


CountDone = Callable[..., None]  # counts what was done, by name: n_questions, n_samples, n_tokens, n_accepted
MakeShard = Callable[[Shard, CountDone], None]  # makes the file of a shard


class Work(Protocol):
    """What is done with every shard: plain data that can be sent, until it is opened where it is done."""

    @property
    def kind(self) -> Literal["sampling", "scoring"]:
        """Return the group of `scale` that says how many do it."""

    def open(self) -> AbstractContextManager[MakeShard]:
        """Return a context that holds what every shard needs: an engine with its policy, rewards.

        Raises:
            RestemError: If that cannot be had; another worker would not fare better.
        """


class Workers(Protocol):
    """Those who do some work, for as long as it lasts."""

    def do(self, shards: Iterable[Shard], *, n_shards: int, advance: CountDone) -> None:
        """Make the files of these shards.

        Args:
            shards: In any order; taken one by one, as workers get free.
            n_shards: How many there are.
            advance: Told what was done, of finished shards at the latest.

        Raises:
            BudgetError: If what the experiment may take is spent; shards that were begun are finished before.
            ScaleError: If workers cannot be had, or shards keep failing; all others are finished before.
        """


@contextmanager
def open_workers(work: Work, scale: ScaleParameters, *, shared: Path) -> Iterator[Workers]:
    """Return a context in which workers are had as they are needed, none before the first shard.

    Args:
        work: What they do.
        scale: Where, and how many.
        shared: A folder that all of them must see, with the files of all shards under it.
    """
    with _BACKENDS[scale.backend](work, scale, shared) as workers:
        yield workers


def _local(work: Work, _scale: ScaleParameters, _shared: Path) -> AbstractContextManager[Workers]:
    from restem.scale.local import LocalWorkers

    return LocalWorkers(work)


def _ray(work: Work, scale: ScaleParameters, shared: Path) -> AbstractContextManager[Workers]:
    from restem.scale.ray_workers import RayWorkers

    return RayWorkers(work, scale, shared)


_BACKENDS = {"local": _local, "ray": _ray}
