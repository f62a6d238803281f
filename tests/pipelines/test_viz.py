"""What kedro-viz is given: a first view that tells the algorithm, layers in order, and what ran."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.conftest import Project

MANY = 12  # iterations, of two digits
AT_TWO = 30  # boxes, at most
PER_ITERATION = 4  # more boxes, at most
PHASES = ["1 prepare", "2 iterate", "3 report"]

# As `kedro viz run --include-hooks --env tiny --params em.iterations=N --save-file FILE` exports it, but no server.
_EXPORT = """
import sys
from pathlib import Path
import fsspec
from kedro_viz.api.rest.responses.save_responses import save_api_responses_to_fs
from kedro_viz.server import load_and_populate_data
load_and_populate_data(Path.cwd(), "tiny", True, extra_params={"em": {"iterations": int(sys.argv[1])}})
save_api_responses_to_fs(sys.argv[2], fsspec.filesystem("file"), True)
"""


class Export:
    """The files that kedro-viz exports of an experiment that has not begun."""

    def __init__(self, folder: Path, iterations: int) -> None:
        place = folder / f"viz-{iterations}"
        done = forked.run(["python", "-c", _EXPORT, str(iterations), str(place)], folder)
        assert done.returncode == 0, done.stdout + done.stderr
        self._pipelines = place / "api" / "pipelines"

    def names(self) -> list[str]:
        return sorted(file.name for file in self._pipelines.iterdir())

    def graph(self, pipeline: str = "__default__") -> dict[str, Any]:
        return dict(json.loads((self._pipelines / pipeline).read_text()))


def boxes(graph: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of what is drawn while all namespaces are closed, by type; parameters are not drawn."""
    types = {node["id"]: (node["type"], node["name"]) for node in graph["nodes"]}
    drawn: dict[str, list[str]] = {"task": [], "data": [], "modularPipeline": [], "parameters": []}
    for child in graph["modular_pipelines"]["__root__"]["children"]:
        kind, name = types[child["id"]]
        drawn[kind].append(name)
    del drawn["parameters"]
    return drawn


def count(graph: dict[str, Any]) -> int:
    return sum(map(len, boxes(graph).values()))


@pytest.fixture(scope="module")
def export(made_once: Callable[..., Path]) -> Callable[[int], Export]:
    folder = made_once("unbegun", Project)
    made: dict[int, Export] = {}
    return lambda iterations: made.setdefault(iterations, Export(folder, iterations))


def test_the_first_view_is_the_algorithm_in_a_few_boxes(export: Callable[[int], Export]) -> None:
    graph = export(2).graph()

    drawn = boxes(graph)
    stages = ["baseline", "comparison", "iteration_1", "iteration_2", "preparation", "report"]
    assert sorted(drawn["modularPipeline"]) == stages
    assert drawn["task"] == []
    assert {"questions", "policy_0", "policy_1", "policy_2", "evaluation_0", "evaluation_1", "evaluation_2"} <= set(
        drawn["data"]
    )
    assert count(graph) <= AT_TWO
    assert count(export(MANY).graph()) <= AT_TWO + PER_ITERATION * (MANY - 2)


@pytest.mark.parametrize("iterations", [2, MANY])
def test_every_pipeline_has_its_layers_in_order(export: Callable[[int], Export], iterations: int) -> None:
    exported = export(iterations)

    assert {"__default__", "baseline", "compare", "em_iteration", "iteration_1", "prepare"} <= set(exported.names())
    for name in exported.names():
        graph = exported.graph(name)
        drawn = {node["layer"] for node in graph["nodes"] if node.get("layer")}
        assert [layer for layer in graph["layers"] if layer in drawn] == [layer for layer in PHASES if layer in drawn]


def test_all_that_an_iteration_hands_on_is_read_from_three_datasets(export: Callable[[int], Export]) -> None:
    graph = export(2).graph()
    names = {node["id"]: node["name"] for node in graph["nodes"]}

    out = {names[edge["target"]] for edge in graph["edges"] if edge["source"] == "iteration_1"}

    assert out == {"policy_1", "evaluation_1", "record_1"}


def test_a_run_of_a_part_is_written_down(copied: Project) -> None:
    copied.run("compare")

    events = json.loads((copied.folder / ".viz/kedro_pipeline_events.json").read_text())
    assert (events[0]["event"], events[-1]["event"]) == ("before_pipeline_run", "after_pipeline_run")
    ran = {event["node"]: event["duration"] for event in events if event["event"] == "after_node_run"}
    assert len(ran) == 7
    assert ran["report.write_report"] > 0
