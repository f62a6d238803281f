"""What of a completion is judged, where a model reasons before it answers: only what follows the reasoning.

Every reward takes the option `reasoning`:

- start, end: the strings around the reasoning; `<think>` and `</think>` by default.
- opened: true where the prompt has opened the reasoning already: a completion without an end has not finished it.

null judges whole completions.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Reasoning(NamedTuple):
    """The marks around reasoning."""

    start: str = "<think>"
    end: str = "</think>"
    opened: bool = False

    def answered(self, completion: str) -> str | None:
        """Return what follows the reasoning: the whole completion if it has none, None if it has no end."""
        before, found, after = completion.rpartition(self.end)
        if self.start in after or (self.opened and not found):
            return None
        return after if found else before + after


USUAL = Reasoning()


def checked_reasoning(option: Any) -> Reasoning | None:
    """Return the marks that an option names, the usual ones where it names none.

    Raises:
        ValueError: If the option is no mapping of start, end and opened.
    """
    if option is None:
        return None
    if not isinstance(option, Mapping) or set(option) - set(Reasoning._fields):
        raise ValueError(f"reasoning must be null or a mapping of start, end and opened, got {option!r}")
    found = Reasoning(**option)
    for name, mark in (("start", found.start), ("end", found.end)):
        if not isinstance(mark, str) or not mark:
            raise ValueError(f"reasoning.{name} must be a text that is not empty, got {mark!r}")
    if not isinstance(found.opened, bool):
        raise ValueError(f"reasoning.opened must be true or false, got {found.opened!r}")
    return found
