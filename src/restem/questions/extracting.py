r"""Where in a column the gold answer stands: the last \boxed{}, after ####, or what a pattern finds."""

import re
from collections.abc import Callable

from restem.parameters.sources import Pattern
from restem.questions.boxes import last_box

Extract = Callable[[str], str | None]  # a text -> the answer in it; None if there is none


def _after_hashes(text: str) -> str | None:
    _, found, rest = text.rpartition("####")
    return next((line.strip() for line in rest.splitlines() if line.strip()), None) if found else None


NAMED: dict[str, Extract] = {"boxed": last_box, "hashes": _after_hashes}


def extractor(option: str | Pattern | None) -> Extract:
    """Return what finds the answer; without an option, all of the text is."""
    if option is None:
        return lambda text: text
    if isinstance(option, str):
        return NAMED[option]
    pattern = re.compile(option.pattern, re.MULTILINE)
    return lambda text: _last_match(pattern, text)


def _last_match(pattern: re.Pattern[str], text: str) -> str | None:
    matches = list(pattern.finditer(text))
    found = (matches[-1][1] if pattern.groups else matches[-1][0]) if matches else None
    return (found or "").strip() or None
