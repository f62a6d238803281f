"""A table in Parquet shards, versioned as one folder."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import TablePreview

from restem.datasets.folder import Place
from restem.datasets.versions import PinnedVersions
from restem.store.tables import ShardedTable

SHARDS_MANIFEST = "shards.json"


class ShardedParquetDataset(PinnedVersions, AbstractVersionedDataset[ShardedTable, ShardedTable]):
    """A folder of Parquet shards: loads lazily as `ShardedTable`, saves in one rename."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Use the folder, on a disk or as `s3://bucket/folder`; with `versioned: true` a subfolder per version."""
        self._place = Place(filepath, SHARDS_MANIFEST)
        super().__init__(self._place.path, version, self._place.is_whole, self._place.glob)
        self.metadata = metadata

    def load(self) -> ShardedTable:
        """Return the table; rows are read when asked for."""
        folder = self._place.folder(self._get_load_path())
        if not self._place.is_whole(str(self._get_load_path())):
            raise DatasetError(f"{folder} is not a whole table: {SHARDS_MANIFEST} is missing")
        written: dict[str, str] = self._place.manifest(folder)["files"]
        there = {file.name for file in folder.glob("*.parquet")}
        self._place.refuse_unless_complete(folder, there, set(written))
        in_order = sorted(there, key=lambda name: int(Path(name).stem))
        return ShardedTable([folder / name for name in in_order], digests=written)

    def save(self, data: ShardedTable) -> None:
        """Publish the table's files as this version."""
        files = {f"{number:05d}.parquet": file for number, file in enumerate(data.files)}
        written = dict(zip(files, data.fingerprints(), strict=True))
        content = {"n_shards": len(files), "n_rows": len(data), "columns": data.columns, "files": written}
        self._place.publish(self._get_save_path(), files, content)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for kedro-viz."""
        head = self.load().head(nrows).drop(columns="token_ids", errors="ignore")  # the completion says it
        return TablePreview(head.astype(object).where(head.notna(), None).to_dict(orient="split"))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
