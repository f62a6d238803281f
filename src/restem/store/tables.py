"""Tables too big for memory: a folder of Parquet shards, read one at a time.

A shard holds whole questions, so that every stage can stream. `Table` is pandas' DataFrame to the type
checker and costs no import of pandas where only names of pipelines are wanted.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from restem.errors import DamageError
from restem.store.digests import digests, faults, make_again, record_digests
from restem.store.fingerprints import file_fingerprints
from restem.store.partials import appearing

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame
else:
    Table = object


_left_as_they_are: set[tuple[Any, ...]] = set()  # files by a check that found nothing to raise or to change


class ShardedTable:
    """Rows in Parquet shards: iterate for DataFrames, one shard in memory at a time.

    `len(table)` counts rows, `table["reward"]` reads one column of all shards, `to_pandas()` reads all.
    """

    def __init__(
        self,
        files: Sequence[Path],
        check: Callable[[Table], Table] | None = None,
        *,
        digests: Mapping[str, str] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        """Describe the table that these files hold, in order; nothing is read yet.

        Args:
            files: Parquet files with the same columns; in an object store, what universal_pathlib has for a Path.
            check: Applied to every whole shard as it is read, once to one that it leaves as it is; raises on a bad one.
            digests: Fingerprints of the files by name; one on a disk that has another is refused when it is opened.
                Object stores check what they keep themselves.
            only: Columns that there are; None is all that the files hold.
        """
        self.files = tuple(files)
        self._check = check
        self._digests = digests
        self._only = only

    def checked_by(self, check: Callable[[Table], Table]) -> "ShardedTable":
        """Return the same table, each shard checked when it is read."""
        return ShardedTable(self.files, check, digests=self._digests, only=self._only)

    def narrowed(self, columns: Sequence[str]) -> "ShardedTable":
        """Return the table with those of the columns that it has, which alone are read, unchecked."""
        return ShardedTable(
            self.files, digests=self._digests, only=[name for name in self.columns if name in set(columns)]
        )

    def _opened(self, file: Path) -> IO[bytes]:
        self._refuse_if_damaged(file)
        return file.open("rb")

    def _refuse_if_damaged(self, file: Path) -> None:
        """Raise if a file on a disk is not what was written; each is read once in a process for that."""
        if self._digests is None or not isinstance(file, Path):
            return
        damage = faults(file, {"": self._digests[file.name]})
        if damage:
            raise DamageError(f"{'; '.join(damage)}. {make_again(file.parent.parent)}")

    def fingerprints(self) -> list[str]:
        """Return the fingerprints of the files, in order.

        Raises:
            DamageError: If one is not what was written.
        """
        for file in self.files:
            self._refuse_if_damaged(file)
        return file_fingerprints(self.files)

    def shard(self, file: Path) -> Table:
        """Return one of the shards."""
        import pandas as pd

        with self._opened(file) as stream:
            frame = pd.read_parquet(stream, columns=None if self._only is None else list(self._only))
        return _checked(frame, file, self._check) if self._check else frame

    def __iter__(self) -> Iterator[Table]:
        """Yield the shards in order."""
        return (self.shard(file) for file in self.files)

    def __len__(self) -> int:
        """Return the number of rows, from the files' metadata."""
        import pyarrow.parquet as pq

        n_rows = 0
        for file in self.files:
            with self._opened(file) as stream:
                n_rows += pq.read_metadata(stream).num_rows
        return n_rows

    @property
    def columns(self) -> list[str]:
        """Return the column names."""
        import pyarrow.parquet as pq

        if self._only is not None:
            return list(self._only)
        if not self.files:
            return []
        with self._opened(self.files[0]) as stream:
            return list(pq.read_schema(stream).names)

    def __getitem__(self, column: str | list[str]) -> Any:
        """Return a column as a Series, or a list of columns as a DataFrame, of all shards."""
        wanted = [column] if isinstance(column, str) else column
        return _joined([self._read(file, wanted) for file in self.files])[column]

    def _read(self, file: Path, columns: list[str]) -> "pd.DataFrame":
        import pandas as pd

        with self._opened(file) as stream:
            return pd.read_parquet(stream, columns=columns)

    def column_of(self, file: Path, column: str) -> "pd.Series[Any]":
        """Return a column of one of the shards."""
        return self._read(file, [column])[column]

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


class RowsByQuestion:
    """The rows of some questions in a table, found by reading the shards that hold them only."""

    def __init__(self, table: ShardedTable) -> None:
        """Note where each question is: memory grows with the questions, and not with the rows."""
        self._table = table
        self._places: dict[str, list[int]] = {}  # of shards, by question
        for place, file in enumerate(table.files):
            for name in table.column_of(file, "question_id").unique():
                self._places.setdefault(name, []).append(place)

    def rows(self, question_ids: Iterable[str]) -> Table:
        """Return all rows of these questions; those of a shard stay in order."""
        wanted = set(question_ids)
        places = sorted({place for name in wanted for place in self._places.get(name, ())})
        shards = (self._table.shard(self._table.files[place]) for place in places)
        parts = [shard[shard["question_id"].isin(wanted)] for shard in shards]
        return _joined(parts) if parts else self._table.head(0)


def with_further_rows(table: ShardedTable, further: ShardedTable) -> Iterator[Table]:
    """Yield the shards of a table, each with the rows that another table has of its questions."""
    if not further.files:
        yield from table
        return
    by_question = RowsByQuestion(further)
    for shard in table:
        yield _joined([shard, by_question.rows(shard["question_id"])])


def write_shard(frame: Table, file: Path) -> None:
    """Write one shard, and its digest, so that it is either whole or absent, whatever happens meanwhile."""
    # Two machines may be at the same shard, when one of them was taken for dead.
    with appearing(file) as partial:
        with partial.open("wb") as stream:
            frame.to_parquet(stream, index=False)
            stream.flush()
            os.fsync(stream.fileno())
        record_digests(file, digests(partial))
        partial.replace(file)


def _checked(frame: Table, file: Path, check: Callable[[Table], Table]) -> Table:
    """Return the frame of a file as the check does, which takes ten times as long as to read the file."""
    state = file.stat()
    key = (check, str(file), state.st_mtime_ns, state.st_size)
    if key in _left_as_they_are:
        return frame
    checked = check(frame)
    if checked.dtypes.equals(frame.dtypes):
        _left_as_they_are.add(key)
    return checked


def _joined(frames: "list[pd.DataFrame]") -> Table:
    import pandas as pd

    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
