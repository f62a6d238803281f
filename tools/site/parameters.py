"""The reference of parameters, read from where they are declared: src/restem/parameters/."""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter

from restem.parameters import Parameters
from restem.parameters.decides import Decides
from restem.parameters.ranges import Unit
from restem.parameters.sources import FileOptions, HubOptions
from tools.site.comments import comments_of

BASE = Path(__file__).parents[2] / "conf/base/parameters.yml"
HEADER = ["parameter", "what it is", "default", "type", "unit", "range", "source", "decides"]
NO_UNIT = "none"
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
_LOWEST = {"ge": "{:,}", "minimum": "{:,}", "gt": "above {:,}", "exclusiveMinimum": "above {:,}"}
_HIGHEST = {"le": "{:,}", "maximum": "{:,}", "lt": "below {:,}", "exclusiveMaximum": "below {:,}"}
_OF_ENVIRONMENT = "the name of the environment"  # which conf/base/parameters.yml works out
_MISSING = "none: it has to be given"
OPTIONS = "questions.options."
SOURCES = {"questions.options, of the source file": FileOptions, "questions.options, of the source hub": HubOptions}
OF_OPTIONS = Decides("questions")


class Row(NamedTuple):
    """A parameter; each field is what the table has of it."""

    name: str  # dotted, as typed
    type: str
    unit: str  # a dash for what is no number
    range: str
    default: str
    source: str  # paper or ours
    decides: str  # the stages whose result it changes
    meaning: str


def parameter_tables() -> str:
    """Return a section with a table for each group of parameters, and for the options of sources that read any data."""
    groups = {group: (_said_of(group), rows) for group, rows in by_group().items()}
    for name, kind in SOURCES.items():
        groups[name] = inspect.cleandoc(kind.__doc__ or ""), [*rows_of(kind, OPTIONS)]
    return "\n\n".join(_section(name, *of) for name, of in groups.items())


def by_group() -> dict[str, list[Row]]:
    """Return every parameter by the group that it is in; those in none are in the group "experiment"."""
    groups: dict[str, list[Row]] = {}
    for row in rows_of(Parameters, given=yaml.safe_load(BASE.read_text(encoding="utf-8"))):
        group = row.name.partition(".")[0]
        groups.setdefault("experiment" if "." not in row.name else group, []).append(row)
    return groups


def rows_of(kind: type, prefix: str = "", given: Mapping[str, Any] | None = None) -> Iterator[Row]:
    """Yield the parameters of a group and of the groups inside it.

    Args:
        kind: The dataclass.
        prefix: The path of the group, with a dot behind it.
        given: The values of conf/base/parameters.yml for it.
    """
    hints, said = get_type_hints(kind, include_extras=True), comments_of(kind)
    for field in fields(kind):
        name, value = f"{prefix}{field.name}", (given or {}).get(field.name)
        group, repeats = _group_in(hints[field.name])
        if group is kind:
            continue  # prompt.of_suite holds prompts again
        if group is not None:
            value = value if isinstance(value, Mapping) else None
            yield from rows_of(group, f"{name}.{'SUITE.' if repeats else ''}", value)
        else:
            written = given is not None and field.name in given
            yield _row(name, hints[field.name], value if written else _default(field), said[field.name])


def _row(name: str, hint: Any, default: Any, said: str) -> Row:
    schema = TypeAdapter(hint).json_schema()
    of = _parts(schema)
    units = [str(note) for note in _notes(hint) if isinstance(note, Unit)]
    is_number = any(part.get("type") in ("integer", "number") for part in of)
    (stages,) = {note.stages for note in _notes(hint) if isinstance(note, Decides)} or {OF_OPTIONS.stages}
    return Row(
        name=name,
        type=" or ".join(dict.fromkeys(_type(part) for part in of)),
        unit=units[-1] if units else "" if is_number else NO_UNIT,
        range=", or ".join(dict.fromkeys(_range(part) for part in of)),
        default=default if default == _MISSING else _as_yaml(default),
        source="paper" if "paper" in said.lower() else "ours",
        decides=", ".join(sorted(stages)) or "no result",
        meaning=said[:1].upper() + said[1:],
    )


def _parts(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a value may be, one schema each."""
    return [part for one in schema.get("anyOf", [schema]) for part in ([one] if one is schema else _parts(one))]


def _type(schema: Mapping[str, Any]) -> str:
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object" or "$ref" in schema:
        return "mapping"
    return _TYPES[schema["type"]] if "type" in schema else "any"


def _range(schema: Mapping[str, Any]) -> str:
    """Return which values there are."""
    if schema.get("type") == "array":
        return f"each: {_range(schema['items'])}"
    if schema.get("type") == "null":
        return "null"
    if schema.get("type") == "boolean":
        return "true, false"
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "pattern" in schema:
        return f"matches `{schema['pattern']}`"
    ends = [form.format(schema[key]) for forms in (_LOWEST, _HIGHEST) for key, form in forms.items() if key in schema]
    return " to ".join(ends) or ("not empty" if schema.get("minLength") else "any")


def _as_yaml(value: Any) -> str:
    if isinstance(value, str) and "${" in value:
        return _OF_ENVIRONMENT
    return value if isinstance(value, str) and value.strip() and value.isprintable() else json.dumps(value)


def _default(field: Field[Any]) -> Any:
    """Return the default of a field; pydantic's own Field may stand in its place."""
    value: Any = field
    while hasattr(value, "default_factory"):
        value = value.default_factory() if callable(value.default_factory) else value.default
    return _MISSING if value is MISSING else value


def _notes(hint: Any) -> Iterator[Any]:
    """Yield what is noted in a type, innermost first."""
    if get_origin(hint) is Annotated:
        yield from _notes(get_args(hint)[0])
        yield from hint.__metadata__
    else:
        for inside in get_args(hint):
            yield from _notes(inside)


def _group_in(hint: Any) -> tuple[type | None, bool]:
    """Return the group of parameters that a field holds, and whether it holds several, by name."""
    found = [kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind)]
    return (found[0] if found else None), get_origin(hint) is dict


def _said_of(group: str) -> str:
    kind = get_type_hints(Parameters).get(group)
    return inspect.cleandoc(kind.__doc__ or "") if isinstance(kind, type) and is_dataclass(kind) else "In no group."


def _section(group: str, said: str, rows: list[Row]) -> str:
    lines = [
        f"| {' | '.join(HEADER)} |",
        f"|{'---|' * len(HEADER)}",
        *(_line(row, has_place=group not in SOURCES) for row in rows),
    ]
    return f"## {group}\n\n{said}\n\n" + "\n".join(lines)


def _line(row: Row, *, has_place: bool) -> str:
    name = f'<span id="{row.name}">`{row.name}`</span>' if has_place else f"`{row.name}`"
    cells = [name, row.meaning, f"`{row.default}`", row.type, row.unit, row.range, row.source, row.decides]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
