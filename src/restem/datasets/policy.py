"""A policy: the model folder and its record, versioned as one folder."""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import JSONPreview

from restem.datasets.folder import Place, copy
from restem.datasets.versions import PinnedVersions
from restem.policies.policy import Policy
from restem.store.fingerprints import POLICY_MANIFEST, file_fingerprint
from restem.store.journal import Journal


class PolicyDataset(PinnedVersions, AbstractVersionedDataset[Policy, Policy]):
    """A Hugging Face model folder with `policy.json`; loads the `Policy` record, never the weights."""

    def __init__(
        self,
        *,
        filepath: str,
        copy: bool = True,
        cache: str | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Use the folder; with `versioned: true` a subfolder per version.

        Args:
            filepath: Folder of the model.
            copy: Whether the version holds the weights (by hard link where it can), or only says where they are,
                as for a base model that many experiments share.
            cache: Folder on a disk for policies that are in an object store: engines and trainers read files.
            version: Given by Kedro.
            metadata: For kedro-viz.
        """
        self._place = Place(filepath, POLICY_MANIFEST)
        if copy and cache is None and self._place.protocol != "file":
            raise DatasetError(f"{filepath} is no disk: name a folder on one, as cache: data/06_models/fetched")
        super().__init__(self._place.path, version, self._place.is_whole, self._place.glob)
        self._cache = cache
        self._holds_weights = copy
        self.metadata = metadata

    def load(self) -> Policy:
        """Return the record; its path is this version's folder, or the shared base model's."""
        folder = self._place.folder(self._get_load_path())
        if not self._place.is_whole(str(self._get_load_path())):
            raise DatasetError(f"{folder} is not a whole policy: {POLICY_MANIFEST} is missing")
        policy = Policy(**{name: value for name, value in self._place.manifest(folder).items() if name != "files"})
        if not self._holds_weights:
            return policy
        on_disk = folder if isinstance(folder, Path) else self._fetched(folder, policy)
        return replace(policy, path=on_disk.as_posix())

    def _fetched(self, folder: Any, policy: Policy) -> Path:
        """Return the policy's folder in the cache, fetched if it is not there yet."""
        entry = self.fetched.open("policy", fingerprint=policy.fingerprint)

        def fetch(target: Path) -> None:
            for file in folder.rglob("*"):
                if file.is_file():
                    place = target / file.relative_to(folder).as_posix()
                    place.parent.mkdir(parents=True, exist_ok=True)
                    copy(file, place)

        return entry.part("policy", fetch)

    def save(self, data: Policy) -> None:
        """Publish the policy's files as this version."""
        weights = [file for file in data.folder.rglob("*") if file.is_file()] if self._holds_weights else []
        files = {file.relative_to(data.folder).as_posix(): file for file in weights if file.name != POLICY_MANIFEST}
        record = replace(data, path=".") if self._holds_weights else data
        written = {name: file_fingerprint(file) for name, file in files.items()}
        self._place.publish(self._get_save_path(), files, {**record.to_dict(), "files": written})

    def versions(self) -> list[Any]:
        """Return the folders of all whole versions, in no order."""
        return [file.parent for file in self._place.folder(self._filepath).glob(f"*/*/{POLICY_MANIFEST}")]

    @cached_property
    def fetched(self) -> Journal:
        """Return where copies of policies in an object store are; nobody deletes those that this dataset loaded."""
        return Journal(Path(self._cache or "").absolute())

    def preview(self) -> JSONPreview:
        """Return the record, for kedro-viz."""
        return JSONPreview(json.dumps(self.load().to_dict()))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
