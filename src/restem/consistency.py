"""Whether iterations belong together: what the records say they were made with, against what is asked now.

An experiment is one configuration. Going on under another one would give iterations that cannot be compared, so it
is refused, unless `em.allow_changes` says otherwise. What only decides how fast or where, not what, may change.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from restem.engines import determining_options
from restem.errors import ExperimentError, ParameterError
from restem.parameters import Parameters, check_parameters
from restem.records import flat, plain

_HARMLESS = {
    "experiment",
    "tracking",
    "scale",
    "em.iterations",  # of the experiment; those that are made stay what they are
    "em.iteration",
    "em.stop_when",
    "em.allow_changes",
    "em.keep_policies",
    "scoring.workers",
    "scoring.warn_above",
    "scoring.audit",
    "sampling.questions_per_shard",
    "training.checkpoint_every_s",
    "training.launcher",
    "training.launcher_config",
    "training.processes",
    "training.machines",
    "training.micro_batch_size",
    "training.gradient_checkpointing",
    "limits.samples",  # has lowered sampling.n and evaluation.n
}
# What the measurement of the base policy depends on.
_OF_BASELINE = {
    "em.seed",
    "policy.model",
    "questions",
    "limits.questions",
    "prompt",
    "scoring",
    "evaluation",
    "sampling.engine",
    "sampling.engine_options",
    "sampling.max_new_tokens",
    "sampling.stop",
}
_MOST_NAMED = 5


class Change(NamedTuple):
    """A parameter that an iteration had another value of."""

    name: str
    before: Any
    now: Any


def determining(parameters: Parameters) -> dict[str, Any]:
    """Return, by dotted name, the parameters that decide what iterations are."""
    groups = plain(parameters)
    sampling = groups["sampling"]
    sampling["engine_options"] = determining_options(sampling["engine"], sampling["engine_options"])
    return {name: value for name, value in flat(groups).items() if not _is_of(name, _HARMLESS)}


def changes(record: Mapping[str, Any], parameters: Parameters) -> list[Change]:
    """Return what has changed since the record of an iteration was made, the method first.

    Args:
        record: Of an iteration, or of the base policy (iteration 0).
        parameters: As they are now.

    Raises:
        ExperimentError: If the record's parameters are those of another version of restem.
    """
    try:
        recorded = check_parameters(record["parameters"])
    except ParameterError as error:
        raise ExperimentError(
            f"the record of iteration {record['iteration']} was made with other parameters than this version of restem "
            f"has: {error}. Use another name: --params=experiment=NAME"
        ) from error
    before, now = determining(recorded), determining(parameters)
    names = sorted(before.keys() | now.keys(), key=lambda name: (name != "method", name))
    if record["iteration"] == 0:
        names = [name for name in names if _is_of(name, _OF_BASELINE)]
    return [Change(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)]


def refuse_changes(records: Mapping[int, Mapping[str, Any]], parameters: Parameters) -> None:
    """Raise if an iteration would build on others that were made with other parameters.

    Args:
        records: Of the iterations that it would build on.
        parameters: That it would be made with.

    Raises:
        ExperimentError: With what changed, and the ways out.
    """
    if parameters.em.allow_changes:
        return
    for i, record in sorted(records.items(), reverse=True):
        found = changes(record, parameters)
        if found:
            made = "the base policy was measured" if i == 0 else f"iteration {i} was made"
            raise ExperimentError(
                f"in experiment {parameters.experiment!r}, {made} with {describe(found, 'before')}, and now it is "
                f"{describe(found, 'now')}. Iterations made in different ways do not belong to one experiment: use "
                "another name, --params=experiment=NAME, give the parameters that it was begun with, or go on all the "
                "same with --params=em.allow_changes=true"
            )


def describe(found: list[Change], when: str) -> str:
    """Return the first few changes as name=value.

    Args:
        found: The changes.
        when: "before" or "now".
    """
    shown = [f"{change.name}={_value(getattr(change, when))}" for change in found[:_MOST_NAMED]]
    more = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return ", ".join(shown) + more


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_of(name: str, groups: set[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)
