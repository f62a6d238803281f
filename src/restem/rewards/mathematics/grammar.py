r"""The grammar of expressions: a tidied text in, a tree out, or an error. Nothing is guessed, dropped or evaluated.

Two readings are none: `1/2x`, a number after an operand (`x2`, `1 2`) and a word that is no function are refused. A
mixed number is an integer before a proper fraction, `1 1/2` or `1\frac{1}{2}`. e is Euler's number, i the imaginary
unit, letters are multiplied in any order, capitals side by side are one name (AB is not BA).
"""

import re

from restem.rewards.mathematics.commands import GREEK, command, function, is_function
from restem.rewards.mathematics.nodes import Node, UnparseableError, negative, number
from restem.rewards.mathematics.tokens import Token, tokens_of

_DEEPEST = 60  # brackets in brackets
_LONGEST_SUBSCRIPT = 20  # characters
_PRODUCTS = frozenset(map(frozenset, re.findall(r"\w+", "abc abcd bcd xyz wxyz pqr pqrs qrs rst mnp uvw klm")))
_NO_PRODUCTS = frozenset(
    re.findall(
        r"\w+",
        "cab bac no on is it at to in so do go he we me my or if of as an am be by up us ft mm cm dm km kg mg ml pm lb "
        "oz hr",
    )
)
_MOST_LETTERS = 3  # that are a product where they are no row of the alphabet: ab, but nRT with a capital
_NO_OPERANDS = frozenset(
    re.findall(
        r"\w+",
        "times cdot ast div rfloor rceil end hline le ge ne in cup cap backslash land lor lnot to iff pm mp approx "
        "equiv sim",
    )
)
_CLOSINGS = {"(": ")", "[": "]", "{": "}", "\\{": "\\}"}
_TIMES = ("*", "\\times", "\\cdot", "\\ast")
_NO_NUMBER = Node("var")


def parse(text: str) -> Node:
    """Return the tree of a tidied expression.

    Raises:
        UnparseableError: If the text is no expression, or is two.
    """
    parser = _Parser(tokens_of(text), text)
    tree = parser.sum()
    if parser.place < len(parser.tokens):
        raise UnparseableError(text)
    return tree


