"""The record of an iteration: a JSON file and the tables that belong to it, versioned as one folder."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import JSONPreview

from restem.datasets.folder import FILES_MANIFEST, Place
from restem.datasets.versions import PinnedVersions
from restem.store.fingerprints import file_fingerprint
from restem.store.records import Record
from restem.store.tables import ShardedTable, Table

_RECORD = "record.json"


class RecordDataset(PinnedVersions, AbstractVersionedDataset[Mapping[str, Any], Record]):
    """A folder with `record.json` and Parquet files; loads the record, and its tables when they are asked for."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Use the folder, on a disk or as `s3://bucket/folder`; with `versioned: true` a subfolder per version."""
        self._place = Place(filepath, FILES_MANIFEST)
        super().__init__(self._place.path, version, self._place.is_whole, self._place.glob)
        self.metadata = metadata

    def load(self) -> Record:
        """Return the record; rows of its tables are read when asked for."""
        folder = self._place.folder(self._get_load_path())
        if not self._place.is_whole(str(self._get_load_path())):
            raise DatasetError(f"{folder} is not a whole record: {FILES_MANIFEST} is missing")
        manifest = self._place.manifest(folder)
        written: dict[str, str] = manifest["files"]
        there = {file.name for file in folder.iterdir() if file.name != FILES_MANIFEST}
        self._place.refuse_unless_complete(folder, there, set(written))
        self._place.refuse_if_damaged(folder / _RECORD, written[_RECORD])
        tables = {
            name: ShardedTable([folder / file for file in files], digests={file: written[file] for file in files})
            for name, files in manifest["tables"].items()
        }
        return Record(json.loads((folder / _RECORD).read_text(encoding="utf-8")), tables)

    def save(self, data: Mapping[str, Any]) -> None:
        """Publish the record and its tables as this version; what is sharded already is linked where it can be."""
        tables = data.tables if isinstance(data, Record) else {}
        with tempfile.TemporaryDirectory() as scratch:
            record = Path(scratch) / _RECORD
            record.write_text(json.dumps(data, indent=1), encoding="utf-8")
            files, digests, named = {_RECORD: record}, {_RECORD: file_fingerprint(record)}, {}
            for name, table in tables.items():
                parts = _files_of(table, Path(scratch) / f"{name}.parquet")
                named[name] = [f"{name}-{number:05d}.parquet" for number in range(len(parts.files))]
                files |= zip(named[name], parts.files, strict=True)
                digests |= zip(named[name], parts.fingerprints(), strict=True)
            self._place.publish(self._get_save_path(), files, {"files": digests, "tables": named})

    def preview(self) -> JSONPreview:
        """Return the record, for kedro-viz."""
        return JSONPreview(json.dumps(self.load()))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}


def _files_of(table: ShardedTable | Table, place: Path) -> ShardedTable:
    """Return the table as files; one in memory is written to the place."""
    if isinstance(table, ShardedTable):
        return table
    table.to_parquet(place, index=False)
    return ShardedTable([place])
