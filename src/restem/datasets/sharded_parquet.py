"""A table in Parquet shards, versioned as one folder."""

from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import TablePreview

from restem.datasets.folder import Place
from restem.tables import ShardedTable

_MANIFEST = "shards.json"


class ShardedParquetDataset(AbstractVersionedDataset[ShardedTable, ShardedTable]):
    """A folder of Parquet shards: loads lazily as `ShardedTable`, saves in one rename."""

    def __init__(
        self, *, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Use the folder, on a disk or as `s3://bucket/folder`; with `versioned: true` a subfolder per version."""
        self._place = Place(filepath, _MANIFEST)
        super().__init__(self._place.path, version, self._place.is_whole, self._place.glob)
        self.metadata = metadata

    def load(self) -> ShardedTable:
        """Return the table; rows are read when asked for."""
        folder = self._place.folder(self._get_load_path())
        if not self._place.is_whole(str(self._get_load_path())):
            raise DatasetError(f"{folder} is not a whole table: {_MANIFEST} is missing")
        return ShardedTable(sorted(folder.glob("*.parquet"), key=lambda file: int(file.stem)))

    def save(self, data: ShardedTable) -> None:
        """Publish the table's files as this version."""
        files = {f"{number:05d}.parquet": file for number, file in enumerate(data.files)}
        content = {"n_shards": len(files), "n_rows": len(data), "columns": data.columns}
        self._place.publish(self._get_save_path(), files, content)

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for kedro-viz."""
        head = self.load().head(nrows)
        return TablePreview(head.astype(object).where(head.notna(), None).to_dict(orient="split"))

    def _exists(self) -> bool:
        try:
            return self._place.is_whole(str(self._get_load_path()))
        except DatasetError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
