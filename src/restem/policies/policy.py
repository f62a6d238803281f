"""The policy record: what the catalog carries in place of a live model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restem import suggestions
from restem.errors import PolicyError
from restem.store.digests import faults, recorded_digests
from restem.store.fingerprints import POLICY_MANIFEST, folder_fingerprint


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
    revision: str | None = None  # commit of the base model on the Hugging Face hub, if it came from there
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
            again = suggestions.run("em_iteration", params={"em.iteration": self.iteration, "em.keep_policies": "all"})
            raise PolicyError(
                f"the weights of policy_{self.iteration} ({self.fingerprint}) were deleted, as em.keep_policies asked; "
                "what was sampled and measured with them is kept. To have them again, train it again: "
                f"{again}"
            )

    def unchanged(self) -> "Policy":
        """Return the policy; one whose weights are there is seen to be what was recorded, as `refuse_if_changed` does.

        Raises:
            PolicyError: If it is not.
        """
        if not self.deleted:
            self.refuse_if_changed()
        return self

    def refuse_if_changed(self) -> None:
        """Raise unless the folder holds what it held when the policy was recorded; read once in a process.

        Raises:
            PolicyError: If it is gone or has changed, with the files and what to do.
        """
        self.refuse_if_deleted()
        if not self.folder.is_dir():
            raise PolicyError(f"policy_{self.iteration} ({self.name}) was at {self.path}, which is gone: {self._again}")
        actual = folder_fingerprint(self.folder)
        if actual == self.fingerprint:
            return
        recorded = _written(self.folder)
        files = "".join(f"; {fault}" for name in recorded for fault in faults(self.folder / name, {"": recorded[name]}))
        raise PolicyError(
            f"policy_{self.iteration} ({self.name}) at {self.path} has changed since the experiment began: its "
            f"fingerprint was {self.fingerprint} and is {actual}{files}: {self._again}"
        )

    @property
    def _again(self) -> str:
        if self.iteration:
            return (
                "have it trained again (what damaged it there is in the journal too, and is made again): "
                f"{suggestions.run('em_iteration', params={'em.iteration': self.iteration})}"
            )
        return (
            f"put it back, or begin another experiment; a built-in model is made again by: {suggestions.run('prepare')}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)


def _written(folder: Path) -> dict[str, str]:
    """Return the fingerprints of the folder's files when it was written, where the folder or the journal says so."""
    try:
        files = json.loads((folder / POLICY_MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return recorded_digests(folder) or {}
    return dict(files)
