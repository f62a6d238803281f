"""Both UIs as a user sees them, in a real browser on one experiment of three iterations."""

import itertools
import re
from typing import Any

import httpx2
import mlflow
import psutil
import pytest

from tests.ui.conftest import ITERATIONS, Shown
from tests.ui.page import Page

POLICIES = range(ITERATIONS + 1)
SCREEN = (1280, 800)  # of a small laptop
MOST_BOXES = 30 + 4 * (ITERATIONS - 2)
LEGIBLE = 5  # pixels, of a line of text


@pytest.fixture
def client(mlflow_url: str) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(mlflow_url)


@pytest.fixture
def runs_url(client: mlflow.MlflowClient, mlflow_url: str) -> str:
    return f"{mlflow_url}/#/experiments/{experiment_id(client)}/runs?workflowType=machine_learning"


def experiment_id(client: mlflow.MlflowClient) -> str:
    found = client.get_experiment_by_name("restem")
    assert found is not None
    return str(found.experiment_id)


def child_runs(client: mlflow.MlflowClient) -> dict[int, Any]:
    runs = client.search_runs([experiment_id(client)], "tags.`restem.kind` = 'iteration'")
    return {int(run.data.tags["restem.iteration"]): run for run in runs}


def open_runs(page: Page, url: str, shown: Shown) -> None:
    """Open the list of runs, with the experiment's children unfolded and MLflow's assistant put away."""
    page.open(url)
    page.read(shown.name)
    page.click_if_there("[data-component-id='mlflow.assistant.chat_panel.close']")
    if f"{shown.name} iteration 0" not in page.text():
        page.click("[data-component-id$='runnamecellrenderer.tsx_46']")
    page.read(*(f"{shown.name} iteration {i}" for i in POLICIES))


def plotted(page: Page) -> list[dict[str, list[float]]]:
    """Return the points of every trace of the charts on the page."""
    charts = "[...document.querySelectorAll('.js-plotly-plot')]"
    trace = "trace => ({x: [...(trace.x || [])].map(Number), y: [...(trace.y || [])].map(Number)})"
    return list(page.driver.execute_script(f"return {charts}.flatMap(chart => (chart.data || []).map({trace}))"))


def test_mlflow_lists_the_iterations_under_their_experiment_with_model_and_duration(
    page: Page, runs_url: str, shown: Shown
) -> None:
    open_runs(page, runs_url, shown)

    page.read(*(f"{shown.name}-policy_{i}" for i in POLICIES), "training_set")
    page.picture("mlflow-runs")


def test_mlflow_lists_metrics_at_once_and_draws_the_main_ones_first(page: Page, runs_url: str, shown: Shown) -> None:
    page.open(f"{runs_url}&viewStateShareKey=restem")
    page.read(shown.name, "test/pass_at_1", "validation/pass_at_1", "Duration")

    page.open(f"{runs_url}&viewStateShareKey=restem&compareRunsMode=CHART")
    page.read(shown.name, "test (", "audit (")
    assert page.text().index("test (") < page.text().index("audit (")


def test_mlflow_compares_the_child_runs_in_a_chart_of_pass_at_1(
    page: Page, runs_url: str, client: mlflow.MlflowClient, shown: Shown
) -> None:
    children = child_runs(client)
    expected = [(float(i), children[i].data.metrics["test/pass_at_1"]) for i in POLICIES]
    open_runs(page, runs_url, shown)

    for run in children.values():
        page.click(f".ag-row[row-id='{run.info.run_id}'] .ag-selection-checkbox")
    page.click("[data-testid='runs-compare-button']")
    page.read(f"Comparing {len(children)} Runs")
    page.click("[role=tab]", "Scatter Plot")
    for axis, name in (("x", "iteration"), ("y", "test/pass_at_1")):
        page.click(f"#{axis}-axis-selector")
        page.click("[role=option]", name)

    def is_drawn() -> bool:
        return any(sorted(zip(trace["x"], trace["y"], strict=False)) == expected for trace in plotted(page))

    page.wait("a point per policy", is_drawn)
    page.picture("mlflow-compare")


def test_mlflow_draws_the_experiment_as_a_learning_curve(
    page: Page, runs_url: str, client: mlflow.MlflowClient, shown: Shown
) -> None:
    children = child_runs(client)
    curve = [children[i].data.metrics["test/pass_at_1"] for i in POLICIES]

    page.open(f"{runs_url}&compareRunsMode=CHART")
    page.read(shown.name)
    page.click_if_there("[data-component-id='mlflow.assistant.chat_panel.close']")
    page.see("input[placeholder='Search metric charts']").send_keys("test/(greedy_)?pass_at_1$")

    def is_drawn() -> bool:
        return any(trace["x"] == list(POLICIES) and trace["y"] == pytest.approx(curve) for trace in plotted(page))

    page.wait("the curve of test/pass_at_1", is_drawn)
    page.picture("mlflow")


def test_mlflow_shows_the_answers_of_all_policies_side_by_side(
    page: Page, runs_url: str, client: mlflow.MlflowClient, shown: Shown
) -> None:
    open_runs(page, f"{runs_url}&compareRunsMode=ARTIFACT", shown)

    page.read("evaluation_greedy.json", "Group by: question", "Compare: completion")
    page.picture("mlflow-answers")


def test_mlflow_shows_a_policy_as_a_model_with_what_it_was_measured_on(
    page: Page, mlflow_url: str, client: mlflow.MlflowClient, shown: Shown
) -> None:
    last = child_runs(client)[ITERATIONS]
    model = last.data.tags["restem.model"]

    page.open(f"{mlflow_url}/#/experiments/{experiment_id(client)}/models/{model}")

    page.read(f"{shown.name}-policy_{ITERATIONS}", "test/pass_at_1", f"{shown.name} iteration {ITERATIONS}", "Ready")
    page.picture("mlflow-model")


