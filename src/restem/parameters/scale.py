"""The group `scale` of parameters.yml. It says where work is done; what is made there is the same."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from restem.parameters.decides import Harmless
from restem.parameters.ranges import Float, Int, Seconds, Unit

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class ShareParameters:
    """What a process on a Ray cluster has of its node."""

    cpus: Annotated[Float, Field(ge=0.01, le=10_000), Unit("cores"), Harmless] = (
        1.0  # kept free for each; also its number of threads
    )
    gpus: Annotated[Float, Field(ge=0.0, le=1000), Unit("GPUs"), Harmless] = (
        0.0  # kept free for each; without one it sees none
    )


@dataclass(frozen=True, config=_STRICT)
class WorkersParameters(ShareParameters):
    """The workers of one kind on a Ray cluster; the backend `local` is one worker, this process."""

    workers: Annotated[Int, Field(ge=1, le=10_000), Unit("processes"), Harmless] = 2  # at most so many at the same time


@dataclass(frozen=True, config=_STRICT)
class ScaleParameters:
    """Where shards are worked on."""

    backend: Annotated[Literal["local", "ray"], Harmless] = "local"  # this process, or a Ray cluster
    # HOST:PORT of a Ray cluster's head, or auto; None starts one on this machine.
    address: Annotated[str | None, Harmless] = None
    sampling: WorkersParameters = Field(default_factory=WorkersParameters)  # each holds the policy
    scoring: WorkersParameters = Field(default_factory=WorkersParameters)  # each has `scoring.workers` processes
    training: ShareParameters = Field(default_factory=ShareParameters)  # each process, with training.launcher=ray
    # Of a shard that failed or lost its worker, of a training that lost a node.
    retries: Annotated[Int, Field(ge=0, le=1000), Unit("retries"), Harmless] = 2
    patience_s: Annotated[Seconds, Harmless] = 60.0  # for the cluster to answer, and for a node with room to join
