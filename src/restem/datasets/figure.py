"""Figures."""

from kedro_datasets.matplotlib import MatplotlibDataset as KedroMatplotlibDataset

from restem.datasets.versions import PinnedVersions


class MatplotlibDataset(PinnedVersions, KedroMatplotlibDataset):  # type: ignore[misc] # kedro-datasets is not typed
    """Kedro's; nothing loads it, so it has no digest."""
