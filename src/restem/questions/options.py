"""The options of the sources file and hub, checked: `questions.options` -> restem.parameters.sources."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.parameters.ranges import explained
from restem.parameters.sources import FileOptions, HubOptions

OF_A_SUITE = ("source", "n", "n_exemplars", "reward")  # of an entry of questions.transfer, not options of its source
Options = TypeVar("Options", FileOptions, HubOptions)

PREFIX = "questions.options"
OPTIONS: dict[str, type[Any]] = {"file": FileOptions, "hub": HubOptions}


def checked(given: Mapping[str, Any], kind: type[Options]) -> Options:
    """Return the options of a source.

    Args:
        given: As the user wrote them; null stands for an option that is not given.
        kind: Of which source.

    Raises:
        QuestionsError: With all that is wrong with them, by their paths.
    """
    options = {name: value for name, value in given.items() if value is not None}
    known = [field.name for field in fields(kind)]
    source = next(name for name, of_source in OPTIONS.items() if of_source is kind)
    unknown = [name for name in options if name not in known]
    if unknown:
        raise QuestionsError(
            f"{PREFIX}.{unknown[0]} is not an option of questions.source={source}, which has {', '.join(known)}"
        )
    try:
        return TypeAdapter(kind).validate_python(options)
    except ValidationError as error:
        raise QuestionsError("; ".join(explained(error, prefix=PREFIX))) from error


def check_options(source: str, options: Mapping[str, Any], *, parameter: str = PREFIX) -> None:
    """Raise if a source that says its options is given others; nothing is read.

    Raises:
        QuestionsError: With the options by the paths that the user types.
    """
    kind = OPTIONS.get(source)
    if kind is not None:
        try:
            checked(options, kind)
        except QuestionsError as error:
            raise QuestionsError(error.message.replace(PREFIX, parameter)) from error


def asks_the_hub(parameters: QuestionsParameters) -> bool:
    """Return whether loading these questions would ask the Hugging Face hub."""
    transferred = ({"source": name, **entry} for name, entry in parameters.transfer.items() if entry)
    return any(map(_downloads, ({**parameters.options, "source": parameters.source}, *transferred)))


def _downloads(entry: Mapping[str, Any]) -> bool:
    if entry["source"] == "hub":
        return not Path(str(entry.get("dataset"))).expanduser().is_dir()
    return "hf://" in str(entry.get("path")) or bool(entry.get("hub") and not entry.get("path"))
