"""What of an experiment's files and of a journal is whole, damaged, or left over from what was killed.

Everything that was written says what it is: a file or a part of the journal by the digests beside it, a folder by the
digests in its manifest. What has neither, as a dataset of one's own, is not looked at and never removed.
"""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from restem.datasets.folder import FILES_MANIFEST
from restem.datasets.sharded_parquet import SHARDS_MANIFEST
from restem.store.digests import command_that_makes, faults, part_faults, unsealed
from restem.store.fingerprints import POLICY_MANIFEST
from restem.store.journal import Journal, JournalEntry
from restem.store.partials import is_left_over, remove

_DIGESTS = re.compile(r"\.(?P<part>.+)\.digests")
_VERSION = "20??-??-??T*Z"
_MANIFESTS = (SHARDS_MANIFEST, POLICY_MANIFEST, FILES_MANIFEST)


class Finding(NamedTuple):
    """One thing that is not as it should be."""

    path: Path  # what is removed to mend it
    kind: str  # damaged, or left over
    said: str  # a sentence
    again: str = ""  # the command that makes it again; nothing where any run that needs it does


class Checkup(NamedTuple):
    """What was found."""

    n_whole: int  # versions and parts
    findings: list[Finding]


def check_versions(folder: Path) -> Checkup:
    """Return what there is of the versions of an experiment's datasets in a folder; reads every file once."""
    whole, findings = 0, _left_over(folder)
    for version in sorted(folder.rglob(_VERSION)):
        if not version.is_dir():
            continue
        damage = _version_faults(version)
        if damage is None:
            # What holds something and has no digests may be of a dataset that writes none.
            if not any(file.is_file() and file.stat().st_size for file in version.rglob("*")):
                findings.append(Finding(version, "left over", f"{version} holds nothing, as after a kill"))
        elif damage:
            findings.append(Finding(version, "damaged", "; ".join(damage), command_that_makes(version)))
        else:
            whole += 1
    return Checkup(whole, findings)


def check_journal(root: Path) -> Checkup:
    """Return what there is of the parts of a journal; reads every file once."""
    whole, findings = 0, _left_over(root)
    for lock in sorted(chain(root.glob(".*.lock"), root.glob(".locks/*"))):
        if lock.is_dir():
            findings.append(Finding(lock, "left over", f"{lock} should be a lock, and is a folder"))
    for entry in sorted(root.glob("[!.]*-*")):
        for part in _parts(entry):
            damage = part_faults(part)
            whole += not damage
            if damage:
                findings.append(Finding(part, "damaged", "; ".join(damage)))
        for first in sorted(entry.glob("*/text")):
            is_whole = unsealed(first.read_text(encoding="utf-8", errors="replace")) is not None
            whole += is_whole
            if not is_whole:
                # What was drawn by it cannot be gone on with, so that all of the entry goes.
                findings.append(Finding(entry, "damaged", f"{first} is damaged: its digest does not fit"))
    return Checkup(whole, findings)


def repair_version(finding: Finding) -> bool:
    """Return whether what a finding names is removed; an older version is then the newest until it is made again."""
    remove(finding.path)
    return True


def repair_journal(journal: Journal, finding: Finding) -> bool:
    """Return whether a part of the journal is removed, so that the next run makes it again; not what a run uses."""
    place = finding.path.relative_to(journal.root).parts
    if place[0].startswith("."):
        remove(finding.path)
        return True
    if len(place) == 1:
        return journal.delete(place[0])
    with journal.deleting(place[0]) as may:
        if may:
            JournalEntry(finding.path.parent).remove(finding.path.name)
        return may


def _version_faults(version: Path) -> list[str] | None:
    """Return what is wrong with a version; None if it has neither digests nor a manifest."""
    found = [part for part in _parts(version) if part.parent == version]
    if found:
        return [fault for part in found for fault in part_faults(part)]
    for manifest in chain.from_iterable(version.glob(f"*/{name}") for name in _MANIFESTS):
        return _manifest_faults(manifest)
    return None


def _manifest_faults(manifest: Path) -> list[str]:
    content = unsealed(manifest.read_text(encoding="utf-8", errors="replace")) if manifest.is_file() else None
    if content is None:
        return [f"{manifest} is damaged: its digest does not fit"]
    expected: dict[str, str] = content["files"]
    if content.get("deleted"):  # as em.keep_policies asked
        expected = {name: digest for name, digest in expected.items() if (manifest.parent / name).exists()}
    return [fault for name in sorted(expected) for fault in faults(manifest.parent / name, {"": expected[name]})]


def _parts(folder: Path) -> Iterator[Path]:
    """Yield what has digests in a folder, whether it is there or not."""
    for file in sorted(folder.glob(".*.digests")):
        named = _DIGESTS.fullmatch(file.name)
        if named:
            yield file.with_name(named["part"])


def _left_over(root: Path) -> list[Finding]:
    found = (path for path in sorted(root.rglob(".*.partial")) if is_left_over(path))
    return [Finding(path, "left over", f"{path} was left by a process that is gone") for path in found]
