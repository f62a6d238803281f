"""Tables too big for memory: a folder of Parquet shards, read one at a time.

A shard holds whole questions, so that every stage can stream. `Table` is pandas' DataFrame to the type
checker and costs no import of pandas where only names of pipelines are wanted.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame
else:
    Table = object


class ShardedTable:
    """Rows in Parquet shards: iterate for DataFrames, one shard in memory at a time.

    `len(table)` counts rows, `table["reward"]` reads one column of all shards, `to_pandas()` reads all.
    """

    def __init__(self, files: Sequence[Path], check: Callable[[Table], Table] | None = None) -> None:
        """Describe the table that these files hold, in order; nothing is read yet.

        Args:
            files: Parquet files with the same columns.
            check: Applied to every whole shard as it is read; raises on a bad one.
        """
        self.files = tuple(files)
        self._check = check

    def checked_by(self, check: Callable[[Table], Table]) -> "ShardedTable":
        """Return the same table, each shard checked when it is read."""
        return ShardedTable(self.files, check)

    def shard(self, file: Path) -> Table:
        """Return one of the shards."""
        import pandas as pd

        frame = pd.read_parquet(file)
        return self._check(frame) if self._check else frame

    def __iter__(self) -> Iterator[Table]:
        """Yield the shards in order."""
        return (self.shard(file) for file in self.files)

    def __len__(self) -> int:
        """Return the number of rows, from the files' metadata."""
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(file).num_rows for file in self.files)

    @property
    def columns(self) -> list[str]:
        """Return the column names."""
        import pyarrow.parquet as pq

        return list(pq.read_schema(self.files[0]).names) if self.files else []

    def __getitem__(self, column: str | list[str]) -> Any:
        """Return a column as a Series, or a list of columns as a DataFrame, of all shards."""
        import pandas as pd

        wanted = [column] if isinstance(column, str) else column
        frame = _joined([pd.read_parquet(file, columns=wanted) for file in self.files])
        return frame[column]

    def head(self, n: int = 5) -> Table:
        """Return the first n rows, reading no more shards than needed."""
        frames: list[pd.DataFrame] = []
        for shard in self:
            frames.append(shard)
            if sum(map(len, frames)) >= n:
                break
        return _joined(frames).head(n)

    def to_pandas(self) -> Table:
        """Return all rows as one DataFrame."""
        return _joined(list(self))

    def __repr__(self) -> str:
        """Return a summary that does not read the rows."""
        return f"ShardedTable({len(self)} rows in {len(self.files)} shards: {', '.join(self.columns)})"


def write_shard(frame: Table, file: Path) -> None:
    """Write one shard so that it is either whole or absent, whatever happens meanwhile."""
    # Two machines may be at the same shard, when one of them was taken for dead.
    partial = file.with_name(f".{file.name}.{socket.gethostname()}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        frame.to_parquet(stream, index=False)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def _joined(frames: "list[pd.DataFrame]") -> Table:
    import pandas as pd

    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
