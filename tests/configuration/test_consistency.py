"""Iterations of one experiment are made in one way."""

from typing import Any

import pytest

from restem.configuration.check import check_parameters
from restem.configuration.consistency import changed_parameters, deciding_here, refuse_changes
from restem.configuration.resolve import merged
from restem.errors import ExperimentError
from restem.parameters import Parameters
from tests.builders import GROUPS

BEGUN: dict[str, Any] = {**{group: {} for group in GROUPS}, "experiment": "e", "method": "rest_em"}


def asked(**changed: Any) -> Parameters:
    return check_parameters(merged(BEGUN, changed))


def record(iteration: int, **changed: Any) -> dict[str, Any]:
    decided_by = deciding_here(asked(**changed))
    return {"iteration": iteration, "parameters": merged(BEGUN, changed), "decided_by": decided_by}


def test_another_method_is_refused_with_both_names_and_the_ways_out() -> None:
    now = asked(method="star", sampling={"n": 1, "temperature": 0.0})

    with pytest.raises(ExperimentError) as error:
        refuse_changes({0: record(0), 1: record(1)}, now)

    message = str(error.value)
    assert "iteration 1 was made with method=rest_em, sampling.n=16, sampling.temperature=0.7" in message
    assert "now it is method=star, sampling.n=1, sampling.temperature=0.0" in message
    assert "experiment=NAME" in message
    assert "em.allow_changes=true" in message


@pytest.mark.parametrize(
    "changed",
    [
        {"em": {"iterations": 9}},
        {"em": {"iteration": 1}},
        {"tracking": {"enabled": False, "mlflow_experiment": "other"}},
        {"scoring": {"workers": 7}},
        {"training": {"checkpoint_every_s": 0, "launcher_config": "conf/accelerate/fsdp.yaml"}},  # in one process
        {"sampling": {"engine_options": {"profile": True, "dtype": "auto"}}},
        {"em": {"allow_changes": True}, "method": "star"},
    ],
)
def test_what_decides_nothing_about_the_iterations_may_change(changed: dict[str, Any]) -> None:
    refuse_changes({0: record(0), 1: record(1)}, asked(**changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"sampling": {"n": 3}},
        {"filtering": {"max_per_question": 1}},
        {"training": {"learning_rate": 1e-5}},
        {"training": {"micro_batch_size": 4}},
        {"training": {"gradient_checkpointing": True}},
        {"sampling": {"questions_per_shard": 3}},
        {"em": {"seed": 1}},
        {"questions": {"options": {"tasks": {"gcd": {}}}}},
    ],
)
def test_what_decides_about_past_iterations_may_not(changed: dict[str, Any]) -> None:
    with pytest.raises(ExperimentError, match="do not belong to one experiment"):
        refuse_changes({1: record(1)}, asked(**changed))


def test_of_the_base_policy_only_what_it_was_measured_with_counts() -> None:
    assert changed_parameters(record(0), asked(method="rft", sampling={"n": 3}, training={"epochs": 1})) == []
    assert [change.name for change in changed_parameters(record(0), asked(evaluation={"n": 16}))] == ["evaluation.n"]


def test_first_iteration_may_be_redone_in_another_way() -> None:
    refuse_changes({0: record(0)}, asked(method="rft", sampling={"n": 3}))


def test_a_parameter_that_another_version_had_is_a_change() -> None:
    older = record(1)
    older["decided_by"]["samples"]["sampling.gone"] = 1

    assert [(change.name, change.before, change.now) for change in changed_parameters(older, asked())] == [
        ("sampling.gone", 1, None)
    ]


def test_record_of_a_version_that_did_not_say_what_decided_is_named() -> None:
    with pytest.raises(ExperimentError, match=r"record of iteration 1 does not say what decided it"):
        changed_parameters({"iteration": 1, "parameters": BEGUN}, asked())
