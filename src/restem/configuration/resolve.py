"""What the parameters are, once a method and limits are chosen.

In order of precedence: --params, the method, the environment (preset), base. Limits come last and only lower numbers.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from restem.errors import ParameterError
from restem.parameters import EvaluationParameters, SamplingParameters
from restem.parameters.ranges import Int

DEFAULT_METHOD = "rest_em"
_USUAL = EvaluationParameters()


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
    if not isinstance(name, str) or name not in methods:
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
    """Lower the numbers of samples to `limits.samples`; what they are asked of is cut when questions are loaded.

    What is no number, or no group, is left as it is, for the check to name.
    """
    limits = parameters.get("limits")
    most = _number(limits.get("samples")) if isinstance(limits, Mapping) else None
    if most is None:
        return parameters
    usual: dict[str, dict[str, Any]] = {
        "sampling": {"n": SamplingParameters().n},
        "evaluation": {"n": _USUAL.n, "k": _USUAL.k},
    }
    lowered = {
        name: _lowered({**unsaid, **parameters[name]}, most)
        for name, unsaid in usual.items()
        if isinstance(parameters.get(name), Mapping)
    }
    evaluation = lowered.get("evaluation", {})
    if isinstance(evaluation.get("of_suite"), Mapping):
        evaluation["of_suite"] = {
            name: _lowered(own, most) if isinstance(own, Mapping) else own
            for name, own in evaluation["of_suite"].items()
        }
    if isinstance(evaluation.get("k"), list):
        evaluation["k"] = _within(evaluation["k"], _number(evaluation.get("n")))
    return parameters | lowered


def _lowered(group: Mapping[str, Any], most: int) -> dict[str, Any]:
    n = _number(group.get("n"))
    return dict(group) if n is None else {**group, "n": min(n, most)}


def _within(ks: list[Any], n: int | None) -> list[Any]:
    """Return those of pass@k that so many samples give; if none is left, the largest that they give."""
    kept = [k for k in ks if n is None or (_number(k) or 0) <= n]
    return kept if kept or not ks else [n]


@cache
def _reader() -> TypeAdapter[int]:
    return TypeAdapter(Int)


def _number(value: object) -> int | None:
    """Return a whole number as the check reads it, from "3" and 3.0 too; None if it is none."""
    try:
        return _reader().validate_python(value)
    except ValidationError:
        return None
