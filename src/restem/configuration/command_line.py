"""`--params` as it is typed -> nested parameters: as Kedro reads it, and with lists, mappings and texts with commas.

    --params='evaluation.k=[1,2],prompt.instruction="First think, then answer."'

Kedro divides at every comma, so that it can read none of these.
"""

import re
from collections.abc import Iterator
from typing import Any

from restem.errors import ParameterError

_AS_TYPED = "--params is NAME=VALUE,NAME=VALUE"
_BEFORE_A_VALUE = "=[{,:"  # a bracket or a quote anywhere else is a character of a text
_PAIRS = {"[": "]", "{": "}"}
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)


def read_params(text: str) -> dict[str, Any]:
    """Return the parameters that a text gives, values read as YAML.

    Raises:
        ParameterError: If it cannot be read.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    given = OmegaConf.create()
    for item in _items(text):
        name, equals, _ = item.partition("=")
        if not equals or not name.strip():
            raise ParameterError(
                f"{_AS_TYPED}, and {item!r} is none; a value with commas is a list in brackets or a text in quotes, as "
                "--params='evaluation.k=[1,2]'"
            )
        try:
            given.merge_with_dotlist([item])
        except (OmegaConfBaseException, YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
            what = getattr(error, "problem", None) or str(error).partition("\n")[0]
            raise ParameterError(f"{_AS_TYPED}, and {item!r} cannot be read: {what}") from error
    content: dict[str, Any] = OmegaConf.to_container(given)  # type: ignore[assignment] # its keys are names
    return content


def _items(text: str) -> Iterator[str]:
    """Yield what is between commas that are in no brackets and no quotes."""
    start = place = 0
    closing: list[str] = []
    while place < len(text):
        is_begin = text[start:place].rstrip()[-1:] in tuple(_BEFORE_A_VALUE) and place > start
        quoted = _QUOTED.match(text, place) if is_begin else None
        if quoted:
            place = quoted.end()
            continue
        if text[place] in _PAIRS and (is_begin or closing):
            closing.append(_PAIRS[text[place]])
        elif closing and text[place] == closing[-1]:
            closing.pop()
        elif text[place] == "," and not closing:
            yield from filter(None, [text[start:place].strip()])
            start = place + 1
        place += 1
    yield from filter(None, [text[start:].strip()])
