"""Numbers in English words: read as a whole, or not at all."""

import re
from fractions import Fraction

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_ONES = {word: value for value, word in enumerate(re.findall(r"\w+", _SMALL))}
_TENS = {
    word: 10 * value
    for value, word in enumerate(re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety"), 2)
}
_BASE = 10
_HUNDRED = 100
_SCALES = {
    "thousand": 10**3, "lakh": 10**5, "lakhs": 10**5, "million": 10**6, "crore": 10**7, "crores": 10**7,
    "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
_PARTS = {
    "half": 2, "halves": 2, "quarter": 4, "quarters": 4, "twentieth": 20, "twentieths": 20, "hundredth": 100,
    "hundredths": 100, "thousandth": 1000, "thousandths": 1000,
    **{f"{word}{end}": value for value, word in enumerate(re.findall(r"\w+", _ORDINALS), 3) for end in ("", "s")},
}  # fmt: skip
_DOZENS = {"dozen": 12, "dozens": 12, "score": 20, "gross": 144}
_LITERAL = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?")
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?|[a-z]+|\S")
_LONGEST = 120  # characters
NUMBER_WORDS = frozenset({*_ONES, *_TENS, *_SCALES, *_PARTS, *_DOZENS, "hundred", "point"})


def number_in_words(text: str) -> Fraction | None:
    """Return the number that a text of words, or of digits and words, is; None if it is no such number."""
    if len(text) > _LONGEST:
        return None
    tokens = [token for token in _TOKEN.findall(text.casefold()) if token != "-"]
    negative = bool(tokens) and tokens[0] in {"minus", "negative"}
    tokens = tokens[negative:]
    if not any(token in NUMBER_WORDS for token in tokens):
        return None
    value = _with_part(tokens)
    return None if value is None else -value if negative else value


def _with_part(tokens: list[str]) -> Fraction | None:
    """Return a magnitude, with the fraction after it: two thirds, one and a half, three quarters, half."""
    below = _PARTS.get(tokens[-1])
    if below is None:
        return _magnitude(tokens)
    before = tokens[:-1]
    if not before:
        return Fraction(1, below) if below in (2, 4) and not tokens[-1].endswith("s") else None
    if "and" in before:
        place = len(before) - 1 - before[::-1].index("and")
        whole, above = _magnitude(before[:place]), _above(before[place + 1 :])
        if before[place - 1] in {"hundred", *_SCALES} and before[place + 1 :] not in (["a"], ["one"]):
            return None  # one hundred and three quarters: 100 3/4, or 103/4
        if whole is None or above is None or whole.denominator != 1 or above >= below:
            return _fraction(_magnitude(before), below)
        return whole + above / below
    return _fraction(_above(before), below)


def _fraction(above: Fraction | None, below: int) -> Fraction | None:
    return None if above is None or above.denominator != 1 or above == 0 else above / below


def _above(tokens: list[str]) -> Fraction | None:
    return Fraction(1) if tokens in (["a"], ["an"]) else _magnitude(tokens)


def _magnitude(tokens: list[str]) -> Fraction | None:
    if tokens and tokens[-1] in _DOZENS:
        of = Fraction(1) if tokens[:-1] in ([], ["a"]) else _magnitude(tokens[:-1])
        return None if of is None or (not tokens[:-1] and tokens[-1] != "dozen") else of * _DOZENS[tokens[-1]]
    if "point" in tokens:
        return _decimal(tokens)
    total, group, last = Fraction(0), [], 10**15
    for token in tokens:
        if token not in _SCALES:
            group.append(token)
            continue
        scale, value = _SCALES[token], _group(group)
        if value is None or scale >= last or value == 0:
            return None
        total, group, last = total + value * scale, [], scale
    if not group:
        return total if tokens else None
    value = _group(group[1:] if group[0] == "and" and last < 10**15 else group)
    if value is None or (last < 10**15 and (value >= last or value.denominator != 1 or value == 0)):
        return None
    return total + value


def _decimal(tokens: list[str]) -> Fraction | None:
    """Return "three point one four"; digits and words are not mixed."""
    place = tokens.index("point")
    whole, digits = _magnitude(tokens[:place]), [_ONES.get(token, _BASE) for token in tokens[place + 1 :]]
    if whole is None or not digits or max(digits) >= _BASE or any(_LITERAL.fullmatch(token) for token in tokens):
        return None
    return whole + Fraction(int("".join(map(str, digits))), 10 ** len(digits))


def _group(tokens: list[str]) -> Fraction | None:
    """Return a number below 1,000: digits, or words as "two hundred and five"."""
    if not tokens:
        return None
    if "hundred" in tokens:
        place = tokens.index("hundred")
        of = Fraction(1) if tokens[:place] == ["a"] else _group(tokens[:place]) if place else None
        rest = tokens[place + 1 :]
        rest = rest[1:] if len(rest) > 1 and rest[0] == "and" else rest
        more = _below_hundred(rest) if rest else 0
        return None if of is None or of >= _HUNDRED or more is None else of * _HUNDRED + more
    if len(tokens) == 1 and _LITERAL.fullmatch(tokens[0]):
        return Fraction(tokens[0].replace(",", ""))
    if tokens == ["a"]:
        return Fraction(1)
    found = _below_hundred(tokens)
    return None if found is None else Fraction(found)


def _below_hundred(tokens: list[str]) -> int | None:
    if len(tokens) == 1:
        return _ONES.get(tokens[0], _TENS.get(tokens[0]))
    tens, *ones = tokens
    if tens in _TENS and len(ones) == 1 and 0 < _ONES.get(ones[0], 0) < _BASE:
        return _TENS[tens] + _ONES[ones[0]]
    return None
