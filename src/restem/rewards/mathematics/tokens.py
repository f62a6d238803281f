"""The pieces of a text: numbers with their thousands and repeating digits, words, commands, and single marks."""

import re
from fractions import Fraction
from typing import NamedTuple

from restem.rewards.mathematics.nodes import UnparseableError

_LONGEST = 400  # digits of a number
_NUMBER = re.compile(
    r"(?:(\d{1,3}(?:,\d{3})+(?![\d,])|[1-9]\d{0,2}(?: \d{3})+(?! ?\d)|\d+)(?:\.(\d*))?|\.(\d+))"
    r"(?:(?<=[\d.])\\(?:overline|bar|dot) ?\{? ?(\d+) ?\}?)?"
)
_RUNNING = re.compile(r"(\d*)\.(\d*?)(\d)\3\3+ ?(?:\.\.\.|\\l?dots|\\cdots|…)")
_TOKEN = re.compile(r"\\\\|\\[A-Za-z]+|\\[{}|]|[A-Za-z]+|[-+*/^_!°(){}\[\]|,=<>&%:;']| +|.", re.DOTALL)


class Token(NamedTuple):
    """A piece of text."""

    kind: str  # number, word, command, mark
    text: str
    value: Fraction = Fraction(0)
    decimals: str = ""
    spaced: bool = False  # there is a space before it


def tokens_of(text: str) -> list[Token]:
    """Return the pieces of a tidied text."""
    found, place, spaced = [], 0, False
    while place < len(text):
        if text[place].isdigit() or (text[place] == "." and text[place + 1 : place + 2].isdigit()):
            token, place = _number(text, place)
        else:
            match = _TOKEN.match(text, place)
            assert match is not None  # the last branch takes any character
            token, place = Token(_kind(match[0]), match[0]), match.end()
        if token.text.isspace():
            spaced = True
            continue
        found.append(token._replace(spaced=spaced))
        spaced = False
    return found


def _kind(text: str) -> str:
    if text.startswith("\\") and text[1:].isalpha():
        return "command"
    return "word" if text.isalpha() and text.isascii() else "mark"


def _number(text: str, place: int) -> tuple[Token, int]:
    if match := _RUNNING.match(text, place):
        whole, fixed, cycle = match[1], match[2], match[3]
        value = Fraction(int(whole or 0)) + Fraction(int(fixed or 0), 10 ** len(fixed))
        return Token("number", match[0], value + Fraction(int(cycle), 9 * 10 ** len(fixed))), match.end()
    match = _NUMBER.match(text, place)
    if match is None or match.end() - place > _LONGEST:
        raise UnparseableError(text)
    whole = re.sub(r"[, ]", "", match[1] or "0")
    after = match[2] if match[2] is not None else match[3]
    value = Fraction(int(whole)) + (Fraction(int(after), 10 ** len(after)) if after else 0)
    if match[4]:
        if after is None:
            raise UnparseableError(text)
        value += Fraction(int(match[4]), (10 ** len(match[4]) - 1) * 10 ** len(after))
        return Token("number", match[0], value), match.end()
    return Token("number", match[0], value, str(len(after)) if after else ""), match.end()
