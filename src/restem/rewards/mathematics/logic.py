r"""Propositions: equal if they have the same letters and the same truth table."""

import re
from collections.abc import Mapping
from itertools import product

_TOKEN = re.compile(r"\\[A-Za-z]+|[A-Za-z]|[()\[\]]|<->|<=>|->|=>|~|!|&&?|\|\|?|\S")
_OPERATORS = {
    "\\land": "and", "&": "and", "&&": "and", "\\lor": "or", "|": "or", "||": "or", "\\oplus": "xor",
    "\\implies": "if", "\\to": "if", "\\rightarrow": "if", "\\Rightarrow": "if", "->": "if", "=>": "if",
    "\\iff": "same", "\\leftrightarrow": "same", "\\Leftrightarrow": "same", "<->": "same", "<=>": "same",
}  # fmt: skip
_NOT = frozenset({"\\lnot", "~", "!", "\\sim"})
_LEVELS = (("same",), ("if",), ("or", "xor"), ("and",))  # loosest first
_IS_LOGIC = re.compile(
    r"\\(?:land|lor|lnot|oplus|implies|iff|[lL]eftrightarrow|Rightarrow)(?![A-Za-z])"
    r"|\w ?(?:->|\\to(?![a-z])|\\rightarrow) ?\\?\w"
)
_MOST_LETTERS = 8
_LONGEST = 300  # characters

Table = tuple[tuple[str, ...], tuple[bool, ...]]
_Tree = tuple[object, ...]


def truth_table(text: str) -> Table | None:
    """Return the letters of a proposition and its values for all of theirs; None if the text is none."""
    if len(text) > _LONGEST or not _IS_LOGIC.search(text):
        return None
    reader = _Reader(_TOKEN.findall(text))
    try:
        tree = reader.level(0)
    except (ValueError, IndexError, RecursionError):
        return None
    letters = tuple(sorted(reader.letters))
    if reader.place < len(reader.tokens) or not letters or len(letters) > _MOST_LETTERS:
        return None
    rows = product((False, True), repeat=len(letters))
    return letters, tuple(_value(tree, dict(zip(letters, row, strict=True))) for row in rows)


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.place, self.letters = tokens, 0, set[str]()

    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def level(self, depth: int) -> _Tree:
        if depth == len(_LEVELS):
            return self.negation()
        left = self.level(depth + 1)
        while _OPERATORS.get(self.next()) in _LEVELS[depth]:
            operator = _OPERATORS[self.next()]
            self.place += 1
            right = self.level(depth if operator == "if" else depth + 1)
            if operator == "if" and _OPERATORS.get(self.next()) == "if":
                raise ValueError(self.tokens)
            left = (operator, left, right)
        return left

    def negation(self) -> _Tree:
        token = self.next()
        self.place += 1
        if token in _NOT:
            return ("not", self.negation())
        if token in {"(", "["}:
            inside = self.level(0)
            if self.next() not in {")", "]"}:
                raise ValueError(self.tokens)
            self.place += 1
            return inside
        if len(token) == 1 and token.isalpha():
            self.letters.add(token)
            return ("letter", token)
        raise ValueError(self.tokens)


def _value(tree: _Tree, letters: Mapping[str, bool]) -> bool:
    operator, *parts = tree
    if operator == "letter":
        return letters[str(parts[0])]
    values = [_value(part, letters) for part in parts if isinstance(part, tuple)]
    if operator == "not":
        return not values[0]
    left, right = values
    return {
        "and": left and right,
        "or": left or right,
        "xor": left != right,
        "if": not left or right,
        "same": left == right,
    }[str(operator)]
