"""Ranges that parameters share, and what is said of a value outside of one.

A range ends where a value stops to mean anything, or what it asks for stops to end. The ends are ours.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError

from restem.parameters.decides import option_declarations

LOWEST_TEMPERATURE = 1e-3  # below it logits divided by it leave the range of the arithmetic
HIGHEST_TEMPERATURE = 1e3
LOWEST_TOP_P = 1e-4


def _is_number(value: object) -> object:
    """Return what is not true or false, which Python would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _is_temperature(value: float) -> float:
    if 0.0 < value < LOWEST_TEMPERATURE:
        raise ValueError(f"must be 0, which is greedy, or from {LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE:g}")
    return value


def _as_day(value: object) -> str:
    """Return a day as text: YAML reads 2024-07-26 without quotes as a date."""
    try:
        return datetime.date.fromisoformat(str(value)).isoformat()
    except ValueError as error:
        raise ValueError("must be a day like 2024-07-26") from error


class Unit(str):
    """In a type annotation: what a number counts or measures. One that is closer to the parameter takes precedence."""


Int = Annotated[int, BeforeValidator(_is_number)]
Float = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_is_number)]

Positive = Annotated[Int, Field(ge=1, le=1_000_000)]
NonNegative = Annotated[Int, Field(ge=0, le=1_000_000)]
Samples = Annotated[
    Int, Field(ge=1, le=100_000), Unit("samples")
]  # of a question; they are in one shard, in memory at once
Seed = Annotated[Int, Field(ge=0, lt=2**32), Unit("seed")]  # numpy takes no larger one
Share = Annotated[Float, Field(ge=0.0, le=1.0), Unit("share")]
PositiveShare = Annotated[Float, Field(ge=1e-6, le=1.0), Unit("share")]
TopP = Annotated[Float, Field(ge=LOWEST_TOP_P, le=1.0), Unit("probability")]
Temperature = Annotated[Float, Field(ge=0.0, le=HIGHEST_TEMPERATURE), AfterValidator(_is_temperature), Unit("logits")]
Seconds = Annotated[Float, Field(ge=0.01, le=1e6), Unit("seconds")]
Pause = Annotated[Float, Field(ge=0.0, le=1e6), Unit("seconds")]
Budgeted = Annotated[Int, Field(ge=1, le=10**15), Unit("tokens or requests")]
Day = Annotated[str, BeforeValidator(_as_day)]
Stop = Annotated[str, StringConstraints(min_length=1)]


def option_problems(function: Callable[..., Any], options: Mapping[str, Any], *, prefix: str) -> list[str]:
    """Return what is wrong with options whose type and range a function declares; others are its own business.

    Args:
        function: What takes them.
        options: By name.
        prefix: Of the path, as sampling.engine_options.
    """
    hints = get_type_hints(function, include_extras=True) if option_declarations(function) else {}
    problems: list[str] = []
    for name in option_declarations(function).keys() & options.keys():
        try:
            TypeAdapter(hints[name]).validate_python(options[name])
        except ValidationError as error:
            problems += explained(error, prefix=f"{prefix}.{name}")
    return sorted(problems)


_RULES = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be greater than"),
    "less_than_equal": ("le", "must be at most"),
    "less_than": ("lt", "must be less than"),
    "literal_error": ("expected", "must be one of"),
    "string_pattern_mismatch": ("pattern", "must match"),
    "string_too_short": ("min_length", "must have characters, at least"),
    "string_too_long": ("max_length", "must have characters, at most"),
    "too_short": ("min_length", "must have entries, at least"),
}


def explained(error: ValidationError, *, prefix: str = "", whole: str = "") -> list[str]:
    """Return what is wrong with values, each by its dotted path.

    Args:
        error: Of pydantic.
        prefix: Of the paths.
        whole: What the values are parts of, if they are no parameters.
    """
    unknown = f"is not a part of {whole}" if whole else "is not a parameter"
    return [_explain(detail, prefix, unknown) for detail in error.errors()]


def _explain(detail: Any, prefix: str, unknown: str) -> str:
    path = ".".join([*filter(None, [prefix]), *(str(part) for part in detail["loc"])])
    if detail["type"] == "unexpected_keyword_argument":
        return f"{path} {unknown}"
    if detail["type"] == "missing":
        return f"{path} is missing"
    if detail["type"] == "value_error":
        return f"{path} {detail['ctx']['error']}, got {detail['input']!r}"
    if detail["type"] == "finite_number":
        return f"{path} must be a finite number, got {detail['input']!r}"
    key, rule = _RULES.get(detail["type"], ("", ""))
    if not rule:
        return f"{path}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {detail['input']!r}"
    return f"{path} {rule} {detail['ctx'][key]:}, got {detail['input']!r}"
