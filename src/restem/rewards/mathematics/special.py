r"""Answers that are no expressions although they look like some: times, dates, ratios, ranges, other bases, names.

Each has a value of its own, so that 2:30 is not 1:15, 01/02/2024 no quotient, 1-2 no difference and \angle ABC not
\angle ACB.
"""

import re
from typing import NamedTuple


class Special(NamedTuple):
    """A special answer: what equals another of its kind has the same value."""

    kind: str  # time, date, range, base, name
    value: tuple[str | int, ...]
    parts: tuple[str, ...] = ()  # of a time that may be a ratio, and of a range


_TIME = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))? ?(?:([ap])\.? ?m\.?|(noon|midnight))?", re.IGNORECASE)
_HOUR = re.compile(r"(\d{1,2}) ?(?:([ap])\.? ?m\.?|o'? ?clock)", re.IGNORECASE)
_MINUTES, _NOON_HOUR, _LAST_MONTH, _LAST_DAY = 60, 12, 12, 31
_NOON = {"noon": 12 * 3600, "12 noon": 12 * 3600, "midnight": 0, "12 midnight": 0}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DAYS = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?"
_ISO = re.compile(r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})")
_NUMERIC = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})|(\d{1,2})(/)(\d{1,2})/(\d\d)")
_MONTH_FIRST = re.compile(rf"{_DAYS}{_MONTH} (?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?:,? ?(\d{{4}}))?", re.IGNORECASE)
_DAY_FIRST = re.compile(
    rf"{_DAYS}(?:the )?(\d{{1,2}})(?:st|nd|rd|th)? (?:of )?{_MONTH}(?:,? (\d{{4}}))?", re.IGNORECASE
)
_RANGE = re.compile(
    r"(\d+(?:\.\d+)?(?: ?- ?\d+(?:\.\d+)?)+)|(\d+(?:\.\d+)?) (?:to|through) (\d+(?:\.\d+)?)", re.IGNORECASE
)
_BASE = re.compile(
    r"(?:\(?(\d[\dA-Z]*|[A-F]{2}[\dA-F]*)\)? ?_ ?\{? ?([1-9]\d?|two|eight|ten|sixteen|[a-z]+) ?\}?)"
    r"|(?:(\d[\dA-Za-z]*) (?:in )?base[- ]?\(?([1-9]\d?|[a-z]+)\)?)"
)
_BASE_NAMES = "two three four five six seven eight nine ten eleven twelve"
_BASES = {name: value for value, name in enumerate(re.findall(r"\w+", _BASE_NAMES), 2)} | {"sixteen": 16}
_LARGEST_BASE = 36
_POINT = r"[A-Z](?:_ ?\{? ?\d+ ?\}?|'+)?"
_POINTS = re.compile(rf"{_POINT}(?: ?{_POINT})*")
_NAMES = {
    "angle": "angle", "measuredangle": "angle", "triangle": "triangle", "overline": "segment", "segment": "segment",
    "line": "line", "overleftrightarrow": "line", "overrightarrow": "vector", "vec": "vector", "vector": "vector",
    "ray": "ray", "widehat": "arc", "overset": "arc", "wideparen": "arc", "arc": "arc", "odot": "circle",
    "square": "square",
    "quadrilateral": "quadrilateral", "plane": "plane", "parallelogram": "parallelogram", "rectangle": "rectangle",
}  # fmt: skip
_NAME = re.compile(rf"(?:m ?)?\\?({'|'.join(_NAMES)})(?![A-Za-z]) ?\{{? ?({_POINTS.pattern}) ?\}}?")
_REVERSIBLE = frozenset({"angle", "segment", "line"})


def special_of(text: str) -> Special | None:
    """Return what a tidied text is, if it is one of these."""
    for read in (time_of, date_of, _range_of, _base_of, _name_of):
        if (found := read(text)) is not None:
            return found
    return None


def time_of(text: str) -> Special | None:
    """Return a time as seconds after midnight; without am and pm on the clock of 24 hours."""
    if text.casefold() in _NOON:
        return Special("time", (_NOON[text.casefold()],))
    if match := _TIME.fullmatch(text):
        hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
        half = (match[4] or {"noon": "p", "midnight": "a"}.get((match[5] or "").casefold(), "")).casefold()
    elif match := _HOUR.fullmatch(text):
        hours, minutes, seconds, half = int(match[1]), 0, 0, (match[2] or "").casefold()
    else:
        return None
    if max(minutes, seconds) >= _MINUTES or hours > 2 * _NOON_HOUR or (half and not 1 <= hours <= _NOON_HOUR):
        return None
    hours = hours % _NOON_HOUR + (_NOON_HOUR if half == "p" else 0) if half else hours
    parts = tuple(text.replace(" ", "").split(":")) if re.fullmatch(r"[\d: ]+", text) else ()
    return Special("time", (3600 * hours + 60 * minutes + seconds,), parts)


def date_of(text: str) -> Special | None:
    """Return a date as year, month, day; one that may be two dates, as 1/2/2024, only as it is written."""
    if match := _ISO.fullmatch(text):
        return _date(match[1], int(match[3]), int(match[4]))
    if match := _MONTH_FIRST.fullmatch(text):
        return _date(match[3], _MONTHS[match[1][:3].casefold()], int(match[2]))
    if match := _DAY_FIRST.fullmatch(text):
        return _date(match[3], _MONTHS[match[2][:3].casefold()], int(match[1]))
    if match := _NUMERIC.fullmatch(text):
        first, _, second, year = (group for group in match.groups() if group is not None)
        one, other = int(first), int(second)
        if max(one, other) <= _LAST_MONTH and one != other:
            return Special("date", ("day and month", year, one, other))
        return _date(year, *((one, other) if one <= _LAST_MONTH else (other, one)))
    return None


def _date(year: str | None, month: int, day: int) -> Special | None:
    return (
        Special("date", (year or "any year", month, day))
        if 1 <= month <= _LAST_MONTH and 1 <= day <= _LAST_DAY
        else None
    )


def _range_of(text: str) -> Special | None:
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    parts = tuple(re.split(r" ?- ?", match[1])) if match[1] else (match[2], match[3])
    return Special("range", parts, parts)


def _base_of(text: str) -> Special | None:
    match = _BASE.fullmatch(text)
    if match is None:
        return None
    digits, named = (match[1], match[2]) if match[1] else (match[3].upper(), match[4])
    base = int(named) if named.isdigit() else _BASES.get(named, 0)
    if not 1 < base <= _LARGEST_BASE or any(int(digit, 36) >= base for digit in digits):
        return Special("base", ("no numeral", digits, named)) if base else None
    return Special("base", (digits.lstrip("0") or "0", base))


def _name_of(text: str) -> Special | None:
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    kind = _NAMES[match[1]]
    points = [re.sub(r"[ {}]", "", point) for point in re.findall(_POINT, match[2])]
    measured = "measure of " if text.startswith("m") else ""
    if kind in _REVERSIBLE and points[-1] < points[0]:
        points.reverse()
    return Special("name", (measured + kind, *points))
