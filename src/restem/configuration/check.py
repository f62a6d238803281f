"""Parameters as they were typed -> typed parameters, or every fault in them by the path that the user types."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from restem.configuration.contradictions import contradictions
from restem.errors import ParameterError
from restem.parameters import Parameters
from restem.parameters.ranges import explained


@cache
def _adapter() -> TypeAdapter[Parameters]:
    return TypeAdapter(Parameters)


def check_parameters(raw: Mapping[str, Any]) -> Parameters:
    """Return the typed parameters. No file is opened and nothing imported that they name: see preflight.py.

    Args:
        raw: parameters.yml after overlays and --params.

    Raises:
        ParameterError: If any is unknown, of a wrong type or out of range, or two contradict each other; all are
            named, by the path that the user types.
    """
    try:
        parameters = _adapter().validate_python(dict(raw))
    except ValidationError as error:
        raise ParameterError("; ".join(explained(error))) from error
    problems = contradictions(parameters)
    if problems:
        raise ParameterError("; ".join(problems))
    return parameters
