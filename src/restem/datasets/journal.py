"""The place of the journal, so that nodes know no path."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro.io.core import get_protocol_and_path

from restem.store.journal import Journal


class JournalDataset(AbstractDataset[Journal, Journal]):
    """A folder of journal entries; loading gives the `Journal`, saving is for the operations themselves."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Use the folder, which is made when needed.

        Raises:
            DatasetError: If it is not on a disk.
        """
        if get_protocol_and_path(filepath)[0] != "file":
            raise DatasetError(
                f"the journal must be on a disk, shared by all that work on the experiment, got {filepath}: an object "
                "store has neither the rename that makes its parts whole, nor its locks"
            )
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Journal:
        """Return the journal."""
        return Journal(self._filepath)

    def save(self, data: Journal) -> None:
        """Refuse: operations write their own entries."""
        raise DatasetError("a journal is written by the operations that use it, not by a node's output")

    def _exists(self) -> bool:
        return True  # an empty journal is a journal

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
