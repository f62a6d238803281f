r"""Sets of real numbers: unions of intervals and points, and inequalities as the sets that they describe."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from restem.rewards.mathematics.equality import compare, infinity_sign, linear_root, same_expression
from restem.rewards.mathematics.grammar import parse
from restem.rewards.mathematics.nodes import (
    INFINITE,
    Node,
    UnparseableError,
    difference,
    free_variables,
    negative,
    number,
)


class Interval(NamedTuple):
    """From low to high; a point is closed and has both ends the same."""

    low: Node
    high: Node
    has_low: bool
    has_high: bool


class RealSet(NamedTuple):
    """What numbers a letter, or something that has a name, may be."""

    intervals: tuple[Interval, ...]  # apart from each other, in order
    name: str = ""


_MINUS_INFINITE = negative(INFINITE)
REALS = Interval(_MINUS_INFINITE, INFINITE, has_low=False, has_high=False)
_MOST = 40  # intervals
_TURNED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne", "=": "="}


def interval(brackets: str, low: Node, high: Node) -> Interval | None:
    """Return the interval that brackets as "[)" describe; None if it is none or holds nothing."""
    found = Interval(low, high, has_low=brackets[0] == "[", has_high=brackets[1] == "]")
    if (found.has_low and infinity_sign(low)) or (found.has_high and infinity_sign(high)):
        return None
    return found if compare(low, high) == -1 else None


def union(intervals: Sequence[Interval], name: str = "") -> RealSet | None:
    """Return the union with what touches made one; None if ends cannot be ordered."""
    left = list(intervals)
    if len(left) > _MOST:
        return None
    ordered: list[Interval] = []
    for one in left:
        place = 0
        while place < len(ordered) and (order := _order(ordered[place], one)) != 1:
            if order is None:
                return None
            place += 1
        ordered.insert(place, one)
    merged: list[Interval] = []
    for one in ordered:
        joined = _joined(merged[-1], one) if merged else None
        if joined is None:
            merged.append(one)
        else:
            merged[-1] = joined
    return RealSet(tuple(merged), name)


def _order(one: Interval, other: Interval) -> int | None:
    found = compare(one.low, other.low)
    return found if found else None if found is None else int(other.has_low) - int(one.has_low)


def _joined(left: Interval, right: Interval) -> Interval | None:
    """Return two intervals, the left one beginning first, as one; None if there is a gap."""
    gap = compare(left.high, right.low)
    if gap is None or gap < 0 or (gap == 0 and not (left.has_high or right.has_low)):
        return None
    end = compare(left.high, right.high)
    if end == 0:
        return left._replace(has_high=left.has_high or right.has_high)
    return left if end == 1 else left._replace(high=right.high, has_high=right.has_high)


def intersection(one: RealSet, other: RealSet) -> RealSet | None:
    """Return what is in both."""
    found = []
    for left in one.intervals:
        for right in other.intervals:
            low, high = compare(left.low, right.low), compare(left.high, right.high)
            if low is None or high is None:
                return None
            start = (left.low, left.has_low and (low > 0 or right.has_low)) if low >= 0 else (right.low, right.has_low)
            end = (
                (left.high, left.has_high and (high < 0 or right.has_high))
                if high <= 0
                else (right.high, right.has_high)
            )
            order = compare(start[0], end[0])
            if order is None:
                return None
            if order < 0 or (order == 0 and start[1] and end[1]):
                found.append(Interval(start[0], end[0], has_low=start[1], has_high=end[1]))
    return union(found, one.name)


def combined(mark: str, sets: Sequence[RealSet], name: str) -> RealSet | None:
    r"""Return a union, an intersection, or a difference (of points), as \cup, \cap and \backslash say."""
    found: RealSet | None = sets[0]._replace(name=name)
    for other in sets[1:]:
        if found is None:
            return None
        if mark == "\\cup":
            found = union(found.intervals + other.intervals, name)
        elif mark == "\\cap":
            found = intersection(found, other)
        else:
            points = [one.low for one in other.intervals if one.low == one.high]
            cut = without(points) if len(points) == len(other.intervals) else None
            found = None if cut is None else intersection(found, cut)
    return found


def without(points: Sequence[Node], name: str = "") -> RealSet | None:
    """Return all real numbers but some points."""
    found = RealSet((REALS,), name)
    for point in points:
        sides = (
            Interval(_MINUS_INFINITE, point, has_low=False, has_high=False),
            Interval(point, INFINITE, has_low=False, has_high=False),
        )
        cut = intersection(found, RealSet(sides, name))
        if cut is None:
            return None
        found = cut
    return found


def point(node: Node) -> Interval:
    """Return a single number as an interval."""
    return Interval(node, node, has_low=True, has_high=True)


def of_relation(left: str, operator: str, right: str) -> RealSet | None:
    r"""Return what an inequality in one letter, or in one thing with a name, allows; None if it is no such thing.

    Args:
        left: A tidied expression.
        operator: One of < > \\le \\ge \\ne =.
        right: A tidied expression.
    """
    for one, sign, other in ((left, operator, right), (right, _TURNED[operator], left)):
        if (name := name_of(one)) and (end := _constant(other)) is not None:
            return _half_line(end, sign, name)
        if (inside := _inside_bars(one)) and (end := _constant(other)) is not None:
            return _of_absolute(inside, sign, end)
    try:
        gap = difference(parse(left), parse(right))
    except UnparseableError:
        return None
    names = free_variables(gap)
    if len(names) != 1:
        return None
    name = next(iter(names))
    root = linear_root(gap, name)
    return None if root is None else _half_line(root[0], operator if root[1] > 0 else _TURNED[operator], name)


def of_chain(sides: Sequence[str], signs: Sequence[str]) -> RealSet | None:
    """Return what a chain as 0 < x < 1 allows; None if it is not about one thing."""
    found: RealSet | None = None
    for left, sign, right in zip(sides, signs, sides[1:], strict=False):
        one = of_relation(left, sign, right)
        if one is None or (found is not None and found.name != one.name):
            return None
        found = one if found is None else intersection(found, one)
        if found is None:
            return None
    return found


def _half_line(end: Node, operator: str, name: str) -> RealSet | None:
    if operator == "\\ne":
        return without([end], name)
    if operator == "=":
        return RealSet((point(end),), name)
    if operator in {"<", "\\le"}:
        one = Interval(_MINUS_INFINITE, end, has_low=False, has_high=operator == "\\le" and not infinity_sign(end))
    else:
        one = Interval(end, INFINITE, has_low=operator == "\\ge" and not infinity_sign(end), has_high=False)
    return RealSet((one,) if compare(one.low, one.high) == -1 else (), name)


def _inside_bars(text: str) -> str | None:
    match = re.fullmatch(r"\| ?([A-Za-z]) ?\|", text)
    return match[1] if match else None


def _of_absolute(name: str, operator: str, end: Node) -> RealSet | None:
    """Return what |x| < 3 and its like allow."""
    sign = compare(end, number(0))
    if sign != 1:
        return None
    minus = negative(end)
    closed = operator in {"\\le", "\\ge"}
    if operator in {"<", "\\le"}:
        return RealSet((Interval(minus, end, has_low=closed, has_high=closed),), name)
    if operator in {">", "\\ge"}:
        outer = (Interval(_MINUS_INFINITE, minus, False, closed), Interval(end, INFINITE, closed, False))
        return RealSet(outer, name)
    return without([minus, end], name) if operator == "\\ne" else RealSet((point(minus), point(end)), name)


def _constant(text: str) -> Node | None:
    try:
        node = parse(text)
    except UnparseableError:
        return None
    if free_variables(node) or compare(node, node) is None:
        return None
    return node


_NAME = re.compile(
    r"(?:[A-Za-z]|\\[a-z]+)(?:_ ?(?:\w|\{\w{1,6}\}))?'*(?: ?\( ?[A-Za-z] ?\))?|[A-Z]{2}|\| ?[A-Z]{2} ?\|"
    r"|\\angle [A-Z]{1,3}"
)
_NO_NAMES = frozenset({"e", "i", "\\pi", "\\infty", "\\emptyset"})


def name_of(text: str) -> str:
    """Return a text without spaces if it names one quantity, as x, x_1, f(x) or AB; else an empty one."""
    text = text.strip()
    plain = re.sub(r"[ {}]", "", text)
    return plain if _NAME.fullmatch(text) and plain not in _NO_NAMES else ""


def same_set(one: RealSet, other: RealSet) -> bool:
    """Return whether two sets hold the same numbers, and name the same thing where both name one."""
    if one.name and other.name and one.name != other.name:
        return False
    return len(one.intervals) == len(other.intervals) and all(
        left[2:] == right[2:] and same_expression(left.low, right.low) and same_expression(left.high, right.high)
        for left, right in zip(one.intervals, other.intervals, strict=True)
    )
