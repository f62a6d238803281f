"""A folder of Parquet files with a card, as `datasets.load_dataset` reads it and a hub shows it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restem.errors import ExperimentError
from restem.exporting.rows import Part
from restem.store.fingerprints import CARD, EXPORT_MANIFEST
from restem.store.partials import appearing, flush, remove_partials


def write_dataset(
    parts: Mapping[str, Callable[[], Part]],
    output: Path,
    *,
    asked: frozenset[str],
    card: Callable[[Mapping[str, int]], str],
    manifest: Mapping[str, Any],
) -> dict[str, int]:
    """Write a new folder that holds the parts with rows, and return how many each has; it appears whole or not at all.

    Args:
        parts: By name.
        output: The folder; must not exist.
        asked: Parts that must have rows.
        card: From the number of rows of every part to its text.
        manifest: What programs read of it.

    Raises:
        ExperimentError: If a part that was asked for has no rows, none has, or the folder exists.
        StorageError: If it cannot be written.
    """
    with _new(output) as partial:
        n_rows = {name: _write(make(), partial / name) for name, make in parts.items()}
        empty = [name for name in parts if not n_rows[name] and (name in asked or not any(n_rows.values()))]
        if empty:
            raise ExperimentError(f"nothing was exported: {'; '.join(_WHY_EMPTY[name] for name in empty)}")
        text = json.dumps({**manifest, "n_rows": n_rows}, indent=1, sort_keys=True)
        (partial / EXPORT_MANIFEST).write_text(text, encoding="utf-8")
        (partial / CARD).write_text(card(n_rows), encoding="utf-8")
    return n_rows


_WHY_EMPTY = {
    "training_set": "training_set is empty, because the filter kept no sample",
    "scored_samples": "scored_samples is empty, because no sample was judged",
    "pairs": (
        "there are no pairs, because no question has both a correct sample and a rejected one (cut-off ones count "
        "where filtering.keep_truncated is true)"
    ),
}


def _write(part: Part, folder: Path) -> int:
    """Write the shards that have rows, and return how many rows these are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n_rows: Counter[str] = Counter()
    for rows in part.rows:
        if rows:
            folder.mkdir(exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, schema=part.schema), folder / f"{n_rows['shards']:05d}.parquet")
            n_rows.update(shards=1, rows=len(rows))
    return n_rows["rows"]


@contextmanager
def _new(output: Path) -> Iterator[Path]:
    """Return a context with a folder that has the wanted name once the context is left without an error."""
    if output.exists():
        raise ExperimentError(f"{output} exists; name a folder that does not")
    remove_partials(output, dead_only=True)
    with appearing(output) as partial:
        partial.mkdir(parents=True)
        yield partial
        flush(partial)
        partial.rename(output)
