"""The group `scale` of parameters.yml. It decides where work is done and changes no result."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class ShareParameters:
    """What a process on a Ray cluster has of its node."""

    cpus: Annotated[float, Field(gt=0.0)] = 1.0  # kept free for each; also its number of threads
    gpus: Annotated[float, Field(ge=0.0)] = 0.0  # kept free for each; without one it sees none


@dataclass(frozen=True, config=_STRICT)
class WorkersParameters(ShareParameters):
    """The workers of one kind on a Ray cluster; the backend `local` is one worker, this process."""

    workers: Annotated[int, Field(ge=1)] = 2  # at most so many at the same time


@dataclass(frozen=True, config=_STRICT)
class ScaleParameters:
    """Where shards are worked on."""

    backend: Literal["local", "ray"] = "local"
    address: str | None = None  # HOST:PORT of a Ray cluster's head, or auto; None starts one on this machine
    sampling: WorkersParameters = Field(default_factory=WorkersParameters)  # each holds the policy
    scoring: WorkersParameters = Field(default_factory=WorkersParameters)  # each has `scoring.workers` processes
    training: ShareParameters = Field(default_factory=ShareParameters)  # each process, with training.launcher=ray
    retries: Annotated[int, Field(ge=0)] = (
        2  # of a shard that failed or lost its worker, of a training that lost a node
    )
    patience_s: Annotated[float, Field(gt=0.0)] = 60.0  # for the cluster to answer, and for a node with room to join
