"""Whether iterations belong together: what the records say they were made with, against what is asked now.

An experiment is one configuration. Going on under another one would give iterations that cannot be compared, so it
is refused, unless `em.allow_changes` says otherwise. What only decides how fast or where, not what, may change.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from restem import suggestions
from restem.engines import deciding_engine_options
from restem.engines.file import drawing_engine
from restem.errors import ExperimentError, first_few
from restem.parameters import Parameters
from restem.parameters.decides import OF_BASELINE, Stage, deciding
from restem.rewards import deciding_reward_options
from restem.store.plain import flat, plain
from restem.training.launch import decides_weights


class ChangedParameter(NamedTuple):
    """A parameter that an iteration had another value of."""

    name: str
    before: Any
    now: Any


def deciding_as_asked(parameters: Parameters) -> dict[str, Any]:
    """Return, by dotted name, the parameters that decide what iterations are, as they were asked for."""
    return flat(plain(deciding(parameters)))


def deciding_here(parameters: Parameters) -> dict[str, dict[str, Any]]:
    """Return what decides what iterations are, as it becomes on this machine: by stage, by dotted name.

    `auto` is the arithmetic that it is here, a number of processes what the launcher's file says; options of engines
    and rewards that decide nothing are left out. It is what a record holds, for `changed_parameters`.

    Raises:
        EngineError: If the engine cannot be had.
        ParameterError: If the training cannot be started as asked.
        RewardError: If a reward cannot be had, or refuses its options.
    """
    sampling, scoring = parameters.sampling, parameters.scoring
    name, options = drawing_engine(sampling.engine, sampling.engine_options)
    # What evaluates is another engine than what samples where samples are in files.
    evaluating = {"sampling.engine": name, "sampling.engine_options": deciding_engine_options(name, options)}
    became = evaluating | {
        "scoring.options": {name: deciding_reward_options(name, of or {}) for name, of in scoring.options.items()},
    }
    sampled = {
        "sampling.engine": sampling.engine,
        "sampling.engine_options": deciding_engine_options(sampling.engine, sampling.engine_options),
    }
    training = {
        f"training.{name}": value for name, value in decides_weights(parameters.training, parameters.scale).items()
    }
    by_stage: dict[str, dict[str, Any]] = {}
    for stage in get_args(Stage):
        values = deciding(parameters, stage)
        if stage == "policy":
            values = {name: value for name, value in values.items() if not name.startswith("training.")} | training
        here = became | (sampled if stage == "samples" else {})
        by_stage[stage] = flat(plain({name: here.get(name, value) for name, value in values.items()}))
    return by_stage


def changed_parameters(record: Mapping[str, Any], parameters: Parameters) -> list[ChangedParameter]:
    """Return what has changed since the record of an iteration was made, the method first.

    Args:
        record: Of an iteration, or of the base policy (iteration 0).
        parameters: As they are now.

    Raises:
        ExperimentError: If the record is of another version of restem.
    """
    if "decided_by" not in record:
        raise ExperimentError(
            f"the record of iteration {record['iteration']} does not say what decided it: it is of another version of "
            f"restem. Use another name: {suggestions.new_experiment()}"
        )
    here, stages = deciding_here(parameters), OF_BASELINE if record["iteration"] == 0 else get_args(Stage)
    differences = (change for stage in stages for change in _different(record["decided_by"][stage], here[stage]))
    changed = sorted({change.name: change for change in differences}.values(), key=lambda change: change.name)
    method = ChangedParameter("method", record["parameters"].get("method"), parameters.method)
    return [method, *changed] if changed and method.before != method.now else changed


def _different(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[ChangedParameter]:
    for name in before.keys() | now.keys():
        if before.get(name) != now.get(name):
            yield ChangedParameter(name, before.get(name), now.get(name))


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
        changed = changed_parameters(record, parameters)
        if changed:
            made = "the base policy was measured" if i == 0 else f"iteration {i} was made"
            raise ExperimentError(
                f"in experiment {parameters.experiment!r}, {made} with {describe(changed, 'before')}, and now it is "
                f"{describe(changed, 'now')}. Iterations made in different ways do not belong to one experiment. "
                f"Use another name: {suggestions.new_experiment()}. Or give the parameters that it was "
                f"begun with. Or go on all the same: {suggestions.same_run({'em.allow_changes': True})}"
            )


def describe(changed: list[ChangedParameter], when: str) -> str:
    """Return the first few changes as name=value.

    Args:
        changed: The parameters.
        when: "before" or "now".
    """
    return first_few(f"{change.name}={_value(getattr(change, when))}" for change in changed)


def _value(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
