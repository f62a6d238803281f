r"""Whether two expressions are the same: shown exactly, or at random points, or not at all.

Source of the test at points: Schwartz 1980, https://doi.org/10.1145/322217.322225. Points are drawn anew for every
pair of texts, from the texts themselves: no answer can be made for the points at which it will be tried.
"""

import random
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from restem.rewards.mathematics.exact import TooLargeError, UndefinedError, exact
from restem.rewards.mathematics.heights import digits_for
from restem.rewards.mathematics.matrices import has_matrix, matrix_of
from restem.rewards.mathematics.nodes import INFINITE, Node, free_variables, kinds_of, negative, number
from restem.rewards.mathematics.numeric import NotRealError, agree, evaluate

_EXACT_POINTS = 6
_COMPLEX_POINTS = 8
_REAL_POINTS = 24
_FEWEST_POINTS = 6  # at which both sides have a value
_NOT_ANALYTIC = frozenset({"abs", "floor", "ceil", "max", "min", "gcd", "lcm"})
_COMPLEX_NAMES = frozenset({"z", "w"})
_ONE = Node("num", value=Fraction(1))


def same_expression(left: Node, right: Node) -> bool:
    """Return whether two expressions mean the same; False when it cannot be shown.

    Infinity is only itself, and what has no value equals nothing.
    """
    try:
        if is_infinite(left) or is_infinite(right):
            return infinity_sign(left) == infinity_sign(right) != 0
        if has_matrix(left) or has_matrix(right):
            return _same_matrix(left, right)
        names = free_variables(left) | free_variables(right)
        if not names:
            return _same_constant(left, right)
        if left == right:
            return True
        return _same_function(without_degrees(left), without_degrees(right), sorted(names))
    except (UndefinedError, TooLargeError, NotRealError, ArithmeticError, ValueError):
        return False


def is_infinite(node: Node) -> bool:
    """Return whether infinity is a part of an expression."""
    if node.kind == "big":
        return is_infinite(node.parts[0]) or is_infinite(node.parts[2])
    return node == INFINITE or any(is_infinite(part) for part in node.parts)


def infinity_sign(node: Node) -> int:
    """Return 1 or -1 for plus or minus infinity, 0 for all else."""
    if node == INFINITE:
        return 1
    return -infinity_sign(node.parts[0]) if node.kind == "neg" else 0


def without_degrees(node: Node) -> Node:
    r"""Return an expression whose angles in degrees are numbers of degrees, those of sines and the like apart."""
    if node.kind == "deg":
        return without_degrees(node.parts[0])
    if node.kind == "call" and node.name in {"sin", "cos", "tan", "cot", "sec", "csc"}:
        return node
    return node._replace(parts=tuple(without_degrees(part) for part in node.parts)) if node.parts else node


def value_of(node: Node, digits: int) -> Any:
    """Return the value of an expression without variables: real if its steps are, else complex.

    Raises:
        UndefinedError: If it has none.
        TooLargeError: If it would take too long.
    """
    from mpmath import mp

    with mp.workdps(digits):
        try:
            return evaluate(node, {}, is_real=True)
        except NotRealError:
            try:
                return evaluate(node, {}, is_real=False)
            except NotRealError as error:
                raise UndefinedError from error


def is_defined(node: Node) -> bool:
    """Return whether an expression without variables has a value, or is infinity itself."""
    if infinity_sign(node):
        return True
    try:
        if exact(node) is None:
            value_of(node, digits_for(node))
    except UndefinedError:
        return False
    except (TooLargeError, OverflowError, ZeroDivisionError):
        return True  # it can still be met letter by letter
    return True


def compare(left: Node, right: Node) -> int | None:
    """Return the sign of left - right of two real constants, 0 if they are equal; None if it cannot be told."""
    if infinity_sign(left) or infinity_sign(right):
        return (infinity_sign(left) > infinity_sign(right)) - (infinity_sign(left) < infinity_sign(right))
    from mpmath import mp

    try:
        one, other = exact(left), exact(right)
        if one is not None and other is not None:
            return (one > other) - (one < other)
        digits = digits_for(left, right)
        values = value_of(left, digits), value_of(right, digits)
        with mp.workdps(digits):
            if any(isinstance(value, mp.mpc) for value in values):
                return None
            return 0 if agree(*values, digits) else 1 if values[0] > values[1] else -1
    except (UndefinedError, TooLargeError, OverflowError, ZeroDivisionError):
        return None


@lru_cache(maxsize=4096)
def _same_constant(left: Node, right: Node) -> bool:
    from mpmath import mp

    left, right = without_degrees(left), without_degrees(right)
    one, other = exact(left), exact(right)
    if one is not None and other is not None:
        return one == other
    digits = digits_for(left, right)
    values = value_of(left, digits), value_of(right, digits)
    with mp.workdps(digits):
        return agree(*values, digits)