class _Parser:
    """Recursive descent, a method per level of precedence."""

    def __init__(self, tokens: list[Token], text: str) -> None:
        self.tokens, self.text, self.place, self.depth = tokens, text, 0, 0
        self.bars = 0  # absolute values that are open

    def fail(self) -> UnparseableError:
        return UnparseableError(self.text)

    def next(self) -> Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def at(self, *texts: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place].text in texts

    def take(self) -> Token:
        if self.place >= len(self.tokens):
            raise self.fail()
        self.place += 1
        return self.tokens[self.place - 1]

    def expect(self, text: str) -> None:
        if self.take().text != text:
            raise self.fail()

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.fail()
        tree = self.term(self.sign())
        while self.at("+", "-"):
            is_negative = self.take().text == "-"
            is_negative ^= self.sign()
            tree = Node("add", (tree, self.term(is_negative)))
        self.depth -= 1
        return tree

    def sign(self) -> bool:
        is_negative = False
        while self.at("+", "-"):
            is_negative ^= self.take().text == "-"
        return is_negative

    def term(self, is_negative: bool) -> Node:
        tree, divided = self.factor(first=True), False
        while True:
            if self.at(*_TIMES):
                self.take()
                is_negative ^= self.sign()
                tree, divided = Node("mul", (tree, self.factor(first=True))), False
            elif self.at("/", "\\div"):
                plain = self.take().text == "/"
                is_negative ^= self.sign()
                tree, divided = Node("div", (tree, self.factor(first=True))), plain
            elif self.begins_factor():
                if divided:
                    raise self.fail()  # 1/2x is two expressions
                tree = Node("mul", (tree, self.factor()))
            else:
                return negative(tree) if is_negative else tree

    def begins_factor(self) -> bool:
        if self.place >= len(self.tokens):
            return False
        token = self.tokens[self.place]
        if token.kind in {"word", "number"} or (token.text == "|" and not self.bars):
            return True
        return token.text in {"(", "[", "{", "\\|"} or (token.kind == "command" and token.text[1:] not in _NO_OPERANDS)

    def factor(self, *, first: bool = False) -> Node:
        token = self.tokens[self.place] if self.place < len(self.tokens) else None
        if token is not None and token.kind == "number":
            if not first:
                raise self.fail()  # a number after an operand
            base = self.mixed()
            if base is not None:
                return base
        return self.powered(self.operand())

    def powered(self, base: Node) -> Node:
        while True:
            if self.at("!"):
                self.take()
                if self.at("!"):
                    raise self.fail()
                base = Node("fact", (base,))
            elif self.at("°"):
                self.take()
                base = Node("deg", (base,))
            elif self.at("^"):
                self.take()
                base = Node("pow", (base, self.exponent()))
                if self.at("!"):
                    raise self.fail()  # of the base, or of the exponent
            else:
                return base

    def exponent(self) -> Node:
        is_negative = self.sign()
        if self.at("{"):
            tree = self.group()
        else:
            tree = self.operand(alone=True)
            if self.at("^"):
                tree = self.powered(tree)
        return negative(tree) if is_negative else tree

    def mixed(self) -> Node | None:
        """Return an integer before a proper fraction, or None if what stands here is not that."""
        start, whole = self.place, self.take()
        if whole.value.denominator != 1 or whole.decimals or self.place >= len(self.tokens):
            self.place = start
            return None
        if self.at("\\frac"):
            self.take()
            above, below = self.two_arguments()
        elif self.tokens[self.place].kind == "number" and self.tokens[self.place].spaced:
            above = self.operand()
            self.expect("/")
            below = self.operand()
        else:
            above = below = _NO_NUMBER
        if not (_is_natural(above) and _is_natural(below)):
            self.place = start
            return None
        if not 0 < above.value < below.value or self.at("^", "!", "."):
            raise self.fail()  # 1 5/2 and 1\\frac{5}{2}: a sum or a product
        return number(whole.value + above.value / below.value)

    def operand(self, *, alone: bool = False) -> Node:
        token = self.take()
        if token.kind == "number":
            return Node("num", value=token.value, name=token.decimals)
        if token.kind == "word":
            return self.letters(token.text, alone=alone)
        if token.kind == "command":
            return self.command(token.text[1:])
        self.place -= 1
        if self.at("(", "[", "{"):
            return self.group()
        if self.at("|"):
            return self.absolute()
        raise self.fail()

    def group(self) -> Node:
        opening = self.take().text
        bars, self.bars = self.bars, 0
        tree = self.sum()
        self.bars = bars
        self.expect(_CLOSINGS[opening])
        return tree

    def absolute(self) -> Node:
        self.take()
        self.bars += 1
        tree = self.sum()
        self.bars -= 1
        self.expect("|")
        return Node("call", (tree,), name="abs")

    def letters(self, word: str, *, alone: bool = False) -> Node:
        """Return the product of letters, or the function of that name; alone, as in x^yz, only one is clear."""
        if is_function(word):
            return function(self, word)
        if len(word) > 1 and word.isupper():
            return self.subscripted(word)
        if not _is_product(word) or (alone and len(word) > 1) or (self.at("(") and word in {"f", "g", "h"}):
            raise self.fail()  # a word, two readings, or the value of a function that nobody has defined
        tree = self.subscripted(word[-1])
        if len(word) > 1 and self.at("^", "!", "°"):
            tree = self.powered(tree)
        for letter in reversed(word[:-1]):
            tree = Node("mul", (named(letter), tree))
        return tree

    def subscripted(self, name: str) -> Node:
        """Return a variable with what stands below it, and its primes."""
        full = name
        if self.at("_"):
            self.take()
            full += "_" + self.subscript()
        while self.at("'"):
            full += self.take().text
        return named(full)

    def subscript(self) -> str:
        if not self.at("{"):
            token = self.take()
            if token.kind == "mark" or (token.kind == "word" and len(token.text) > 1):
                raise self.fail()
            return token.text
        self.take()
        inside = ""
        while not self.at("}"):
            inside += self.take().text
            if len(inside) > _LONGEST_SUBSCRIPT or "{" in inside:
                raise self.fail()
        self.take()
        return inside

    def two_arguments(self) -> tuple[Node, Node]:
        r"""Return what \frac and \binom take; \frac12 has one token for both."""
        digits = self.next()
        if digits is not None and re.fullmatch(r"\d\d", digits.text):
            self.take()
            above, below = (number(int(digit)) for digit in digits.text)
            return above, below
        return self.argument(), self.argument()

    def argument(self) -> Node:
        """Return a group in braces, or one digit, letter, or sign."""
        if self.at("{"):
            return self.group()
        token = self.take()
        if token.kind == "number" and len(token.text) == 1:
            return number(token.value)
        if token.kind == "word" and len(token.text) == 1:
            return named(token.text)
        if token.kind == "command" and token.text[1:] in GREEK | {"pi", "sqrt"}:
            return self.command(token.text[1:])
        raise self.fail()

    def command(self, name: str) -> Node:
        """Return what a command without its backslash begins."""
        return self.subscripted("\\" + name) if name in GREEK else command(self, name)


def named(letter: str) -> Node:
    """Return a letter: Euler's number, the imaginary unit, or a variable."""
    return Node("const", name=letter) if letter in {"e", "i"} else Node("var", name=letter)


def _is_product(word: str) -> bool:
    """Return whether letters side by side are multiplied, and no word."""
    if len(word) == 1:
        return True
    if word in _NO_PRODUCTS or word.capitalize() == word:
        return False
    if frozenset(word) in _PRODUCTS and len(set(word)) == len(word):
        return True
    return len(word) < _MOST_LETTERS or (len(word) == _MOST_LETTERS and (word[0].isupper() or word[-1].isupper()))


def _is_natural(node: Node) -> bool:
    return node.kind == "num" and node.value.denominator == 1 and not node.name
