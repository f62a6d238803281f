r"""What stands left of an equality and only names what stands right of it: x, f(x), |AB|, \angle ABC, the area."""

import re

from restem.rewards.mathematics.words import NUMBER_WORDS

_BELOW = r"(?:_ ?(?:\w|\{[\w, ]{1,12}\}|\w\w))?"
_POINT = r"(?:[A-Z](?:_ ?\{? ?\w ?\}?|')?)"
_TERM = r"(?:\w(?:_ ?\{? ?\w ?\}?)?|[A-Z]{2})"  # of a ratio
_LETTER = rf"(?:[A-Za-z]|\\(?!frac|sqrt|sin|cos|tan|log|ln|binom|sum|int|lim)[A-Za-z]+){_BELOW}'*"
_CALL = r"(?:[fghpquvyA-Z]|\\[a-zA-Z]+)(?:_ ?(?:\w|\{\w{1,6}\}))?'*(?:\^ ?\{? ?-1 ?\}?)? ?\( ?[^()=]{1,20} ?\)"
_FIGURE = (
    r"m?(?:\\(?:angle|triangle|overline|widehat|vec|overrightarrow|measuredangle|overset) ?)?"
    rf"\{{? ?{_POINT}(?: ?{_POINT}){{0,5}} ?\}}?"
)
_LENGTH = rf"\| ?(?:\\vec ?|\\overline ?|\\overrightarrow ?)?\{{? ?{_POINT}(?: ?{_POINT})? ?\}}? ?\|"
_AREA = r"\[ ?[A-Z]{3,6} ?\]"
_RATIO = rf"{_TERM} ?: ?{_TERM}(?: ?: ?{_TERM})?"
_WORDS = (
    r"(?:(?:the|an?|total|final|answer|so|then|thus|hence|therefore)[ ,]+){0,6}"
    r"[A-Za-z]{3,15}(?: (?:of )?(?:the )?[A-Za-z]{2,15}){0,3}"
)
_TARGET = re.compile("|".join((_LETTER, _CALL, _FIGURE, _LENGTH, _AREA, _RATIO, _WORDS)))
_TUPLE = re.compile(r"\( ?[A-Za-z](?:_ ?\{? ?\w ?\}?)?(?: ?, ?[A-Za-z](?:_ ?\{? ?\w ?\}?)?){1,5} ?\)")
_NO_NAMES = frozenset({"e", "i", "\\pi", "\\infty"})
_LONGEST = 80  # characters


def target_of(text: str) -> tuple[str, ...] | None:
    """Return the name that stands left of a value, or the names of a tuple; None if it is no name."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if _TUPLE.fullmatch(text):
        return tuple(re.sub(r"[ {}]", "", name) for name in text[1:-1].split(","))
    if not _TARGET.fullmatch(text) or re.sub(r"[ {}]", "", text) in _NO_NAMES:
        return None
    words = text.split()
    if len(words) > 1 and NUMBER_WORDS.intersection(words):
        return None
    return (re.sub(r"[ {}]", "", text),)
