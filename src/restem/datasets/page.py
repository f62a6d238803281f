"""Pages of reports."""

from kedro_datasets.text import TextDataset as KedroTextDataset

from restem.datasets.versions import DigestedFile


class TextDataset(DigestedFile, KedroTextDataset):  # type: ignore[misc] # kedro-datasets is not typed
    """Kedro's, with a digest."""
