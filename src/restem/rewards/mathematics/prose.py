# ruff: noqa: RUF001 - signs and full stops of other scripts
r"""The number that a sentence states, where one reading is left.

Taken is the last number of the last sentence that has one, with the sign before it and the unit after it. Not taken is
a number that a word beside it changes (half of 5, at least 5, 5 squared), that is one of several (5 or 6, 5 to 7, 5
pens for $8), that is denied, or that a word follows which is neither unit nor one that goes on with the sentence.
"""

import re

from restem.rewards.mathematics.units import unit_of
from restem.rewards.mathematics.words import NUMBER_WORDS

_OTHER_SCRIPT = "\u0400-\u06ff\u0900-\u0dff\u0e00-\u0eff\u3000-\u9fff\uac00-\ud7af\uff00-\uffef"
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|[。！？\n]")
_TOKEN = re.compile(rf"[^\s{_OTHER_SCRIPT}]+")
_DIGIT = re.compile(r"\d")
_NUMERAL = r"-?\d{1,15}(?:\.\d{1,15})?"
_SEVERAL = re.compile(rf"\bare:?\s((?:{_NUMERAL}(?:, ?| and |, and | or )){{1,6}}{_NUMERAL})[.!]?\s*$")
_NUMBER = re.compile(r"(?:\\?\$ ?)?-?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?: ?\\?%)?")
_LEADING = re.compile(rf"({_NUMBER.pattern})(?![\w.,/^*+(=]|-\d)")
_GROWS = "".join(rf"(?<!{verb} )" for verb in ("increases", "decreases", "increased", "decreased", "rises", "falls"))
_OF = "".join(
    rf"(?<!{word} )"
    for word in (
        "total", "value", "answer", "result", "cost", "price", "amount", "profit", "distance", "average", "score",
        "maximum", "minimum", "speed", "age",
    )
)  # fmt: skip
_CHANGED = re.compile(  # what before a number makes it another, or one of several
    r"(?:\b(?:and|or|through|between|not|no|than|minus|plus|times|over|half|third|quarter|twice|double|triple|least|most"
    rf"|from|under|above|below|within|{_GROWS}by|with|for|if|until|before|after|versus|vs|number|step|case|question|problem"
    rf"|equation|part|nearly|almost|as|percent of|\d\s*to|up to|{_OF}of)|[-+*/×÷^,;(±√<>≠])\s*$",
    re.IGNORECASE,
)
_ADDS_UP = re.compile(
    r"\b(?:add(?:s|ing)?|sums?|total(?:s|ling)?|comes?|works?|amounts?|brings? \w+|going|goes|counts?) up to\s*$"
    r"|\bequal to\s*$",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"\b(?:negative|minus)\s*$", re.IGNORECASE)
_STATES = re.compile(
    r"(?:=|\b(?:is|are|was|were|be|equals?|equal to|gives?|gets?|got|have|has|had|makes?|made|needs?|costs?|leaves?"
    r"|left|find|found|obtain|yields?|earns?|spent|spends?|pays?|paid|takes?|total(?:s|ling|ing)?|to|of|about|exactly|only"
    r"|approximately|est|ist|es|son|exist)\s*:?)\s*\**\(?(?:\\?\$|£|€)?\s*$",
    re.IGNORECASE,
)
_GOES_ON = frozenset(
    re.findall(
        r"[a-z]+",
        """
        in per each every left remaining because since as for on at when so if after before which that this is
        are was were will would can altogether total from by with who while until then there here the a an he
        she they it we i you his her their out of more additional extra fewer again today now away apart long
        old tall wide high deep overall together to and
        """,
    )
)
_TAKES_AWAY = re.compile(
    r"\b(?:wrong|incorrect|mistake|mistaken|not sure|unsure|cannot|can't|impossible|contradiction|guess)\b",
    re.IGNORECASE,
)
_HEDGED = re.compile(  # what takes back the number of its own sentence
    r"\b(?:if|doubt\w*|wonder\w*|unlikely|hardly|den(?:y|ies|ied)|false|untrue|suppos(?:e|es|ing)|assum(?:e|es|ing)"
    r"|imagine|pretend|whether|perhaps|maybe|possibly|might|rather)\b",
    re.IGNORECASE,
)
_JOINS = re.compile(r"\b(?:and|or|but|versus|than|if|unless)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z°]+(?:/[A-Za-z]+)?(?:\^?[23²³])?")
_MOST_UNIT_WORDS = 4
_BEFORE = 24  # characters before a number that are looked at
_TAIL = 200  # characters after the last formula in which a denial counts


