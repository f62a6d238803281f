"""What kedro-viz is told of runs, by hooks as Kedro calls them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kedro.pipeline import Node, Pipeline
from kedro.runner import ParallelRunner, SequentialRunner
from kedro_viz.api.rest.responses.run_events import transform_events_to_structured_format

from restem.hooks import ExperimentHooks
from restem.run_status import RunStatusHooks
from tests.builders import checked


def same(data: str) -> str:
    return data


WHOLE = Pipeline([Node(same, "a", "b", name="first"), Node(same, "b", "c", name="second")])
SECOND = WHOLE.only_nodes("second")
RUNNER = repr(SequentialRunner())


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunStatusHooks]:
    """Those of a process that runs an experiment of the project in the current folder."""
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    monkeypatch.chdir(tmp_path)

    def of_experiment(name: str = "e") -> RunStatusHooks:
        around = ExperimentHooks()
        around.parameters, around.project = checked(experiment=name), tmp_path
        return RunStatusHooks(around)

    return of_experiment


def run(hooks: RunStatusHooks, pipeline: Pipeline, *, error: Exception | None = None, **asked: Any) -> None:
    hooks.before_pipeline_run({"runner": RUNNER} | asked, pipeline)
    for node in pipeline.nodes:
        hooks.before_node_run(node)
        if error:
            hooks.on_node_error(error, node)
            hooks.on_pipeline_error(error)
            return
        hooks.after_dataset_loaded(node.inputs[0], "data")
        hooks.after_node_run(node)
        hooks.after_dataset_saved(node.outputs[0], "data")
    hooks.after_pipeline_run()


def events() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Path(".viz/kedro_pipeline_events.json").read_text())
    return found


def nodes() -> list[str]:
    return [event["node"] for event in events() if event["event"] == "after_node_run"]


@pytest.mark.parametrize(
    "asked",
    [
        {"pipeline_names": ["em_iteration"]},
        {"tags": ["report"]},
        {"to_outputs": ["c"]},
        {"from_nodes": ["second"]},
        {"node_names": ["second"]},
        {"namespaces": ["iteration_1"]},
        {"runner": "None"},  # as session.run() of a notebook says
    ],
)
def test_a_run_of_a_part_is_told_however_it_was_asked_for(
    hooks: Callable[..., RunStatusHooks], asked: dict[str, Any]
) -> None:
    run(hooks(), SECOND, **asked)

    assert nodes() == ["second"]


def test_what_ran_before_stays_and_what_ran_again_is_told_once(hooks: Callable[..., RunStatusHooks]) -> None:
    run(hooks(), WHOLE)
    run(hooks(), SECOND, tags=["part"])
    run(hooks(), SECOND, tags=["part"])

    assert sorted(nodes()) == ["first", "second"]
    assert {event["dataset"] for event in events() if "dataset" in event} == {"a", "b", "c"}
    assert [event["event"] for event in events() if "pipeline" in event["event"]] == [
        "before_pipeline_run",
        "after_pipeline_run",
    ]


def test_a_second_run_of_the_same_process_is_told_as_if_it_were_another(hooks: Callable[..., RunStatusHooks]) -> None:
    of_process = hooks()
    run(of_process, WHOLE)
    run(of_process, SECOND, tags=["part"])

    assert sorted(nodes()) == ["first", "second"]


def test_kedro_viz_reads_a_failed_part_beside_what_succeeded_before(hooks: Callable[..., RunStatusHooks]) -> None:
    run(hooks(), WHOLE)
    run(hooks(), SECOND, error=RuntimeError("no memory"), tags=["part"])

    read = transform_events_to_structured_format(events())
    assert sorted(node.status.value for node in read.nodes.values()) == ["failed", "success"]
    assert (read.pipeline.status.value, read.pipeline.error.message) == ("failed", "no memory")

    run(hooks(), SECOND, tags=["part"])
    read = transform_events_to_structured_format(events())
    assert {node.status.value for node in read.nodes.values()} == {"success"}
    assert read.pipeline.status.value == "success"


def test_what_another_experiment_ran_is_not_told_as_this_ones(hooks: Callable[..., RunStatusHooks]) -> None:
    run(hooks("one"), WHOLE)
    run(hooks("other"), SECOND)

    assert nodes() == ["second"]


@pytest.mark.parametrize("left", ["[{", "[]", '[{"event": "before_pipeline_run"}]'])
def test_what_a_kill_or_an_earlier_version_left_is_passed_over(hooks: Callable[..., RunStatusHooks], left: str) -> None:
    Path(".viz").mkdir()
    Path(".viz/kedro_pipeline_events.json").write_text(left)

    run(hooks(), SECOND)

    assert nodes() == ["second"]


def test_a_run_by_another_runner_leaves_what_was_told(hooks: Callable[..., RunStatusHooks]) -> None:
    of_process = hooks()
    run(of_process, WHOLE)
    before = events()

    run(of_process, SECOND, runner=repr(ParallelRunner()))

    assert events() == before


def test_an_errors_secrets_are_not_told(hooks: Callable[..., RunStatusHooks], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefgh123")

    run(hooks(), SECOND, error=RuntimeError("401 for hf_abcdefgh123"))

    assert "hf_abcdefgh123" not in json.dumps(events())
    assert "401 for" in json.dumps(events())
