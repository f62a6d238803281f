"""Which policies' weights are kept, and the deletion of the others: `em.keep_policies`.

A policy without weights keeps its record, configuration and tokenizer, so that the experiment stays complete. In the
journal a mark says which experiment deleted them: that one does not train again, another one that asks for the same
training does.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any, NamedTuple

from restem.errors import DamageError
from restem.evaluation.best_policy import best_measured
from restem.policies.folder import holds_weights
from restem.store.digests import make_again, sealed, unsealed
from restem.store.fingerprints import POLICY_MANIFEST
from restem.store.journal import Journal, JournalEntry

WITHOUT_WEIGHTS = "policy-without-weights"  # the journal's part that is left of a policy
_NOT_DECIDING = {"n_rows", "notes"}  # of what a policy was made with


class Retention(NamedTuple):
    """What an experiment keeps."""

    experiment: str = ""
    keep: str = "all"  # em.keep_policies

    def deleted(self, entry: JournalEntry) -> str | None:
        """Return the fingerprint of the policy that this experiment had of a training and deleted; None if it has it.

        An experiment that keeps all has a deleted policy trained again.
        """
        mark = entry.path(self.mark)
        if self.keep == "all" or not mark.exists():
            return None
        return str(json.loads(mark.read_text(encoding="utf-8"))["fingerprint"])

    @property
    def mark(self) -> str:
        """Return the name of the journal's part that says so."""
        return f"deleted-by-{self.experiment}.json"


KEEP_ALL = Retention()


def unneeded(records: Mapping[int, Mapping[str, Any]], keep: str) -> list[int]:
    """Return the iterations whose policies no later step needs, now that the last of these is recorded.

    The base policy and the last one, which the next iteration samples from, always stay.

    Args:
        records: By iteration, from 0, without gaps.
        keep: `em.keep_policies`.
    """
    last = max(records)
    best = best_measured(records)  # all stay where that was not measured
    stays = {"all": set(records), "best": set(records) if best is None else {best}, "last": set()}[keep]
    return [i for i in records if 0 < i < last and i not in stays]


def delete_weights(
    versions: Iterable[Any], journal: Journal, retention: Retention, *, fetched: Journal | None = None
) -> int:
    """Return how many bytes the disk has gained, after deleting the weights of a policy's versions.

    What the journal holds of them goes too, unless another experiment's policy shares its bytes.

    Args:
        versions: The folders of the policy's versions, on a disk or in an object store.
        journal: Where they were trained.
        retention: Of the experiment.
        fetched: Where copies of policies in an object store are.
    """
    freed = 0
    for version in versions:
        manifest = version / POLICY_MANIFEST
        record = unsealed(manifest.read_text(encoding="utf-8"))
        if record is None:
            raise DamageError(f"{manifest} is damaged: its digest does not fit. {make_again(version.parent)}")
        _mark_version(manifest, record)
        freed += _delete(_weights(version))
        if fetched is not None:
            freed += _delete_copy(fetched, record["fingerprint"])
        freed += _delete_trained(journal, record, retention)
    return freed


def _delete_copy(fetched: Journal, fingerprint: str) -> int:
    """Return how many bytes deleting the copy of a policy in an object store has freed; 0 while a run uses it."""
    copy = fetched.find("policy", fingerprint=fingerprint)
    size = sum(file.stat().st_size for file in _weights(copy.folder)) if copy else 0
    return size if copy and fetched.delete(copy.folder.name) else 0


def _delete_trained(journal: Journal, record: Mapping[str, Any], retention: Retention) -> int:
    """Return how many bytes it has freed to delete what the journal holds of a policy's weights.

    They stay while another run makes or uses them, or another experiment's policy shares their bytes.
    """
    entry = trained_in(journal, record["made_with"])
    if entry is None:
        return 0
    with journal.deleting(entry.folder.name) as may:
        kept = _weights(entry.path("policy"))
        if not may or not kept or any(file.stat().st_nlink > 1 for file in kept):
            return 0
        freed = sum(int(file.stat().st_size) for file in kept)
        entry.write_text(retention.mark, json.dumps({"fingerprint": record["fingerprint"]}))
        _strip(entry)
    return freed


def made_with(decided_by: Mapping[str, Any], *, n_rows: int, notes: Sequence[str]) -> dict[str, Any]:
    """Return what a policy's record says of its training.

    Args:
        decided_by: All that decided it.
        n_rows: Of the training set.
        notes: What was done otherwise than usual, and why.
    """
    return {**decided_by, "n_rows": n_rows, "notes": list(notes)}


def trained_in(journal: Journal, made: Mapping[str, Any]) -> JournalEntry | None:
    """Return the entry in which a policy was trained, from what its record says of its training, if it is there."""
    return journal.find("policy", **{name: value for name, value in made.items() if name not in _NOT_DECIDING})


def _weights(folder: Any) -> list[Any]:
    return [file for file in folder.rglob("*") if file.is_file() and holds_weights(file)]


def _strip(entry: JournalEntry) -> None:
    """Leave of a trained policy what is not weights, under another name."""
    if not entry.has(WITHOUT_WEIGHTS):
        entry.write(WITHOUT_WEIGHTS, lambda target: _copy_rest(entry.path("policy"), target))
    entry.remove("policy")


def _copy_rest(policy: Path, target: Path) -> None:
    copytree(policy, target, ignore=lambda folder, names: [name for name in names if holds_weights(Path(folder, name))])


def _mark_version(file: Any, record: dict[str, Any]) -> None:
    text = sealed({**record, "deleted": True})
    if isinstance(file, Path):
        JournalEntry(file.parent).write_text(file.name, text)
    else:
        file.write_text(text, encoding="utf-8")  # an object store takes it whole or not at all


def _delete(files: Iterable[Any]) -> int:
    freed = 0
    for file in files:
        stat = file.stat()
        shared = isinstance(file, Path) and stat.st_nlink > 1
        freed += 0 if shared else stat.st_size
        file.unlink()
    return freed
