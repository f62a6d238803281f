"""What the parameters are, once a method and limits are chosen.

In order of precedence: --params, the method, the environment (preset), base. Limits come last and only lower numbers.
"""

from collections.abc import Mapping
from typing import Any

from restem.errors import ParameterError

DEFAULT_METHOD = "rest_em"


def resolve(
    parameters: Mapping[str, Any], *, methods: Mapping[str, Any], runtime: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the parameters with the chosen method's differences and the limits applied.

    Args:
        parameters: parameters.yml after overlays and --params.
        methods: methods.yml: by name, the parameters that differ.
        runtime: --params, which win over the method.

    Raises:
        ParameterError: If there is no such method.
    """
    name = parameters.get("method", DEFAULT_METHOD)
    if name not in methods:
        raise ParameterError(
            f"method must be one of {', '.join(sorted(methods))}, got {name!r}; see conf/base/methods.yml. One of "
            "your own is in conf/local/methods.yml, which is read without --env only, or in "
            "conf/ENV/methods.yml, with --env ENV"
        )
    differences: Mapping[str, Any] = methods[name] or {}
    return _limited(merged(merged(parameters, differences), runtime or {}))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the base with the values of `over` in place of its own; groups are merged, not replaced."""
    result = dict(base)
    for key, value in over.items():
        both_groups = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both_groups else value
    return result


def _limited(parameters: dict[str, Any]) -> dict[str, Any]:
    """Lower the numbers of samples to `limits.samples`; what they are asked of is cut when questions are loaded."""
    most = (parameters.get("limits") or {}).get("samples")
    if not isinstance(most, int):
        return parameters
    sampling, evaluation = dict(parameters["sampling"]), dict(parameters["evaluation"])
    for group in (sampling, evaluation):
        group["n"] = min(group["n"], most)
    for name, own in (evaluation.get("of_suite") or {}).items():
        if isinstance(own, Mapping) and own.get("n"):
            evaluation = merged(evaluation, {"of_suite": {name: {"n": min(own["n"], most)}}})
    evaluation["k"] = [k for k in evaluation["k"] if k <= evaluation["n"]]
    return parameters | {"sampling": sampling, "evaluation": evaluation}
