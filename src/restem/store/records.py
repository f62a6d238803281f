"""Records of iterations as they are read: their format, their name, and whether one follows from another."""

from collections.abc import Mapping
from typing import Any

from restem import suggestions
from restem.errors import ExperimentError
from restem.store.fingerprints import fingerprint
from restem.store.tables import ShardedTable, Table

FORMAT = 3  # of records; 1 had neither audit nor sentinels nor cost, 2 no tables


class Record(dict[str, Any]):
    """What an iteration was, as a JSON object, and the tables that later steps read together with it."""

    def __init__(self, content: Mapping[str, Any], tables: Mapping[str, ShardedTable | Table] | None = None) -> None:
        """Take the object and its tables, by name."""
        super().__init__(content)
        self.tables = dict(tables or {})

    def sharded(self, name: str) -> ShardedTable:
        """Return a table whose rows are read when asked for."""
        table = self.tables[name]
        if not isinstance(table, ShardedTable):
            raise TypeError(f"the table {name!r} of a record has no shards")
        return table

    def table(self, name: str) -> Table:
        """Return a table with all its rows."""
        table = self.tables[name]
        return table.to_pandas() if isinstance(table, ShardedTable) else table


def record_id(record: Mapping[str, Any]) -> str:
    """Return the name of what a record says about its policy; who made it, when and with what versions is left out."""
    kept = ("iteration", "policy", "parent", "base", "questions_digest", "metrics", "scoring", "filtering", "training")
    return fingerprint({key: record[key] for key in kept})


def stale_iterations(records: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Return the iterations that do not follow from the ones before them as these are now.

    Args:
        records: By iteration, from 0, without gaps.
    """
    stale: list[int] = []
    for i in sorted(records)[1:]:
        follows = records[i]["parent"] == records[i - 1]["policy"] and records[i]["base"] == records[0]["base"]
        if stale or not follows:
            stale.append(i)
    return stale


def refuse_later_format(record: Mapping[str, Any]) -> None:
    """Raise if a later restem wrote the record: what it says might mean something else by now.

    Raises:
        ExperimentError: With both formats.
    """
    number = record.get("format", 1)
    if number > FORMAT:
        raise ExperimentError(
            f"the record of iteration {record['iteration']} has format {number}, and this version of restem reads up "
            f"to {FORMAT}: a later one wrote it. Use that one, or another experiment: "
            f"{suggestions.new_experiment()}"
        )
