"""What a parameter decides, said where the parameter is declared, and nowhere else.

    n: Annotated[int, Decides("samples")] = 16
    max_tokens_budget: Annotated[int | None, Harmless] = None

The fingerprints of the journal, the check of changed parameters and the validation during training read it from
there. Options of engines and rewards are declared in the same way, in the signature of what takes them; one that is
not declared, as of an engine of a user's own, decides.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, get_type_hints

Stage = Literal["questions", "prompts", "samples", "verdicts", "training_set", "policy", "evaluation"]
OF_BASELINE: tuple[Stage, ...] = ("questions", "prompts", "verdicts", "evaluation")  # what iteration 0 is made of


class Decides:
    """In a type annotation: the parameter changes what these stages make of the same input.

    A stage that only reads what another one made follows by itself: `prompt.template` decides prompts, and what is
    sampled from them follows.
    """

    def __init__(self, *stages: Stage) -> None:
        """Name the stages."""
        self.stages = frozenset(stages)


Harmless = Decides()  # it says how fast, how dear, where or how loud, and changes no result


class Declared(NamedTuple):
    """A parameter and what was said of it."""

    name: str  # dotted, below its group
    value: Any
    decides: Decides | None  # None: nothing was said


def deciding(group: Any, *stages: Stage) -> dict[str, Any]:
    """Return the parameters that decide over one of these stages, by dotted name.

    Args:
        group: A group of parameters, or all of them.
        stages: None is any stage.
    """
    wanted = frozenset(stages)
    return {
        parameter.name: parameter.value
        for parameter in declared(group)
        if parameter.decides and (parameter.decides.stages & wanted if wanted else parameter.decides.stages)
    }


def declared(group: Any, prefix: str = "") -> Iterator[Declared]:
    """Yield every parameter of a group and of the groups inside it; a group that is not set has none."""
    kind: Any = type(group)
    stages_of = declarations(kind)
    for field in fields(group):
        name, value = f"{prefix}{field.name}", getattr(group, field.name)
        inside = {f"{name}.{key}": of for key, of in value.items()} if isinstance(value, Mapping) else {name: value}
        groups = {path: of for path, of in inside.items() if is_dataclass(of)}
        if stages_of[field.name] is not None or not (groups or not value):
            yield Declared(name, value, stages_of[field.name])
        for path, of in groups.items():
            yield from declared(of, f"{path}.")


@cache
def declarations(kind: type) -> dict[str, Decides | None]:
    """Return what the fields of a group were declared to decide; None for those whose parameters say it themselves."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _note_of(hints[field.name]) for field in fields(kind)}


def deciding_options(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that decide what comes of a function, but those that only repeat its defaults."""
    known_stages, known = option_declarations(function), inspect.signature(function).parameters
    return {
        name: value
        for name, value in options.items()
        if not (name in known and known[name].default == value)
        and (name not in known_stages or known_stages[name].stages)
    }


def option_declarations(function: Callable[..., Any]) -> dict[str, Decides]:
    """Return what the options of a function, or of a class, were declared to decide; those of which something was."""
    target: Any = inspect.getattr_static(function, "__init__") if isinstance(function, type) else function
    try:
        hints = get_type_hints(target, include_extras=True)
    except NameError:  # a user's own, with types that are imported for type checkers only; so all that it takes decides
        return {}
    return {name: declared for name, hint in hints.items() if (declared := _note_of(hint)) is not None}


def _note_of(hint: Any) -> Decides | None:
    return next((note for note in getattr(hint, "__metadata__", ()) if isinstance(note, Decides)), None)
