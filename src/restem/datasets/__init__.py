"""Datasets that kedro-datasets lacks."""

from restem.datasets.figures import FiguresDataset
from restem.datasets.iteration_record import RecordDataset
from restem.datasets.journal import JournalDataset
from restem.datasets.marks import MarksDataset
from restem.datasets.policy import PolicyDataset
from restem.datasets.sharded_parquet import ShardedParquetDataset

__all__ = [
    "FiguresDataset",
    "JournalDataset",
    "MarksDataset",
    "PolicyDataset",
    "RecordDataset",
    "ShardedParquetDataset",
]
