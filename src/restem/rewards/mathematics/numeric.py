r"""What an expression is worth: exactly where it is rational, else to as many digits as could hide a difference.

Rational numbers and rational functions are compared with exact fractions. Everything else is evaluated with as many
digits as the text could make two different values agree to: 60, and twice the digits of all its numbers with their
powers written out. A difference of two closed forms that is not 0 is not smaller than that for the forms people write.
Source: the uniformity conjecture, Richardson 2000, https://doi.org/10.1007/978-3-0348-8270-5_1; it fails only for forms
that are made to fail it. What would take more than 20,000 digits is not taken for equal.

A value is the real one where all its steps are real, with real odd roots of negative numbers; else the principal
complex one. Division by 0, log 0 and infinities are no values.
"""

from collections.abc import Callable, Mapping
from typing import Any

from restem.rewards.mathematics.exact import TooLargeError, UndefinedError, exact
from restem.rewards.mathematics.nodes import INFINITE, PI, Node, number

_MOST_TERMS = 3000  # of a sum that is added up
_SLACK = 3  # of four digits must agree
_MOST_ARGUMENT = 10**6  # of a factorial
_ODD_ROOTS = range(3, 30, 2)
_SQUARE = 2


class NotRealError(ValueError):
    """A step of an evaluation leaves the real numbers."""


Point = Mapping[str, Any]