def is_denied(text: str) -> bool:
    """Return whether the end of a text takes back what it said."""
    return _TAKES_AWAY.search(text[-_TAIL:]) is not None


def leading_quantity(clause: str) -> str | None:
    """Return the number that a statement begins with, and its unit, if the rest only goes on with the sentence."""
    match = _LEADING.match(clause)
    if match is None or _DIGIT.search(clause[match.end() :]):
        return None
    return _with_unit(match[1], clause[match.end() :])


def prose_number(text: str, *, after: int = 0) -> str | None:
    """Return the number that the last sentence with one states; None if there is none, or more than one reading.

    Args:
        text: A text.
        after: Where to begin; what stands before is a formula.
    """
    start, end = _last_sentence(text, after)
    tokens = [token for token in _TOKEN.finditer(text, max(start, after), end) if _DIGIT.search(token[0])]
    number = _number_of(tokens[-1][0]) if tokens else None
    if number is None or text[end - 1] == "?" or _HEDGED.search(text, start, end):
        return None
    if several := _SEVERAL.search(text, max(start, after), end):
        return several[1]
    token = tokens[-1]
    rest = "" if token[0][-1] in ".,;:!?" else text[token.end() : end]
    before = "=" if "=" in token[0] else text[max(start, token.start() - _BEFORE) : token.start()]
    if sign := _NEGATED.search(before):
        before, number = before[: sign.start()], f"-{number}"
        if _NEGATED.search(before) or not number[1].isdigit():
            return None
    if _CHANGED.search(before) and not _ADDS_UP.search(before):
        return None
    is_stated = sign is not None or "=" in before or _OTHER.search(text, start, end) is not None
    return _with_unit(number, rest) if is_stated or _is_the_one(text, max(start, after), token.start()) else None


def _is_the_one(text: str, start: int, place: int) -> bool:
    """Return whether a number is the only one of its sentence so far, or a verb states it after the others."""
    earlier = [digit.end() for digit in _DIGIT.finditer(text, start, place)]
    if not earlier:
        return True
    between = text[earlier[-1] : place]
    return _STATES.search(between) is not None and _JOINS.search(between) is None


_OTHER = re.compile(f"[{_OTHER_SCRIPT}]")


def _last_sentence(text: str, after: int) -> tuple[int, int]:
    """Return where the last sentence that has a digit after a place begins and ends."""
    start, found = 0, (0, len(text))
    for mark in _SENTENCE_END.finditer(text):
        if mark.start() > after and _DIGIT.search(text, max(start, after), mark.start()):
            found = (start, mark.start())
        start = mark.end()
    return (start, len(text)) if _DIGIT.search(text, max(start, after)) else found


def _number_of(token: str) -> str | None:
    """Return the number of a word of a text, without what stands around it."""
    number = token.strip("*_`\"'").rstrip(".,;:!?*").removesuffix("$")
    left, right = number.count("("), number.count(")")
    number = number.removesuffix(")") if right > left else number.removeprefix("(") if left > right else number
    number = number.rpartition("=")[2].strip("*_")
    return number or None


def _with_unit(number: str, rest: str) -> str | None:
    """Return a number with the unit that follows it; None if a word follows that may change it."""
    rest = rest.lstrip(" *)")
    words: list[str] = []
    place = 0
    while len(words) < _MOST_UNIT_WORDS and (match := _WORD.match(rest, place)):
        words.append(match[0])
        place = match.end() + 1
        if rest[match.end() : place] != " ":
            break
    if "than" in words:
        return None  # 12 more than another
    if not words:
        return None if re.match(r"[-+*/×÷^±<>=!%]|\\", rest) else number
    if words[0].casefold() in {"percent", "pct"}:
        return f"{number}%"
    for length in range(len(words), 0, -1):
        unit = " ".join(words[:length])
        if unit_of(unit) is not None and not NUMBER_WORDS.intersection(unit.casefold().split()):
            return f"{number} {unit}"
    return number if words[0].casefold() in _GOES_ON else None
