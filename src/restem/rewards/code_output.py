"""Whether a program printed what was asked for."""

import math
import re
from typing import Any

_ABSOLUTE = 1e-3  # of a tolerance for decimals; Source: numpy.allclose, rtol 1e-5 and atol 1e-8
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_TOKENS = re.compile(r"(\s+)")


def same_output(printed: str, expected: str, tolerance: float = 0.0, *, decimals_only: bool = False) -> bool:
    """Return whether two outputs are the same but for space at the ends of lines and empty lines at the end.

    Args:
        printed: By the program.
        expected: By the test.
        tolerance: Largest relative or absolute difference of numbers that stand at the same place of the same line.
        decimals_only: Whole numbers, as they are expected, are exact; the absolute difference is a thousandth of it.
    """
    lines, wanted = _lines(printed), _lines(expected)
    if lines == wanted or not tolerance or len(lines) != len(wanted):
        return lines == wanted
    absolute = tolerance * _ABSOLUTE if decimals_only else tolerance
    for line, wanted_line in zip(lines, wanted, strict=True):
        parts, wanted_parts = _TOKENS.split(line), _TOKENS.split(wanted_line)
        if len(parts) != len(wanted_parts):
            return False
        for part, other in zip(parts, wanted_parts, strict=True):
            is_exact = decimals_only and other.lstrip("+-").isdecimal()
            if part != other and (is_exact or not _close(part, other, tolerance, absolute)):
                return False
    return True


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.replace("\r\n", "\n").rstrip().split("\n")]


def _close(word: str, other: str, relative: float, absolute: float) -> bool:
    if not (_NUMBER.fullmatch(word) and _NUMBER.fullmatch(other)):  # float() reads 1_0, nan and infinity too
        return False
    left, right = float(word), float(other)
    return (
        math.isfinite(left) and math.isfinite(right) and math.isclose(left, right, rel_tol=relative, abs_tol=absolute)
    )


def is_tolerance(value: Any) -> bool:
    """Return whether a value can be a tolerance."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value < math.inf
