"""MLflow holds what the catalog holds: in the project's store, on a server, at once or later."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.filtering.selection import DROPPED
from restem.store.names import namespace_of
from tests import forked
from tests.conftest import Project

SYNC = ("restem", "mlflow-sync", "--env", "tiny")


def client_of(project: Project) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{project.folder / 'mlflow.db'}")


def mlflow_runs(project: Project) -> list[Any]:
    experiment = client_of(project).get_experiment_by_name("restem")
    assert experiment is not None
    return list(client_of(project).search_runs([experiment.experiment_id]))


def children(project: Project) -> dict[int, Any]:
    """Return the child runs that hold, by iteration."""
    runs = [run for run in mlflow_runs(project) if run.data.tags.get("restem.superseded") != "true"]
    return {int(run.data.tags["restem.iteration"]): run for run in runs if run.data.tags["restem.kind"] == "iteration"}


def models(project: Project) -> list[Any]:
    experiment = client_of(project).get_experiment_by_name("restem")
    assert experiment is not None
    return list(client_of(project).search_logged_models([experiment.experiment_id]))


def logged_table(project: Project, i: int, name: str) -> pd.DataFrame:
    run = children(project)[i].info.run_id
    folder = project.folder / "downloaded" / run
    folder.mkdir(parents=True, exist_ok=True)
    return pd.read_json(client_of(project).download_artifacts(run, name, str(folder)), orient="split")


def test_mlflow_has_a_parent_and_a_child_per_iteration_with_the_same_metrics(finished: Project) -> None:
    parents = [run for run in mlflow_runs(finished) if run.data.tags["restem.kind"] == "experiment"]

    assert [run.data.tags["restem.experiment"] for run in parents] == ["tiny"]
    assert set(children(finished)) == {0, 1, 2}
    for i, child in children(finished).items():
        assert child.data.tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert {"test/pass_at_1", "validation/pass_at_1", "test/maj_at_4"} <= set(child.data.metrics)
        assert child.data.params["sampling.n"] == "64"
        assert child.data.tags["restem.policy"] == finished.catalog().load(f"policy_{i}").fingerprint
        dropped = {name for name in child.data.metrics if name.startswith("filtering/dropped.")}
        assert dropped == ({f"filtering/dropped.{reason}" for reason in DROPPED} if i else set())


def test_mlflow_values_are_those_of_the_catalog(finished: Project) -> None:
    runs = {run.data.tags.get("restem.iteration"): run for run in mlflow_runs(finished)}

    for i in range(3):
        recorded = finished.catalog().load(f"record_{i}")["metrics"]["test/pass_at_1"]["value"]
        assert runs[str(i)].data.metrics["test/pass_at_1"] == recorded


def test_mlflow_parent_has_a_step_per_iteration_and_the_report(finished: Project) -> None:
    client = client_of(finished)
    (parent,) = [run for run in mlflow_runs(finished) if run.data.tags["restem.kind"] == "experiment"]

    history = client.get_metric_history(parent.info.run_id, "test/pass_at_1")

    assert [metric.step for metric in history] == [0, 1, 2]
    assert {"report.html", "report.md"} <= {file.path for file in client.list_artifacts(parent.info.run_id)}
    figures = {file.path: file.file_size for file in client.list_artifacts(parent.info.run_id, "figures")}
    assert figures["figures/pass_at_1.png"] > 1000


def test_mlflow_parent_of_a_redone_experiment_has_one_value_per_step(copied: Project) -> None:
    assert forked.run(SYNC, copied.folder).returncode == 0
    copied.run("em_iteration", track=True, em__iteration=2, em__allow_changes=True, sampling__n=48)
    client = client_of(copied)

    current = [run for run in mlflow_runs(copied) if run.data.tags.get("restem.superseded") != "true"]

    (parent,) = [run for run in current if run.data.tags["restem.kind"] == "experiment"]
    by_iteration = children(copied)
    assert {run.data.tags["mlflow.parentRunId"] for run in by_iteration.values()} == {parent.info.run_id}
    assert [by_iteration[i].data.params["sampling.n"] for i in range(3)] == ["64", "64", "48"]
    assert [metric.step for metric in client.get_metric_history(parent.info.run_id, "test/pass_at_1")] == [0, 1, 2]
    assert parent.data.metrics["test/pass_at_1"] == by_iteration[2].data.metrics["test/pass_at_1"]
    models_that_hold = [model for model in models(copied) if model.tags.get("restem.superseded") != "true"]
    assert {model.source_run_id for model in models_that_hold} == {run.info.run_id for run in by_iteration.values()}
    assert sorted(model.name for model in models(copied)) == [f"tiny-policy_{i}" for i in (0, 1, 2, 2)]


def test_logging_again_what_mlflow_has_changes_nothing(finished: Project) -> None:
    before = {run.info.run_id: run.data.to_dictionary() for run in mlflow_runs(finished)}

    assert forked.run(SYNC, finished.folder).returncode == 0

    assert {run.info.run_id: run.data.to_dictionary() for run in mlflow_runs(finished)} == before


def without_hours(report: str) -> list[str]:
    """Return the lines of a report but for what the experiment has taken, which a further run adds to."""
    return [line for line in report.splitlines() if not line.startswith("| hours ")]


def test_unreachable_tracking_server_loses_nothing_and_is_synced_later(
    copied: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = without_hours(copied.catalog().load("report_markdown"))
    copied.run("compare", track=True)
    assert without_hours(copied.catalog().load("report_markdown")) == before
    assert client_of(copied).get_experiment_by_name("restem") is None
    monkeypatch.delenv("MLFLOW_TRACKING_URI")

    result = forked.run(SYNC, copied.folder)

    assert result.returncode == 0, result.stderr
    assert {run.data.tags.get("restem.iteration") for run in mlflow_runs(copied)} == {None, "0", "1", "2"}


def test_a_store_that_cannot_be_written_is_refused_at_once(finished: Project) -> None:
    result = forked.run(SYNC, finished.folder, MLFLOW_TRACKING_URI="sqlite:////no/such/folder/mlflow.db")

    assert result.returncode == 1
    assert "cannot write /no/such/folder/mlflow.db. Nothing is lost" in result.stderr


def truncate(store: Path) -> None:
    store.write_bytes(store.read_bytes()[: store.stat().st_size // 2])


def scribble_behind_the_first_page(store: Path) -> None:
    content = store.read_bytes()
    store.write_bytes(content[:4096] + random.Random(0).randbytes(len(content) - 4096))


def fill_with_garbage(store: Path) -> None:
    store.write_bytes(random.Random(0).randbytes(5000))


def make_a_folder(store: Path) -> None:
    store.unlink()
    store.mkdir()


@pytest.mark.parametrize("damage", [truncate, scribble_behind_the_first_page, fill_with_garbage, make_a_folder])
def test_a_damaged_store_is_named_with_how_to_fill_a_new_one(
    finished: Project, copied: Project, damage: Callable[[Path], None]
) -> None:
    store = copied.folder / "mlflow.db"
    shutil.copy(finished.folder / "mlflow.db", store)
    damage(store)

    result = CliRunner().invoke(restem, SYNC[1:])

    assert result.exit_code == 1
    assert result.output.count("Error: ") == 1
    assert f"Nothing is lost: the catalog has them all; move the file away (mv {store} {store}." in result.output
    assert "log them later with: " in result.output


SYNC_WITHOUT_ROOM = """
import resource
from pathlib import Path
size = Path("mlflow.db").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
from restem.__main__ import restem
restem(["mlflow-sync", "--env", "tiny"])
"""


def test_a_store_that_finds_no_room_is_named_without_a_traceback_of_mlflow(copied: Project) -> None:
    result = forked.run(("python", "-c", SYNC_WITHOUT_ROOM), copied.folder)

    assert result.returncode == 1
    assert "did not take the results: (sqlite3.OperationalError)" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_damaged_store_costs_a_run_nothing(copied: Project) -> None:
    store = copied.folder / "mlflow.db"
    fill_with_garbage(store)

    copied.run("baseline", track=True)

    log = (copied.folder / "logs" / "tiny.log").read_text()
    (said,) = [line for line in log.splitlines() if "did not take the results" in line]
    subprocess.run(said.split("move the file away (")[1].split(")")[0], shell=True, check=True)
    assert CliRunner().invoke(restem, SYNC[1:]).exit_code == 0
    assert set(children(copied)) == {0, 1, 2}


def test_two_that_log_to_a_new_store_at_once_leave_one_run_per_iteration(copied: Project) -> None:
    processes = [forked.start(SYNC, copied.folder) for _ in range(2)]
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0]
    assert len(mlflow_runs(copied)) == 1 + len(children(copied)) == 4


def test_child_runs_say_their_method_base_and_suites_and_sort_by_iteration(finished: Project) -> None:
    for i, run in children(finished).items():
        assert run.info.run_name == f"tiny iteration {i}"
        assert run.data.metrics["iteration"] == i
        assert run.data.tags["restem.method"] == "rest_em"
        assert run.data.tags["restem.base"] == "builtin:tiny"
        assert run.data.tags["restem.suites"] == "test, train, validation"


def test_duration_of_a_child_run_is_that_of_the_iteration(finished: Project) -> None:
    seconds = finished.catalog().load("node_seconds")

    for i, run in children(finished).items():
        of_nodes = sum(value for name, value in seconds.items() if name.startswith(f"{namespace_of(i)}."))
        assert (run.info.end_time - run.info.start_time) / 1000 == pytest.approx(of_nodes, abs=0.01)


def test_child_runs_have_the_training_curve_by_optimizer_step(finished: Project) -> None:
    log = finished.catalog().load("training_log_2")

    history = client_of(finished).get_metric_history(children(finished)[2].info.run_id, "training_curve/loss")

    assert [point.step for point in history] == log["step"].tolist()
    assert [point.value for point in history] == pytest.approx(log["loss"].tolist())


def test_datasets_are_logged_with_digests_that_only_change_with_their_content(finished: Project) -> None:
    def digests(i: int) -> dict[str, str]:
        inputs = children(finished)[i].inputs.dataset_inputs
        return {given.dataset.name: given.dataset.digest for given in inputs}

    first, second = digests(1), digests(2)

    assert set(first) == {"training_set", "test", "train", "validation"}
    assert [name for name in first if first[name] != second[name]] == ["training_set"]


def test_policies_are_logged_models_whose_metrics_name_the_run_and_the_questions(finished: Project) -> None:
    of_run = {model.source_run_id: model for model in models(finished)}

    for i, run in children(finished).items():
        model = of_run[run.info.run_id]
        (pass_at_1,) = [metric for metric in model.metrics if metric.key == "test/pass_at_1"]
        test = next(given.dataset for given in run.inputs.dataset_inputs if given.dataset.name == "test")
        assert (model.name, model.status.value) == (f"tiny-policy_{i}", "READY")
        assert model.params["fingerprint"] == finished.catalog().load(f"policy_{i}").fingerprint
        assert pass_at_1.value == run.data.metrics["test/pass_at_1"]
        assert (pass_at_1.dataset_name, pass_at_1.dataset_digest) == (test.name, test.digest)
        assert [made.model_id for made in run.outputs.model_outputs] == [model.model_id]


def test_an_iteration_reads_the_model_that_it_sampled_from_and_the_base(finished: Project) -> None:
    runs = children(finished)
    of_run = {model.source_run_id: model.model_id for model in models(finished)}

    whole = client_of(finished).get_run(runs[2].info.run_id)  # a search leaves the models out
    read = {given.model_id for given in whole.inputs.model_inputs}

    assert read == {of_run[runs[0].info.run_id], of_run[runs[1].info.run_id]}


def test_logged_models_hold_no_weights(finished: Project) -> None:
    model = models(finished)[0]

    files = client_of(finished).list_logged_model_artifacts(model.model_id)

    assert [file.path for file in files] == ["MLmodel"]


def test_greedy_answers_are_a_logged_table_with_a_row_per_question(finished: Project) -> None:
    evaluation = finished.catalog().load("evaluation_1")

    table = logged_table(finished, 1, "evaluation_greedy.json")

    assert list(table.columns[:4]) == ["question", "completion", "gold", "reason"]
    assert sorted(zip(table["suite"], table["question_id"], table["reward"] >= 1, strict=True)) == sorted(
        zip(evaluation["suite"], evaluation["question_id"], evaluation["greedy_correct"] == 1, strict=True)
    )


def test_answers_of_all_policies_are_a_table_of_the_experiments_run(finished: Project) -> None:
    (parent,) = [run for run in mlflow_runs(finished) if run.data.tags["restem.kind"] == "experiment"]
    greedy = finished.catalog().load("greedy_answers_1").set_index(["suite", "question_id"])

    table = pd.read_csv(client_of(finished).download_artifacts(parent.info.run_id, "greedy_answers.csv"))

    assert list(table.columns[:5]) == ["question", "policy_0", "policy_1", "policy_2", "gold"]
    assert len(table) == len(greedy)
    for row in table.to_dict("records"):
        answer = greedy.loc[(row["suite"], row["question_id"])]
        assert row["policy_1"] == f"{answer['reason']}: {answer['completion']}"


def test_the_list_of_runs_has_a_view_with_metrics_and_the_main_charts_first(finished: Project) -> None:
    client = client_of(finished)
    experiment = client.get_experiment_by_name("restem")
    assert experiment is not None

    view = json.loads(experiment.tags["mlflow.sharedViewState.restem"])

    assert "metrics.`test/pass_at_1`" in view["selectedColumns"]
    assert [section["name"] for section in view["compareRunSections"]][:2] == ["test", "validation"]


def test_duration_of_the_experiments_run_is_what_was_worked_on_it(finished: Project) -> None:
    (parent,) = [run for run in mlflow_runs(finished) if run.data.tags["restem.kind"] == "experiment"]

    worked = sum(finished.catalog().load("node_seconds").values())

    assert (parent.info.end_time - parent.info.start_time) / 1000 == pytest.approx(worked, abs=0.01)


@pytest.mark.parametrize("i", [0, 1, 2])
def test_every_parameter_is_recorded_whatever_was_run(finished: Project, i: int) -> None:
    params = children(finished)[i].data.params

    assert {"policy.teacher", "limits.samples", "training.lora", "evaluation.top_k"} <= set(params)
    assert params["policy.teacher"] == "None"


def test_training_samples_are_a_logged_table_that_says_what_was_kept(finished: Project) -> None:
    keys = ["question_id", "sample_index"]
    learned = finished.catalog().load("iteration_2.training_set").to_pandas()

    table = logged_table(finished, 2, "training_samples.json")

    kept = table[table["kept"]]
    assert len(table) == len(finished.catalog().load("iteration_2.scored_samples"))
    assert set(kept[keys].itertuples(index=False, name=None)) == set(learned[keys].itertuples(index=False, name=None))


def test_long_tables_are_cut_to_whole_questions_that_are_the_same_in_every_iteration(finished: Project) -> None:
    from restem.tracking.tables import logged_tables

    def shown(i: int) -> pd.DataFrame:
        tables = {table.file: table.rows for table in logged_tables(finished.catalog(), i, max_rows=150)}
        return tables["training_samples.json"]

    first, second = shown(1), shown(2)

    assert set(first["question_id"]) == set(second["question_id"])
    assert first.groupby("question_id").size().tolist() == [64, 64]


def test_logged_table_of_one_long_question_is_not_empty(finished: Project) -> None:
    from restem.tracking.tables import logged_tables

    tables = {table.file: table.rows for table in logged_tables(finished.catalog(), 1, max_rows=1)}

    assert len(tables["training_samples.json"]) == 64