@pytest.fixture
def graph(viz_url: str) -> dict[str, Any]:
    """What kedro-viz draws."""
    return dict(httpx2.get(f"{viz_url}/api/main", timeout=60).json())


def open_graph(page: Page, url: str) -> None:
    """Open kedro-viz on the graph alone: without its tour, its news, the list of nodes and the map."""
    page.open(f"{url}/api/version")
    visible = {"sidebar": False, "miniMap": False, "graph": True, "code": False, "slicing": False}
    page.remember("KedroViz", {"showFeatureHints": False, "visible": visible, "expandAllPipelines": False})
    page.open(url, width=SCREEN[0], height=SCREEN[1], scale=2)
    page.see(".pipeline-layer-name")
    page.click_if_there(".update-reminder-unexpanded button:last-child")


def ids_of(graph: dict[str, Any]) -> dict[str, str]:
    return {node["name"]: node["id"] for node in graph["nodes"]}


def test_kedro_viz_draws_each_iteration_as_a_box_with_an_arrow_from_the_base_policy(
    page: Page, viz_url: str, graph: dict[str, Any]
) -> None:
    ids = ids_of(graph)

    open_graph(page, viz_url)

    for name in ["baseline", *(f"iteration_{i}" for i in POLICIES[1:])]:
        page.wait(name, lambda name=name: inside(page, ids[name]) == name)
        assert page.all(f".pipeline-edge[data-id='{ids['policy_0']}|{ids[name]}'] path")


def test_kedro_viz_tells_the_algorithm_on_one_screen(page: Page, viz_url: str) -> None:
    open_graph(page, viz_url)

    page.wait("all of it in sight", lambda: all(map(is_in_sight, places(page, ".pipeline-node"))))
    boxes = places(page, ".pipeline-node")
    assert len(boxes) <= MOST_BOXES
    assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2))
    assert min(name["height"] for name in places(page, ".pipeline-node__text")) >= LEGIBLE
    page.picture("kedro-viz")


def test_kedro_viz_puts_the_phases_in_order_from_top_to_bottom(page: Page, viz_url: str) -> None:
    open_graph(page, viz_url)

    place = {name.text: name.location["y"] for name in page.all(".pipeline-layer-name")}
    assert sorted(place, key=lambda name: place[name]) == ["1 prepare", "2 iterate", "3 report"]


@pytest.mark.parametrize(
    ("dataset", "seen"),
    [
        ("iteration_1.samples", ["completion", "finish_reason"]),
        ("iteration_1.scored_samples", ["reward", "reason"]),
        ("iteration_1.training_set", ["prompt", "weight"]),
        ("evaluation_3", ["suite", "n_correct"]),
        ("policy_3", ["fingerprint", "trained_from"]),
        ("record_3", ["questions_digest", "decided_by"]),
        ("training_log_3", ["loss", "learning_rate"]),
    ],
)
def test_kedro_viz_previews_what_a_dataset_holds(
    page: Page, viz_url: str, graph: dict[str, Any], dataset: str, seen: list[str]
) -> None:
    page.open(f"{viz_url}/?expandAllPipelines=true&sid={ids_of(graph)[dataset]}")

    page.read(dataset, *seen)


def test_kedro_viz_shows_the_figures(page: Page, viz_url: str, graph: dict[str, Any]) -> None:
    page.open(f"{viz_url}/?expandAllPipelines=true&sid={ids_of(graph)['figures']}")

    image = page.see(".pipeline-metadata img")

    assert page.driver.execute_script("return arguments[0].naturalWidth", image) > 300


def test_kedro_viz_shows_that_the_run_succeeded_and_how_long_each_training_took(
    page: Page, viz_url: str, graph: dict[str, Any]
) -> None:
    trainings = [node["id"] for node in graph["nodes"] if node["name"] == "train_policy"]

    page.open(f"{viz_url}/workflow")

    page.read("completed successfully")
    assert len(trainings) == ITERATIONS
    for node in trainings:
        page.wait(f"the time of {node}", lambda node=node: "success" in inside(page, node))
        assert re.search(r"Duration:\s*\d", inside(page, node))


def places(page: Page, selector: str) -> list[dict[str, float]]:
    """Return where on the screen these are drawn."""
    found = f"[...document.querySelectorAll({selector!r})]"
    return list(page.driver.execute_script(f"return {found}.map(each => each.getBoundingClientRect().toJSON())"))


def is_in_sight(box: dict[str, float]) -> bool:
    width, height = SCREEN
    return box["left"] >= 0 and box["top"] >= 0 and box["right"] <= width and box["bottom"] <= height


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    beside = one["right"] <= other["left"] or other["right"] <= one["left"]
    return not (beside or one["bottom"] <= other["top"] or other["bottom"] <= one["top"])


def inside(page: Page, node: str) -> str:
    """Return what is written in a node of kedro-viz, in sight or not."""
    drawn = page.all(f".pipeline-node[data-id='{node}']")
    return str(drawn[0].get_attribute("textContent")) if drawn else ""


def test_both_listen_to_this_machine_alone(mlflow_url: str, viz_url: str) -> None:
    ports = {int(url.rsplit(":", 1)[1]) for url in (mlflow_url, viz_url)}

    found = [asked.laddr for asked in psutil.net_connections("tcp") if asked.status == psutil.CONN_LISTEN]

    assert {address for address in found if address[1] in ports} == {("127.0.0.1", port) for port in ports}
