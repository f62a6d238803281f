"""What a study compares: its experiments that are complete, their policies, and one policy against another."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from restem.evaluation.comparisons import Comparison
from restem.evaluation.metrics import Measured
from restem.reporting import figures
from restem.store.tables import Table


class Made(NamedTuple):
    """An experiment of the study that is complete."""

    name: str  # in the study
    differences: str  # as people read them
    records: Mapping[int, Mapping[str, Any]]  # by iteration; 0 is the base policy
    evaluations: Mapping[int, Table]


class Arm(NamedTuple):
    """A policy that is compared."""

    experiment: str  # empty for the base policy
    iteration: int
    record: Mapping[str, Any]
    evaluation: Table
    is_only: bool  # of its experiment in the comparison

    @property
    def label(self) -> str:
        """Return what it is called."""
        if not self.experiment:
            return figures.policy_label(0)
        return self.experiment if self.is_only else f"{self.experiment}, iteration {self.iteration}"

    @property
    def numbers(self) -> Mapping[str, Measured]:
        """Return its metrics."""
        numbers: Mapping[str, Measured] = self.record["metrics"]
        return numbers


class Pair(NamedTuple):
    """A policy against another."""

    arm: Arm
    reference: Arm
    comparison: Comparison  # judged together with the others on its suite


class Shared(NamedTuple):
    """What the experiments of a study have in common."""

    n_samples: int  # that all of them hold
    n_drawn: int  # different ones among these
    n_policies: int  # that all of them trained
    n_trained: int  # different ones among these
