"""How many digits an expression could hide a difference in, from the numbers and powers that it is written with."""

import math
from fractions import Fraction
from functools import lru_cache

from restem.rewards.mathematics.exact import TooLargeError, exact
from restem.rewards.mathematics.nodes import Node

_DIGITS = 60
_MOST_DIGITS = 20_000
_LARGEST = 1e9  # a bound that is as good as none


@lru_cache(maxsize=2048)
def height(node: Node) -> float:
    """Return about how many digits an expression could hide a difference in.

    Raises:
        TooLargeError: If those are far too many.
    """
    found = _height(node)
    if found > _MOST_DIGITS:
        raise TooLargeError
    return found


def _height(node: Node) -> float:
    if node.kind == "num":
        return (node.value.numerator.bit_length() + node.value.denominator.bit_length()) * 0.302
    parts = [height(part) for part in node.parts]
    if node.kind == "pow":
        return parts[0] + parts[1] + max(parts[0], 1.0) * _size(node.parts[1])
    if node.kind == "fact":
        size = _size(node.parts[0])
        return size * max(1.0, len(str(int(size))))
    if node.kind == "call" and node.name in {"exp", "sinh", "cosh", "tanh"}:
        return parts[0] + _size(node.parts[0])
    if node.kind == "big":
        return sum(parts)
    return sum(parts) + 1.0


def _size(node: Node) -> float:
    """Return a bound of the absolute value of an expression, its variables being small."""
    if node.kind == "num":
        return float(min(abs(node.value), Fraction(int(_LARGEST))))
    parts = [_size(part) for part in node.parts]
    if node.kind == "add":
        return parts[0] + parts[1]
    if node.kind == "mul":
        return min(parts[0] * parts[1], _LARGEST)
    if node.kind == "div":
        return _size_of_quotient(parts[0], node.parts[1])
    if node.kind == "pow":
        base, exponent = max(parts[0], 1.0), parts[1]
        return min(base ** min(exponent, 1.0), _LARGEST) if exponent <= 1 else _exp(exponent * _log(base))
    return _LARGEST if node.kind == "fact" else max([4.0, *parts])


def _size_of_quotient(above: float, below: Node) -> float:
    value = exact(below)
    if value is None:
        return above * 4
    return min(above / float(abs(value)), _LARGEST) if abs(value) * int(_LARGEST) > 1 else _LARGEST


def _log(value: float) -> float:
    return math.log(max(value, 1.0))


def _exp(value: float) -> float:
    return math.exp(value) if value < math.log(_LARGEST) else _LARGEST


def digits_for(*nodes: Node) -> int:
    """Return the digits to evaluate with, so that what agrees is equal."""
    digits = _DIGITS + int(2 * sum(height(node) for node in nodes))
    if digits > _MOST_DIGITS:
        raise TooLargeError
    return digits
