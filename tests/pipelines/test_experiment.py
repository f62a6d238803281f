"""Whole experiments on the tiny preset, in real Kedro sessions."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from restem.__main__ import restem
from restem.errors import EmptyTrainingSetError, ExperimentError, ParameterError, PolicyError, QuestionsError
from restem.store.fingerprints import folder_fingerprint
from tests import forked
from tests.builders import bytes_of_tables
from tests.conftest import Project

TABLES = ("samples", "scored_samples", "training_set", "evaluation_samples", "scored_evaluation_samples")


@pytest.mark.auto_dtype
def test_whole_run_leaves_every_dataset_on_disk(finished: Project) -> None:
    catalog = finished.catalog()

    for i in (1, 2):
        for table in TABLES:
            assert len(catalog.load(f"iteration_{i}.{table}")) > 0
        assert catalog.load(f"policy_{i}").iteration == i
    assert set(catalog.load("results")["iteration"]) == {0, 1, 2}


def test_trained_policies_start_from_the_base_and_learn_from_the_previous(finished: Project) -> None:
    catalog = finished.catalog()
    policies = [catalog.load(f"policy_{i}") for i in range(3)]

    assert [policy.base for policy in policies] == [policies[0].fingerprint] * 3
    assert [policy.parent for policy in policies] == [None, policies[0].fingerprint, policies[1].fingerprint]
    assert [folder_fingerprint(policy.folder) for policy in policies] == [policy.fingerprint for policy in policies]


def test_every_training_row_is_a_sample_that_earned_its_reward(finished: Project) -> None:
    catalog = finished.catalog()
    for i in (1, 2):
        keys = ["policy_id", "question_id", "sample_index"]
        rows = catalog.load(f"iteration_{i}.training_set").to_pandas()
        scored = catalog.load(f"iteration_{i}.scored_samples").to_pandas()

        traced = rows.merge(scored, on=keys, suffixes=("", "_sample"))

        assert len(traced) == len(rows)
        assert (traced["reward"] == 1.0).all()
        assert (traced["completion"] == traced["completion_sample"]).all()
        assert set(rows["policy_id"]) == {catalog.load(f"policy_{i - 1}").fingerprint}


def test_no_training_question_is_evaluated_as_test_or_validation(finished: Project) -> None:
    catalog = finished.catalog()
    trained = set(catalog.load("iteration_2.training_set")["question_id"])
    evaluation = catalog.load("evaluation_2")

    assert not trained & set(evaluation.loc[evaluation["suite"] != "train", "question_id"])


def test_one_iteration_at_a_time_gives_the_same_bytes_as_the_whole_run(finished: Project, project: Project) -> None:
    project.run("prepare")
    project.run("em_iteration")
    project.run("em_iteration")

    whole, stepwise = bytes_of_tables(finished.folder / "data"), bytes_of_tables(project.folder / "data")

    assert stepwise.keys() == whole.keys()
    assert [name for name in whole if stepwise[name] != whole[name]] == []
    for i in range(3):
        assert project.catalog().load(f"policy_{i}").fingerprint == finished.catalog().load(f"policy_{i}").fingerprint
    with pytest.raises(ExperimentError, match="complete: 2 of 2 iterations"):
        project.run("em_iteration")


def test_what_decides_nothing_draws_and_trains_nothing_again(copied: Project) -> None:
    def made() -> dict[str, int]:
        journal = copied.folder / "data/02_intermediate/journal"
        files = [file for kind in ("samples", "policy", "scores") for file in journal.glob(f"{kind}-*/**/*")]
        return {str(file): file.stat().st_mtime_ns for file in files if file.is_file()}

    before = made()

    harmless = {"sampling__engine_options": {"profile": True}, "training__checkpoint_every_s": 0, "scoring__workers": 1}
    copied.run("iteration_1", **harmless)

    assert made() == before


def test_redone_iteration_makes_later_ones_stale_unless_it_is_the_same(copied: Project) -> None:
    from restem.experiment import current_standing

    copied.run("em_iteration", to="record_1", em__iteration=1)
    copied.catalog()
    assert current_standing().complete == (1, 2)

    copied.run("em_iteration", to="record_1", em__iteration=1, sampling__n=48)
    copied.catalog()
    assert current_standing().complete == (1,)
    assert current_standing().stale == (2,)

    copied.run("em_iteration", to="record_2", sampling__n=48)
    copied.catalog()
    assert current_standing().complete == (1, 2)


@pytest.mark.long
def test_killed_run_goes_on_and_ends_with_the_same_bytes(finished: Project, project: Project) -> None:
    project.run("prepare")
    for marker in ("samples-train-1", "policy-", "samples-evaluation-"):
        journal = project.folder / "data/02_intermediate/journal"
        before = set(journal.glob(f"{marker}*/*"))
        process = forked.start(["kedro", "run", "--env", "tiny", "--pipelines=em_iteration"], project.folder)
        while process.is_alive() and before.issuperset(journal.glob(f"{marker}*/*")):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.join()

    project.run("em_iteration")
    project.run("em_iteration")

    whole, resumed = bytes_of_tables(finished.folder / "data"), bytes_of_tables(project.folder / "data")
    assert [name for name in whole if resumed[name] != whole[name]] == []
    assert project.catalog().load("policy_2").fingerprint == finished.catalog().load("policy_2").fingerprint


def test_second_run_on_the_same_experiment_is_refused(project: Project) -> None:
    project.run("prepare")
    journal = project.catalog().load("journal")

    with journal.lock("tiny"), pytest.raises(ExperimentError, match="is being run by process"):
        project.run("em_iteration")


@pytest.mark.parametrize(
    ("pipeline", "parameters", "error", "message"),
    [
        ("em_iteration", {}, ExperimentError, "kedro run --pipelines=prepare"),
        (
            "prepare",
            {"filtering__max_per_question": 0},
            ParameterError,
            r"filtering\.max_per_question must be at least 1",
        ),
        ("prepare", {"samplng__n": 3}, ParameterError, "samplng is not a parameter"),
        ("prepare", {"policy__model": "./no/such/folder"}, PolicyError, "no such folder"),
        ("prepare", {"questions__source": "nowhere"}, QuestionsError, "questions.source must be one of"),
        ("prepare", {"questions__n_train": 5000}, QuestionsError, "different questions"),
    ],
)
def test_bad_input_is_named_and_stops_the_run(
    project: Project, pipeline: str, parameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        project.run(pipeline, **parameters)


def test_zero_correct_samples_keep_the_samples_and_say_what_to_change(project: Project) -> None:
    project.run("prepare")

    with pytest.raises(EmptyTrainingSetError, match=r"raise sampling\.n"):
        project.run("em_iteration", sampling__n=1, sampling__temperature=0)

    assert len(project.catalog().load("iteration_1.scored_samples")) == 24


def test_faults_that_the_user_can_mend_print_one_line_and_no_traceback(project: Project) -> None:
    result = forked.run(["kedro", "run", "--env", "tiny", "--pipelines=em_iteration"], project.folder)

    assert result.returncode == 1
    assert "kedro run --pipelines=prepare" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout


def test_run_prints_the_results_with_intervals(copied: Project) -> None:
    result = forked.run(["kedro", "run", "--env", "tiny", "--pipelines=compare"], copied.folder)

    assert result.returncode == 0, result.stderr
    for i in range(3):
        number = copied.catalog().load(f"record_{i}")["metrics"]["test/pass_at_1"]
        assert f"{number['value']:.3f} [{number['low']:.3f}, {number['high']:.3f}]" in result.stdout


def test_registry_lists_every_iteration_without_importing_torch(project: Project) -> None:
    code = (
        "import sys; from kedro.framework.startup import bootstrap_project; bootstrap_project('.')\n"
        "from kedro.framework.project import pipelines; names = sorted(pipelines)\n"
        "heavy = {'torch', 'transformers', 'trl', 'mlflow', 'pandas'} & set(sys.modules)\n"
        "import json; print(json.dumps([names, sorted(heavy)]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=project.folder, capture_output=True, text=True, check=True
    )

    names, heavy = json.loads(result.stdout.splitlines()[-1])

    assert {"__default__", "prepare", "em_iteration", "iteration_1", "iteration_2", "compare"} <= set(names)
    assert heavy == []


def test_nothing_is_only_in_memory(finished: Project) -> None:
    from kedro.framework.project import pipelines
    from kedro.io import MemoryDataset

    catalog = finished.catalog()
    names = {name for name in pipelines["__default__"].datasets() if not name.startswith(("params:", "parameters"))}

    assert [name for name in names if isinstance(catalog.get(name), MemoryDataset)] == []


@pytest.mark.slow
def test_the_default_runs_on_a_real_pretrained_model(project: Project, smollm2_store: Path) -> None:
    shutil.copytree(smollm2_store, project.folder / "data/06_models/base")
    few = {
        "questions__n_train": 6,
        "questions__n_validation": 2,
        "questions__n_test": 2,
        "sampling__n": 8,
        "training__epochs": 1,
        "evaluation__n": 1,
        "evaluation__k": [1],
        "evaluation__n_train_questions": 2,
        "em__iterations": 1,
    }

    project.run(env="local", **few)

    catalog = project.catalog(env="local", **few)
    assert catalog.load("policy_0").name == "builtin:smollm2-135m-instruct"
    assert catalog.load("iteration_1.scoring_summary")["acceptance"] > 0
    assert catalog.load("policy_1").fingerprint != catalog.load("policy_0").fingerprint
    assert catalog.load("record_1")["training"]["final_loss"] < 5


def test_status_says_what_was_made_beyond_what_is_asked_for(copied: Project) -> None:
    (copied.folder / "conf" / "shorter").mkdir()
    (copied.folder / "conf" / "shorter" / "parameters.yml").write_text("em: {iterations: 1}")

    all_asked_for = CliRunner().invoke(restem, ["status", "--env", "tiny"])
    fewer = CliRunner().invoke(restem, ["status", "--env", "shorter", "--experiment", "tiny"])

    assert "iteration 2: complete" in all_asked_for.output
    assert "iteration 2: made, and not asked for now: em.iterations is 1" in fewer.output
