"""Where the results and the log of a run go. Ours."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.dataclasses import dataclass

from restem.parameters.decides import Harmless
from restem.parameters.ranges import Int, Positive, Unit

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class TrackingParameters:
    """MLflow. The tracking server is MLFLOW_TRACKING_URI, or this project's own store."""

    enabled: Annotated[bool, Harmless] = True  # log to it
    # The MLflow experiment that holds the runs.
    mlflow_experiment: Annotated[str, StringConstraints(min_length=1, max_length=200), Harmless] = "restem"
    timeout_s: Annotated[Int, Field(ge=1, le=86_400), Unit("seconds"), Harmless] = (
        10  # per request to a tracking server
    )
    # CPU, memory, disk, network and GPUs of this machine while an iteration is made, by MLflow's own monitor.
    system_metrics: Annotated[bool, Harmless] = False
    # Of a table of samples in the UI, in whole questions; the catalog has them all.
    max_table_rows: Annotated[Positive, Unit("rows"), Harmless] = 5000


@dataclass(frozen=True, config=_STRICT)
class DisplayParameters:
    """What a run shows on the screen; all of its log is in logs/<experiment>.log."""

    log: Annotated[Literal["file", "screen"], Harmless] = "file"  # screen shows the log there too
