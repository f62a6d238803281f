"""Whether a process on another node sees the storage that the run is on, and what it says if not."""

import os
import socket
import uuid
from pathlib import Path
from typing import NamedTuple

from restem.store.ledger import Account


class Fault(NamedTuple):
    """What went wrong in a process that lives on: as text, for an exception may not survive being sent."""

    reason: str
    is_final: bool = False  # another process would not fare better
    taken: Account = Account()  # before it went wrong


class Probe(NamedTuple):
    """A file that others must find."""

    file: Path
    content: str

    @classmethod
    def of(cls, shared: Path) -> "Probe":
        """Return a probe of a folder, not yet in it."""
        return cls(shared.absolute() / f".probe-{uuid.uuid4().hex}.partial", uuid.uuid4().hex)

    def place(self) -> None:
        """Write the file."""
        self.file.write_text(self.content, encoding="utf-8")

    def remove(self) -> None:
        """Delete the file, if it was written."""
        self.file.unlink(missing_ok=True)

    def look(self) -> Fault | None:
        """Return what is wrong with the storage here."""
        try:
            if self.file.read_text(encoding="utf-8") == self.content and os.access(self.file.parent, os.W_OK):
                return None
        except OSError as error:
            why = f" ({error.strerror})"
        else:
            why = ""
        return Fault(
            f"it cannot see or write {self.file.parent}{why}: on Ray the project's data/ must be on storage that all "
            "nodes mount at the same path",
            is_final=True,
        )


def first_line(error: Exception) -> str:
    """Return the first line of what an exception of Ray's says; the others are a report."""
    return next(iter(str(error).splitlines()), "")


def named(error: Exception) -> str:
    """Return what an exception says, and where it was raised."""
    return f"{type(error).__name__}: {error} (on {socket.gethostname()})"
