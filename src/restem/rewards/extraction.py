"""Where in a completion the answer stands. Every way takes time linear in the completion."""

import re
from collections.abc import Callable

from restem.rewards.verdicts import Answer

_ANSWER_IS = re.compile(r"\banswer(?:\s+is(?:\s*:)?|\s*:)\s*", re.IGNORECASE)
_WRAPPERS = ("**", "__", "`", '"', "'", "$")  # Markdown, quotes and dollars around an answer


def _whole(text: str) -> str | None:
    return text.strip() or None


def _first_line(text: str) -> str | None:
    return next((line.strip() for line in text.splitlines() if line.strip()), None)


def _last_line(text: str) -> str | None:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), None)


def _answer_is(text: str) -> str | None:
    matches = list(_ANSWER_IS.finditer(text))
    return _trimmed(_first_line(text[matches[-1].end() :])) if matches else None


def _tag(text: str) -> str | None:
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    return text[start + len("<answer>") : end].strip() or None if start >= 0 else None


def _after_hashes(text: str) -> str | None:
    _, found, rest = text.rpartition("####")
    return _first_line(rest) if found else None


EXTRACTIONS: dict[str, Callable[[str], str | None]] = {
    "whole": _whole,  # the completion without the space around it
    "first_line": _first_line,  # that is not blank
    "last_line": _last_line,  # that is not blank
    "answer_is": _answer_is,  # the rest of the line after the last "answer is" or "answer:"
    "tag": _tag,  # the last <answer>...</answer>
    "hashes": _after_hashes,  # the rest of the line after the last ####, as in GSM8K
}


# How a text states an answer, by what finds it there.
FORMS = {"answer_is": "The answer is {answer}", "tag": "<answer>{answer}</answer>", "hashes": "#### {answer}"}


def in_form(way: str, answer: str) -> str:
    """Return a text that states the answer so that this way finds it; the bare answer for all other ways."""
    return FORMS.get(way, "{answer}").replace("{answer}", answer)


def extract(text: str, ways: tuple[str, ...]) -> Answer | None:
    """Return what the first way that finds anything finds."""
    found = ((EXTRACTIONS[way](text), way) for way in ways)
    return next((Answer(answer, way.replace("_", " ")) for answer, way in found if answer is not None), None)


def checked_ways(option: str) -> tuple[str, ...]:
    """Return the ways that an option like "tag,answer_is,whole" names, in order.

    Raises:
        ValueError: If one of them is unknown.
    """
    ways = tuple(way.strip() for way in option.split(","))
    unknown = [way for way in ways if way not in EXTRACTIONS]
    if unknown:
        raise ValueError(f"extract must be of {', '.join(EXTRACTIONS)}, got {', '.join(unknown)}")
    return ways


def _trimmed(text: str | None) -> str | None:
    """Return the answer without a full stop at its end and without what wraps it."""
    if text is None:
        return None
    text = text.rstrip().removesuffix(".")
    for mark in ("**", "__"):  # of **Answer: D**, what stands before the answer is gone
        if text.endswith(mark) and text.count(mark) == 1:
            text = text.removesuffix(mark).rstrip().removesuffix(".")
    for wrapper in _WRAPPERS:
        if len(text) > 2 * len(wrapper) and text.startswith(wrapper) and text.endswith(wrapper):
            text = text[len(wrapper) : -len(wrapper)]
    return text.strip() or None
