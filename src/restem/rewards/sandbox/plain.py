"""Plain data, as it travels between a program and its tests.

Numbers, texts, bytes, None, the types of these, and lists, tuples, sets, dicts, ranges and iterators of them.
Subclasses arrive as the plain type, so that no method of a program's own runs where verdicts are made. JSON carries it:
a scalar is itself, everything else is a list that begins with a tag.

An iterator arrives as an iterator over what it gave, of which there may be 100,000 at most.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from itertools import islice
from typing import Any

MOST_ITEMS = 100_000  # of an iterator
_DEEPEST = 100
_LARGEST = 1 << 1024  # beyond, digits take quadratic time: such integers travel in base 16
_LONGEST_DECIMAL = 1000  # digits, and size of the exponent
_UNCHANGED = frozenset({type(None), bool, str, float})


class NotPlainError(Exception):
    """A value that is not plain data, too deep, or not what a message may hold."""


def encode(value: Any, depth: int = 0) -> Any:
    """Return the value as JSON can carry it.

    Raises:
        NotPlainError: If it is not plain data, nested deeper than 100, or an iterator without end.
    """
    kind = type(value)
    if kind in _UNCHANGED or (kind is int and -_LARGEST < value < _LARGEST):
        return value
    if depth >= _DEEPEST:
        raise NotPlainError(f"nested deeper than {_DEEPEST}")
    if isinstance(value, (list, tuple)):
        return [_sequence_tag(value), *_encode_all(list(value), depth)]
    if isinstance(value, (dict, Mapping)):
        return ["d", *_encode_all([part for item in dict(value).items() for part in item], depth)]
    return _encode_rare(value, depth)


def _encode_rare(value: Any, depth: int) -> Any:
    for base, tag, convert in (*_BY_BASE, *_of_modules()):
        if isinstance(value, base):
            return [tag, *convert(value)] if tag else encode(convert(value), depth)
    for base, tag in _COLLECTIONS:
        if isinstance(value, base):
            return [tag, *_encode_all(_listed(value), depth)]
    if type(value) is type and value in _TYPES.values():
        return ["y", value.__name__]
    raise NotPlainError(f"{type(value).__name__} is not plain data")


def _of_modules() -> Iterator[tuple[type, str, Callable[[Any], Any]]]:
    """Yield the number classes of modules that are loaded; there is no value of others."""
    for module, name, tag, convert in _OF_MODULES:
        if module in sys.modules:
            yield getattr(sys.modules[module], name), tag, convert


def _sequence_tag(value: Any) -> str:
    return "l" if isinstance(value, list) else "t"


def _encode_all(values: list[Any], depth: int) -> list[Any]:
    return [item if type(item) in _UNCHANGED else encode(item, depth + 1) for item in values]


def _listed(values: Any) -> list[Any]:
    items = list(islice(values, MOST_ITEMS + 1)) if isinstance(values, Iterator) else list(values)
    if isinstance(values, Iterator) and len(items) > MOST_ITEMS:
        raise NotPlainError(f"an iterator of more than {MOST_ITEMS} items")
    return items


_TYPES = {kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)}
# In this order: bool is an int, a set of keys is a set.
_BY_BASE: list[tuple[type, str, Callable[[Any], Any]]] = [
    (int, "i", lambda value: [hex(int.__index__(value))]),
    (float, "", float.__float__),
    (str, "", str.__str__),
    (complex, "c", lambda value: [value.real, value.imag]),
    (bytes, "b", lambda value: [bytes(value).hex()]),
    (bytearray, "B", lambda value: [bytes(value).hex()]),
    (range, "r", lambda value: [value.start, value.stop, value.step]),
]
_OF_MODULES: list[tuple[str, str, str, Callable[[Any], Any]]] = [
    ("fractions", "Fraction", "q", lambda value: [hex(value.numerator), hex(value.denominator)]),
    ("decimal", "Decimal", "D", lambda value: [str(value)]),
    ("numpy", "generic", "", lambda value: value.item()),  # where the program was given numpy: its numbers, not arrays
]
_COLLECTIONS: list[tuple[type, str]] = [
    (set, "s"),
    (frozenset, "f"),
    (type({}.keys()), "k"),
    (type({}.values()), "v"),
    (type({}.items()), "e"),
    (Set, "s"),
    (Iterator, "n"),
]


def decode(content: Any, depth: int = 0) -> Any:
    """Return the value that a message carries; whatever the message holds, nothing but plain data comes of it.

    Raises:
        NotPlainError: If the message is malformed or nested too deep.
    """
    if not isinstance(content, list):
        if isinstance(content, dict):
            raise NotPlainError("malformed")
        return content
    if depth >= _DEEPEST or not content or not isinstance(content[0], str):
        raise NotPlainError("malformed")
    tag, parts = content[0], content[1:]
    try:
        if tag in _SCALARS:
            return _SCALARS[tag](*parts)
        return _BUILD[tag]([decode(part, depth + 1) if type(part) is list else decode(part) for part in parts])
    except (KeyError, TypeError, ValueError, ArithmeticError, IndexError) as error:  # also of an unhashable key
        raise NotPlainError("malformed") from error


def _pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _integer(text: Any) -> int:
    return int(text, 16)


def _fraction(top: Any, bottom: Any) -> Any:
    from fractions import Fraction

    return Fraction(_integer(top), _integer(bottom))


def _decimal(text: Any) -> Any:
    from decimal import Decimal

    if not isinstance(text, str) or len(text) > _LONGEST_DECIMAL:
        raise NotPlainError("malformed")
    value = Decimal(text)
    # Arithmetic of Decimal with a huge exponent is harmless, but an int of it would fill the memory.
    if value.is_finite() and abs(value.adjusted()) > _LONGEST_DECIMAL:
        raise NotPlainError("a number beyond reason")
    return value


_SCALARS: dict[str, Callable[..., Any]] = {
    "i": _integer,
    "c": complex,
    "b": bytes.fromhex,
    "B": bytearray.fromhex,
    "r": range,
    "q": _fraction,
    "D": _decimal,
    "y": lambda name: _TYPES[name],
}
_BUILD: dict[str, Callable[[list[Any]], Any]] = {
    "l": list,
    "t": tuple,
    "s": set,
    "f": frozenset,
    "d": _pairs,
    "k": lambda parts: dict.fromkeys(parts).keys(),
    "v": lambda parts: dict(enumerate(parts)).values(),
    "e": lambda parts: dict(parts).items(),
    "n": iter,
}


def is_changeable(value: Any) -> bool:
    """Return whether a function that is given the value can change it."""
    if isinstance(value, (list, dict, set, bytearray)):
        return True
    return isinstance(value, tuple) and any(is_changeable(item) for item in value)


def change(old: Any, new: Any) -> None:
    """Make a value that can be changed equal to another, in place; inner values keep their identity where they can."""
    if isinstance(old, list) and isinstance(new, list):
        kept = [_merged(*pair) for pair in zip(old, new, strict=False)]
        old[:] = kept + new[len(kept) :]
    elif isinstance(old, dict) and isinstance(new, dict):
        merged = {key: _merged(old[key], value) if key in old else value for key, value in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for pair in zip(old, new, strict=False):
            change(*pair)


def _merged(old: Any, new: Any) -> Any:
    if type(old) is type(new) and is_changeable(old):
        change(old, new)
        return old
    return new


def same(left: Any, right: Any, tolerance: float = 0.0) -> bool:
    """Return whether two plain values are equal, tuples being lists, and floats within a relative tolerance."""
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(same(*pair, tolerance) for pair in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key], tolerance) for key in left)
    if tolerance and isinstance(left, (int, float)) and isinstance(right, (int, float)):
        try:
            return math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
        except OverflowError:
            return left == right
    return bool(left == right)
