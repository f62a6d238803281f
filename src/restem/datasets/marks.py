"""What readers said of samples: a file beside the experiment that only grows, a JSON object per line."""

import errno
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.io.core import get_protocol_and_path
from pydantic import TypeAdapter, ValidationError

from restem.datasets.versions import MendableErrors
from restem.errors import DamageError, ExperimentError
from restem.parameters.ranges import explained
from restem.scoring.marks import Mark
from restem.store.locks import locked
from restem.store.storage import writing

_ADAPTER = TypeAdapter(Mark)


class MarksDataset(MendableErrors, AbstractDataset[Sequence[Mark], Sequence[Mark]]):
    """Marks of readers: loading gives all, in order, and saving adds to them. Without the file there are none."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Use the file, which is made when something is said first."""
        self._protocol, path = get_protocol_and_path(filepath)
        self._filepath = Path(path)
        self.metadata = metadata

    @property
    def is_writable(self) -> bool:
        """Whether marks can be kept there: an object store cannot add to what it has."""
        return self._protocol == "file"

    def load(self) -> list[Mark]:
        """Return all marks.

        Raises:
            DamageError: If a line is none.
        """
        if not (self.is_writable and self._filepath.exists()):
            return []
        lines = self._filepath.read_bytes().split(b"\n")
        return [self._mark(line, number) for number, line in enumerate(lines, 1) if line.strip()]

    def save(self, data: Sequence[Mark]) -> None:
        """Add marks: all of them or none, whoever else adds some meanwhile.

        Raises:
            ExperimentError: If the file is in an object store.
        """
        if not self.is_writable:
            raise ExperimentError(
                f"marks are kept in a file on a disk, and these results are at {self._protocol}:// (data, globals.yml)"
            )
        lines = b"".join(json.dumps(asdict(mark), ensure_ascii=False).encode() + b"\n" for mark in data)
        lock = self._filepath.with_name(f".{self._filepath.name}.lock")
        with locked(lock, wait_for="adds marks"), writing(self._filepath), self._filepath.open("ab", 0) as stream:
            size = os.fstat(stream.fileno()).st_size
            torn = size > 0 and not self._ends_a_line()  # by a machine that went down
            try:
                content = b"\n" + lines if torn else lines
                if stream.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(stream.fileno())
            except OSError:
                os.ftruncate(stream.fileno(), size)
                raise

    def _ends_a_line(self) -> bool:
        with self._filepath.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"

    def _mark(self, line: bytes, number: int) -> Mark:
        return read_mark(line, f"line {number} of {self._filepath}")

    def _exists(self) -> bool:
        return True  # nothing said is a list too

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "protocol": self._protocol}


def read_mark(line: bytes | str, place: str) -> Mark:
    """Return the mark of a line.

    Raises:
        DamageError: If it is none, with its place.
    """
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError as error:
        raise DamageError(
            f"{place} is no mark of a reader: {'; '.join(explained(error))}. Mend or remove it"
        ) from error
