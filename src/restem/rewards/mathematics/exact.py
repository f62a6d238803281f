"""The value of a rational expression, as an exact fraction."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from restem.rewards.mathematics.nodes import Node

_MOST_BITS = 400_000  # of a number
_MOST_FACTORS = 3000  # of a factorial


class UndefinedError(ValueError):
    """An expression has no value."""


class TooLargeError(ValueError):
    """A value would take too long."""


def exact(node: Node, at: Mapping[str, Fraction] | None = None) -> Fraction | None:
    """Return the exact value of a rational expression at a rational point, or None if it is not rational.

    Raises:
        UndefinedError: If it divides by 0.
        TooLargeError: If it has too many digits.
    """
    if node.kind == "num":
        return node.value
    if node.kind == "var":
        return None if at is None else at.get(node.name)
    if node.kind not in _EXACT and node.kind != "call":
        return None
    values = []
    for part in node.parts:
        value = exact(part, at)
        if value is None:
            return None
        values.append(value)
    if node.kind == "call":
        return _exact_call(node.name, values)
    found = _EXACT[node.kind](*values)
    if found is not None and found.numerator.bit_length() + found.denominator.bit_length() > _MOST_BITS:
        raise TooLargeError
    return found


def _exact_quotient(above: Fraction, below: Fraction) -> Fraction:
    if below == 0:
        raise UndefinedError
    return above / below


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction | None:
    if exponent.denominator != 1:
        return None
    if base == 0 and exponent <= 0:
        raise UndefinedError
    bits = base.numerator.bit_length() + base.denominator.bit_length()
    if base not in (0, 1, -1) and bits * abs(exponent.numerator) > _MOST_BITS:
        raise TooLargeError
    return base ** (exponent.numerator if base not in (1, -1) else exponent.numerator % 2)


def _exact_factorial(value: Fraction) -> Fraction | None:
    if value.denominator != 1 or value < 0:
        return None
    if value > _MOST_FACTORS:
        raise TooLargeError
    return Fraction(math.factorial(value.numerator))


_EXACT: dict[str, Callable[..., Fraction | None]] = {
    "add": lambda left, right: left + right,
    "mul": lambda left, right: left * right,
    "div": _exact_quotient,
    "neg": lambda value: -value,
    "pow": _exact_power,
    "fact": _exact_factorial,
}


_EXACT_CALLS: dict[str, Callable[[list[Fraction]], Fraction]] = {
    "abs": lambda values: abs(values[0]),
    "max": max,
    "min": min,
    "floor": lambda values: Fraction(math.floor(values[0])),
    "ceil": lambda values: Fraction(math.ceil(values[0])),
}


def _exact_call(name: str, values: list[Fraction]) -> Fraction | None:
    if name in _EXACT_CALLS:
        return _EXACT_CALLS[name](values)
    whole = [value.numerator for value in values if value.denominator == 1]
    if len(whole) < len(values) or name not in {"gcd", "lcm", "binom"}:
        return None
    if name == "binom":
        top, below = whole
        if not 0 <= below <= top:
            return None
        if top > _MOST_FACTORS:
            raise TooLargeError
        return Fraction(math.comb(top, below))
    return Fraction(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))
