"""JSON files whose damage is seen."""

from kedro_datasets.json import JSONDataset as KedroJSONDataset

from restem.datasets.versions import DigestedFile


class JSONDataset(DigestedFile, KedroJSONDataset):  # type: ignore[misc] # kedro-datasets is not typed
    """Kedro's, with a digest."""
