r"""Where the boxes of a LaTeX text are, \boxed{...}, which hold the answer; in time linear in the text."""

import re

BOX = re.compile(r"\\(?:boxed|fbox|beginboxed)(?![A-Za-z])\s*")  # up to its brace, or what it holds without one
_BRACE = re.compile(r"(?<!\\)[{}]")


def box_starts(text: str) -> list[re.Match[str]]:
    """Return the boxes that a brace opens."""
    return [mark for mark in BOX.finditer(text) if text[mark.end() : mark.end() + 1] == "{"]


def closings(text: str, *, within: int | None = None) -> dict[int, int]:
    """Return, by the place of each opening brace that is closed, the place after what closes it.

    Args:
        text: LaTeX.
        within: The longest that may be between two braces, in characters.
    """
    closed: dict[int, int] = {}
    waiting: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            waiting.append(brace.start())
        elif waiting:
            start = waiting.pop()
            if within is None or brace.start() - start - 1 <= within:
                closed[start] = brace.end()
    return closed


def last_box(text: str) -> str | None:
    r"""Return what the last \boxed{...} or \fbox{...} holds, braces matched; also of \boxed 7."""
    marks = list(BOX.finditer(text))
    if not marks:
        return None
    start = marks[-1].end()
    if text[start : start + 1] != "{":
        return text[start:].split("$", maxsplit=1)[0].strip() or None
    end = closings(text[start:]).get(0)
    return text[start + 1 : start + end - 1].strip() or None if end else None