def agree(left: Any, right: Any, digits: int) -> bool:
    """Return whether two values agree to three of four digits."""
    from mpmath import mp

    size = max(1, abs(left), abs(right))
    return bool(abs(left - right) <= size * mp.mpf(10) ** -(digits * _SLACK // 4))


def evaluate(node: Node, at: Point, *, is_real: bool) -> Any:
    """Return the value of an expression with the precision that mpmath is set to.

    Raises:
        UndefinedError: If there is none.
        NotRealError: If it must be real and is not.
    """
    from mpmath import mp

    if node.kind == "num":
        return mp.mpf(node.value.numerator) / node.value.denominator
    if node.kind == "var":
        return at[node.name]
    if node.kind == "const":
        return _constant(node.name, is_real=is_real)
    if node.kind == "big":
        return _series(node, at, is_real=is_real)
    if node.kind == "deg":
        raise UndefinedError  # only an angle has a value
    if node.kind == "call" and node.name in _TRIGONOMETRIC:
        return _trigonometric(node, at, is_real=is_real)
    values = [evaluate(part, at, is_real=is_real) for part in node.parts]
    name = node.name if node.kind == "call" else node.kind
    if name == "pow":
        value = _power(*values, is_real=is_real)
    elif name == "sqrt":
        value = _root(*values, is_real=is_real)
    elif name in _NUMERIC:
        value = _NUMERIC[name](*values)
    else:
        raise UndefinedError
    if is_real and isinstance(value, mp.mpc):
        raise NotRealError
    if not mp.isfinite(value):
        raise UndefinedError
    return value


def _constant(name: str, *, is_real: bool) -> Any:
    from mpmath import mp

    if name == "inf":
        raise UndefinedError
    if name == "i":
        if is_real:
            raise NotRealError
        return mp.mpc(0, 1)
    return +mp.pi if name == "pi" else +mp.e


def _not_zero(value: Any) -> Any:
    from mpmath import mp

    if abs(value) < mp.mpf(10) ** -(mp.dps * _SLACK // 4):
        raise UndefinedError
    return value


def _power(base: Any, exponent: Any, *, is_real: bool) -> Any:
    """Return a power: 0 to nothing but a positive power, and of a negative number the real odd root if all is real."""
    from mpmath import mp

    is_whole = mp.isint(exponent) if not isinstance(exponent, mp.mpc) else False
    if is_whole:
        return (_not_zero(base) if exponent <= 0 else base) ** int(exponent)
    if abs(base) < mp.mpf(10) ** -(mp.dps * _SLACK // 4):
        if mp.re(exponent) > 0:
            return mp.mpf(0)
        raise UndefinedError
    if is_real and base < 0 and (odd := _odd_root(exponent)):
        above, below = odd
        return (-1) ** above * mp.power(-base, mp.mpf(above) / below)
    return mp.power(base, exponent)


def _odd_root(exponent: Any) -> tuple[int, int] | None:
    """Return the exponent as a fraction with a small odd denominator, if it is one."""
    from mpmath import mp

    for below in _ODD_ROOTS:
        above = mp.nint(exponent * below)
        if abs(exponent * below - above) < mp.mpf(10) ** -(mp.dps * _SLACK // 4):
            return int(above), below
    return None


def _root(value: Any, index: Any = 2, *, is_real: bool) -> Any:
    from mpmath import mp

    return mp.sqrt(value) if index == _SQUARE else _power(value, 1 / _not_zero(index), is_real=is_real)


def _logarithm(value: Any, base: Any = None) -> Any:
    from mpmath import mp

    found = mp.log(_not_zero(value))
    return found if base is None else found / _not_zero(mp.log(_not_zero(base)))


def _gamma(value: Any) -> Any:
    from mpmath import mp

    if abs(value) > _MOST_ARGUMENT:
        raise TooLargeError
    if mp.isint(value) and mp.re(value) < 0:
        raise UndefinedError
    return mp.gamma(value + 1)


def _whole_call(name: str) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        from mpmath import mp

        if not all(isinstance(value, mp.mpf) for value in values):
            raise NotRealError
        if name in {"max", "min"}:
            return max(values) if name == "max" else min(values)
        nearest = mp.nint(values[0])
        if abs(values[0] - nearest) < mp.mpf(10) ** -(mp.dps * _SLACK // 4):
            return nearest
        return mp.floor(values[0]) if name == "floor" else mp.ceil(values[0])

    return call


def _mp(name: str) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        from mpmath import mp

        return getattr(mp, name)(*values)

    return call


def _binomial(top: Any, below: Any) -> Any:
    from mpmath import mp

    if max(abs(top), abs(below)) > _MOST_ARGUMENT:
        raise TooLargeError
    return mp.binomial(top, below)


_NUMERIC: dict[str, Callable[..., Any]] = {
    "add": lambda left, right: left + right, "mul": lambda left, right: left * right,
    "div": lambda left, right: left / _not_zero(right), "neg": lambda value: -value,
    "fact": _gamma, "abs": abs, "ln": _logarithm, "exp": _mp("exp"), "binom": _binomial,
    "log": lambda value, base=10: _logarithm(value, base), "arcsin": _mp("asin"), "arccos": _mp("acos"),
    "arctan": _mp("atan"), "sinh": _mp("sinh"), "cosh": _mp("cosh"), "tanh": _mp("tanh"),
    **{name: _whole_call(name) for name in ("max", "min", "floor", "ceil")},
}  # fmt: skip
_TRIGONOMETRIC = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})


def _trigonometric(node: Node, at: Point, *, is_real: bool) -> Any:
    from mpmath import mp

    value = evaluate(_in_radians(node.parts[0]), at, is_real=is_real)
    sine, cosine = mp.sin(value), mp.cos(value)
    if node.name in {"sin", "cos"}:
        return sine if node.name == "sin" else cosine
    if node.name in {"tan", "sec"}:
        return (sine if node.name == "tan" else 1) / _not_zero(cosine)
    return (cosine if node.name == "cot" else 1) / _not_zero(sine)


def _in_radians(node: Node) -> Node:
    if node.kind == "deg":
        factor = Node("div", (PI, number(180)))
        return Node("mul", (node.parts[0], factor))
    return node._replace(parts=tuple(_in_radians(part) for part in node.parts)) if node.parts else node


def _series(node: Node, at: Point, *, is_real: bool) -> Any:
    from mpmath import mp

    kind, _, letter = node.name.partition(" ")
    low, high, body = node.parts
    start, end = exact(low), exact(high)
    if start is None or start.denominator != 1 or at:
        raise UndefinedError

    def term(index: Any) -> Any:
        return evaluate(body, {letter: mp.mpf(index)}, is_real=is_real)

    if high == INFINITE and kind == "sum":
        return _infinite(term, int(start))
    if end is None or end.denominator != 1 or not 0 <= end - start < _MOST_TERMS:
        raise UndefinedError
    terms = [term(index) for index in range(int(start), int(end) + 1)]
    return mp.fsum(terms) if kind == "sum" else mp.fprod(terms)


def _infinite(term: Callable[[Any], Any], start: int) -> Any:
    """Return an infinite sum, if two ways of adding it up agree."""
    from mpmath import mp

    found = mp.nsum(term, [start, mp.inf])
    again = mp.nsum(term, [start + 3, mp.inf]) + mp.fsum(term(index) for index in range(start, start + 3))
    if not mp.isfinite(found) or abs(found - again) > mp.mpf(10) ** -(mp.dps * _SLACK // 4):
        raise UndefinedError
    return found
