"""The policy record: what the catalog carries in place of a live model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restem.errors import PolicyError


@dataclass(frozen=True)
class Policy:
    """A model folder and where it came from."""

    path: str  # folder that AutoModelForCausalLM and AutoTokenizer load
    fingerprint: str  # of the folder's content; `policy_id` in the tables
    iteration: int  # 0 for the base policy, i for what iteration i made
    name: str  # as the user named the base model
    base: str  # fingerprint of policy_0
    parent: str | None = None  # fingerprint of the policy that its training samples came from
    trained_from: str | None = None  # fingerprint of the policy whose weights its training started from
    made_with: Mapping[str, Any] | None = None  # training set, parameters, versions; None for what no training made
    deleted: bool = False  # whether its weights were, as em.keep_policies asked

    @property
    def folder(self) -> Path:
        """Return the model folder as a path."""
        return Path(self.path)

    def refuse_if_deleted(self) -> None:
        """Raise if the weights are gone.

        Raises:
            PolicyError: With the command that makes them again.
        """
        if self.deleted:
            raise PolicyError(
                f"the weights of policy_{self.iteration} ({self.fingerprint}) were deleted, as em.keep_policies asked; "
                "what was sampled and measured with them is kept. To have them again, train it again: "
                f"kedro run --pipeline=em_iteration --params=em.iteration={self.iteration},em.keep_policies=all"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)
