"""Tables in one file whose damage is seen."""

from kedro_datasets.pandas import CSVDataset as KedroCSVDataset
from kedro_datasets.pandas import ParquetDataset as KedroParquetDataset

from restem.datasets.versions import DigestedFile


class ParquetDataset(DigestedFile, KedroParquetDataset):  # type: ignore[misc] # kedro-datasets is not typed
    """Kedro's, with a digest."""


class CSVDataset(DigestedFile, KedroCSVDataset):  # type: ignore[misc] # kedro-datasets is not typed
    """Kedro's, with a digest."""
