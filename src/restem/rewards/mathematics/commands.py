r"""Commands and functions of the grammar: fractions, roots, sines, sums, matrices."""

import re
from typing import Protocol

from restem.rewards.mathematics.nodes import INFINITE, PI, Node, UnparseableError, negative, number
from restem.rewards.mathematics.tokens import Token

GREEK = frozenset(
    re.findall(
        r"\w+",
        "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau "
        "upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Upsilon Phi Psi Omega ell hbar",
    )
)
_FUNCTIONS = frozenset(
    re.findall(r"\w+", "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp gcd lcm max min")
)
_PLAIN_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_PLAIN_FUNCTIONS = _FUNCTIONS | {"sqrt", "abs", "floor", "ceil", *_PLAIN_NAMES}
_OF_SEVERAL = frozenset({"gcd", "lcm", "max", "min"})
NO_ARGUMENTS = frozenset({"sum", "prod", "int", "lim"})
_MATRICES = frozenset({"pmatrix", "bmatrix", "Bmatrix", "matrix", "smallmatrix", "array", "vmatrix"})
_CLOSINGS = {"(": ")", "[": "]", "{": "}"}


class Parser(Protocol):
    """What a command needs of the parser that meets it; `restem.rewards.mathematics.grammar` says what each does."""

    bars: int

    def fail(self) -> UnparseableError: ...  # noqa: D102
    def next(self) -> Token | None: ...  # noqa: D102
    def at(self, *texts: str) -> bool: ...  # noqa: D102
    def take(self) -> Token: ...  # noqa: D102
    def expect(self, text: str) -> None: ...  # noqa: D102
    def sum(self) -> Node: ...  # noqa: D102
    def term(self, is_negative: bool) -> Node: ...  # noqa: D102
    def factor(self, *, first: bool = False) -> Node: ...  # noqa: D102
    def begins_factor(self) -> bool: ...  # noqa: D102
    def operand(self, *, alone: bool = False) -> Node: ...  # noqa: D102
    def exponent(self) -> Node: ...  # noqa: D102
    def group(self) -> Node: ...  # noqa: D102
    def argument(self) -> Node: ...  # noqa: D102
    def two_arguments(self) -> tuple[Node, Node]: ...  # noqa: D102


def command(parser: Parser, name: str) -> Node:
    """Return what a command without its backslash begins."""
    if name in {"pi", "infty"}:
        return PI if name == "pi" else INFINITE
    if name in {"frac", "binom"}:
        above, below = parser.two_arguments()
        return Node("div", (above, below)) if name == "frac" else Node("call", (above, below), name="binom")
    if name in {"lfloor", "lceil"}:
        tree = parser.sum()
        parser.expect("\\r" + name[1:])
        return Node("call", (tree,), name=name[1:])
    if name in {"sum", "prod"}:
        return _series(parser, name)
    if name == "begin":
        return _matrix(parser)
    if name in _FUNCTIONS | {"sqrt"}:
        return function(parser, name)
    raise parser.fail()


def is_function(name: str) -> bool:
    """Return whether a word is the name of a function."""
    return name in _PLAIN_FUNCTIONS


def root(parser: Parser) -> Node:
    """Return a root, square if it has no index."""
    index = (parser.group(),) if parser.at("[") else ()
    inside = parser.group() if parser.at("(", "{") else parser.operand(alone=True)
    return Node("call", (inside, *index), name="sqrt")


def function(parser: Parser, name: str) -> Node:
    """Return a function of its argument: in brackets, or the product that follows."""
    name = _PLAIN_NAMES.get(name, name)
    if name == "sqrt":
        return root(parser)
    base: tuple[Node, ...] = ()
    power = None
    if name == "log" and parser.at("_"):
        parser.take()
        base = (parser.group() if parser.at("{") else parser.argument(),)
    if parser.at("^"):
        parser.take()
        power = parser.exponent()
        if power == negative(number(1)):
            raise parser.fail()  # the inverse, or one over
    tree = Node("call", (*_arguments(parser, name), *base), name=name)
    return tree if power is None else Node("pow", (tree, power))


def _arguments(parser: Parser, name: str) -> tuple[Node, ...]:
    if not parser.at("(", "[", "{"):
        return (_product_after(parser),)
    closing = _CLOSINGS[parser.take().text]
    bars, parser.bars = parser.bars, 0
    arguments = [parser.sum()]
    while parser.at(","):
        parser.take()
        arguments.append(parser.sum())
    parser.bars = bars
    parser.expect(closing)
    if len(arguments) > 1 and name not in _OF_SEVERAL:
        raise parser.fail()
    return tuple(arguments)


def _product_after(parser: Parser) -> Node:
    """Return the product that a function without brackets is of, as in sin 2x cos x up to the next function."""
    tree = parser.factor(first=True)
    while parser.begins_factor() and not parser.at("(", "[") and not _begins_call(parser):
        tree = Node("mul", (tree, parser.factor()))
    if parser.at("(", "[", "/"):
        raise parser.fail()  # sin x(y+1), sin x/2
    return tree


def _begins_call(parser: Parser) -> bool:
    token = parser.next()
    name = "" if token is None else token.text.removeprefix("\\")
    return name in _PLAIN_FUNCTIONS or name in NO_ARGUMENTS


def _series(parser: Parser, name: str) -> Node:
    """Return a sum or a product over a letter, from a number to a number."""
    parser.expect("_")
    parser.expect("{")
    letter = parser.take()
    parser.expect("=")
    low = parser.sum()
    parser.expect("}")
    parser.expect("^")
    high = parser.exponent()
    if letter.kind != "word" or len(letter.text) != 1:
        raise parser.fail()
    return Node("big", (low, high, parser.term(False)), name=f"{name} {letter.text}")


def _matrix(parser: Parser) -> Node:
    """Return a matrix, or the determinant that straight lines around it make."""
    environment = _text_in_braces(parser)
    if environment not in _MATRICES:
        raise parser.fail()
    if environment == "array":
        _text_in_braces(parser)
    rows: list[list[Node]] = [[]]
    while not parser.at("\\end"):
        if parser.at("\\\\"):
            parser.take()
            rows.append([])
        elif parser.at("&", "\\hline"):
            parser.take()
        else:
            rows[-1].append(parser.sum())
    parser.take()
    rows = [row for row in rows if row]
    if _text_in_braces(parser) != environment or len({len(row) for row in rows}) != 1:
        raise parser.fail()
    return Node("det" if environment == "vmatrix" else "matrix", tuple(Node("row", tuple(row)) for row in rows))


def _text_in_braces(parser: Parser) -> str:
    parser.expect("{")
    inside = ""
    while not parser.at("}"):
        inside += parser.take().text
    parser.take()
    return inside