def _same_function(left: Node, right: Node, names: list[str]) -> bool:
    draw = random.Random(f"{left!r} {right!r}")
    if (found := _same_rational(left, right, names, draw)) is not None:
        return found
    kinds = kinds_of(left) | kinds_of(right)
    digits = digits_for(left, right)
    is_analytic = not kinds & _NOT_ANALYTIC
    if is_analytic or _COMPLEX_NAMES & set(names):
        if _agree_everywhere(left, right, _complex_points(names, draw), digits, is_real=False):
            return True
        if "i" in kinds or _COMPLEX_NAMES & set(names):
            return False
    return _agree_everywhere(left, right, _real_points(names, draw), digits, is_real=True)


def _same_rational(left: Node, right: Node, names: list[str], draw: random.Random) -> bool | None:
    """Return whether two rational functions agree exactly at random points; None if they are not rational."""
    agreed = 0
    for _ in range(_EXACT_POINTS * 2):
        at = {name: Fraction(draw.randint(-(10**9), 10**9), draw.randint(1, 10**3)) for name in names}
        try:
            one, other = exact(left, at), exact(right, at)
        except UndefinedError:
            continue
        except TooLargeError:
            return None
        if one is None or other is None:
            return None
        if one != other:
            return False
        agreed += 1
        if agreed == _EXACT_POINTS:
            return True
    return False


def _complex_points(names: list[str], draw: random.Random) -> Iterator[dict[str, Any]]:
    from mpmath import mp

    for _ in range(_COMPLEX_POINTS):
        yield {name: mp.mpc(_real(draw, -3, 3), _real(draw, -3, 3)) for name in names}
    for _ in range(_COMPLEX_POINTS // 2):
        yield {name: _real(draw, -3, 0) for name in names}


def _real_points(names: list[str], draw: random.Random) -> Iterator[dict[str, Any]]:
    for _ in range(_REAL_POINTS):
        low, high = draw.choice(((0, 1), (0, 4), (-4, 4), (1, 40)))
        yield {name: _real(draw, low, high) for name in names}


def _real(draw: random.Random, low: int, high: int) -> Any:
    from mpmath import mp

    return low + (high - low) * mp.mpf(draw.getrandbits(160)) / (1 << 160)


def _agree_everywhere(left: Node, right: Node, points: Iterator[Any], digits: int, *, is_real: bool) -> bool:
    """Return whether two expressions have values at the same points, enough of them, and the same ones."""
    from mpmath import mp

    agreed = 0
    with mp.workdps(digits):
        for at in points:
            values = [_value_at(side, at, is_real=is_real) for side in (left, right)]
            if values[0] is None and values[1] is None:
                continue
            if values[0] is None or values[1] is None or not agree(values[0], values[1], digits):
                return False
            agreed += 1
    return agreed >= _FEWEST_POINTS


def _value_at(node: Node, at: Any, *, is_real: bool) -> Any:
    try:
        return evaluate(node, at, is_real=is_real)
    except (UndefinedError, NotRealError, OverflowError, ZeroDivisionError):
        return None


def _same_matrix(left: Node, right: Node) -> bool:
    one, other = matrix_of(left), matrix_of(right)
    if one is None or other is None or [len(row) for row in one] != [len(row) for row in other]:
        return False
    return all(same_expression(*pair) for rows in zip(one, other, strict=True) for pair in zip(*rows, strict=True))


def proportional(left: Node, right: Node) -> int | None:
    """Return the sign of the constant that right is times left, or None if there is none.

    It is found at one random point, and holds at all others.
    """
    names = sorted(free_variables(left) | free_variables(right))
    if not names or free_variables(left) != free_variables(right):
        return None
    draw = random.Random(f"{left!r} {right!r}")
    at = {name: Fraction(draw.randint(10**6, 10**9), draw.randint(1, 10**3)) for name in names}
    try:
        one, other = exact(left, at), exact(right, at)
        if one and other:
            factor: Node = number(other / one)
            return (1 if other / one > 0 else -1) if same_expression(Node("mul", (factor, left)), right) else None
        if one is not None and other is not None:
            return None
    except (UndefinedError, TooLargeError):
        return None
    return _signed_ratio(left, right, at)


def _signed_ratio(left: Node, right: Node, at: dict[str, Fraction]) -> int | None:
    here = [_substituted(side, at) for side in (left, right)]
    sign = compare(Node("div", (here[1], here[0])), number(0))
    if not sign:
        return None
    same = same_expression(Node("mul", (here[1], left)), Node("mul", (here[0], right)))
    return sign if same else None


def _substituted(node: Node, at: dict[str, Fraction]) -> Node:
    if node.kind == "var" and node.name in at:
        return number(at[node.name])
    return node._replace(parts=tuple(_substituted(part, at) for part in node.parts)) if node.parts else node


def linear_root(node: Node, name: str) -> tuple[Node, int] | None:
    """Return where a linear expression in one letter is 0, and the sign of its slope; None if it is not linear."""
    below = _substituted(node, {name: Fraction(0)})
    slope = Node("add", (_substituted(node, {name: Fraction(1)}), negative(below)))
    line = Node("add", (Node("mul", (slope, Node("var", name=name))), below))
    sign = compare(slope, number(0))
    if not sign or not is_defined(below) or not same_expression(node, line):
        return None
    root = negative(Node("div", (below, slope)))
    value = exact(root)
    return (root if value is None else number(value)), sign
