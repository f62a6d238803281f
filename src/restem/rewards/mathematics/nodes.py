"""The tree of an expression."""

from fractions import Fraction
from typing import NamedTuple


class UnparseableError(ValueError):
    """A text that the grammar does not know, or that has two readings."""


class Node(NamedTuple):
    """An expression: what it is, of what."""

    kind: str  # num, var, const, add, mul, div, pow, neg, call, fact, deg, matrix, det, row, big
    parts: tuple["Node", ...] = ()
    value: Fraction = Fraction(0)  # of num
    name: str = ""  # of var, const, call and big; of num the number of digits after the point, if there is one


INFINITE = Node("const", name="inf")
PI = Node("const", name="pi")


def number(value: Fraction | int) -> Node:
    """Return a number as an expression."""
    return Node("num", value=Fraction(value))


def negative(node: Node) -> Node:
    """Return an expression with the other sign."""
    return Node("neg", (node,))


def difference(left: Node, right: Node) -> Node:
    """Return left - right."""
    return Node("add", (left, negative(right)))


def free_variables(node: Node) -> frozenset[str]:
    """Return the names of the variables of an expression."""
    if node.kind == "var":
        return frozenset({node.name})
    found = frozenset[str]().union(*(free_variables(part) for part in node.parts))
    return found - {node.name.partition(" ")[2]} if node.kind == "big" else found


def kinds_of(node: Node) -> frozenset[str]:
    """Return the kinds of nodes, and the names of functions and constants, in an expression."""
    own = {node.kind, node.name} if node.kind in {"call", "const"} else {node.kind}
    return frozenset(own).union(*(kinds_of(part) for part in node.parts))
