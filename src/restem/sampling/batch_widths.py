"""How many rows at once the shards of a journal entry are drawn with: the same for all, whenever and by whomever.

The width comes from the memory that is free when it is chosen, and it decides how numbers are added up: in bfloat16
that is enough to change a token now and then. So it is chosen once for an entry, when its first shard is begun, and
recorded there; a shard that is drawn again, on another day or by another worker, is drawn with it.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from restem.engines import Batched, Engine
from restem.store.journal import JournalEntry

_logger = logging.getLogger(__name__)

_OF_ENTRY = "batch_width"
_OF_SHARD = ".batch_width.json"  # follows the shard's name


class BatchWidth:
    """The width that a shard is drawn with."""

    def __init__(self, shard: Path, folder: Path | None = None) -> None:
        """Use the record of the shard's journal entry, or one that several entries share.

        Args:
            shard: Where its file will be.
            folder: That holds the record which they share.
        """
        self._entry, self._name = JournalEntry(folder or shard.parent), shard.stem
        self._narrower: list[int] = []

    def arguments(self, engine: Engine, prompts: Sequence[str], **decoding: Any) -> dict[str, Any]:
        """Return what `sample` is told so that it draws with this width; nothing if the engine has none.

        Args:
            engine: That draws.
            prompts: The shard's, and the longest of all that the entry is for: the first width is chosen for them.
            decoding: The other arguments of `sample`.
        """
        if not isinstance(engine, Batched):
            return {}
        recorded = self._entry.read_first(_OF_ENTRY) or self._entry.write_first(
            _OF_ENTRY, str(engine.batch_width(prompts, **decoding))
        )
        return {"batch_width": int(recorded), "narrowed": self._note}

    def _note(self, narrower: int) -> None:
        """Record that this shard is drawn otherwise."""
        if narrower in self._narrower:
            return
        self._narrower.append(narrower)
        self._entry.write_text(f"{self._name}{_OF_SHARD}", json.dumps(self._narrower))
        _logger.warning(
            "%s: fewer rows fit at once than its journal entry was begun with (%s): going on with %d, which in "
            "bfloat16 may change samples",
            self._entry.path(self._name),
            self._entry.read_first(_OF_ENTRY),
            narrower,
        )


def recorded_width(entry: JournalEntry) -> int | None:
    """Return the rows at once of an entry's shards; None if none was begun, or its engine has no width."""
    text = entry.read_first(_OF_ENTRY)
    return None if text is None else int(text)


def narrower_widths(entry: JournalEntry) -> dict[str, list[int]]:
    """Return, for the shards that did not fit, the rows at once that they were drawn with instead, by name."""
    names = sorted(name for name in entry.names() if name.endswith(_OF_SHARD))
    return {name.removesuffix(_OF_SHARD): json.loads(entry.read_text(name)) for name in names}
