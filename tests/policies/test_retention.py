"""em.keep_policies: which weights stay on disk, and what still works without the others."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from restem.__main__ import restem
from restem.errors import ParameterError, PolicyError, TrainingError
from restem.experiment import current_standing
from restem.policies.retention import Retention, unneeded
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal
from tests.conftest import Project


def records(*validation: float) -> dict[int, Any]:
    return {
        i: {
            "policy": f"p{i}",
            "parent": f"p{i - 1}",
            "base": "p0",
            "metrics": {"validation/pass_at_1": {"value": value}},
        }
        for i, value in enumerate(validation)
    }


@pytest.mark.parametrize(
    ("keep", "validation", "expected"),
    [
        ("all", [0.1, 0.5, 0.4, 0.3], []),
        ("last", [0.1, 0.5, 0.4, 0.3], [1, 2]),
        ("best", [0.1, 0.5, 0.4, 0.3], [2]),
        ("best", [0.1, 0.4, 0.4, 0.3], [2]),  # the first of equals
        ("best", [0.9, 0.4, 0.4, 0.3], [1, 2]),  # the base policy, which always stays
        ("last", [0.1], []),
    ],
)
def test_the_base_policy_the_last_and_what_was_asked_for_stay(
    keep: str, validation: list[float], expected: list[int]
) -> None:
    assert unneeded(records(*validation), keep) == expected


def test_without_validation_questions_no_policy_is_the_best_so_all_stay() -> None:
    unmeasured = {i: record | {"metrics": {}} for i, record in records(0.1, 0.5, 0.4, 0.3).items()}

    assert unneeded(unmeasured, "best") == []


def weights(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


@pytest.fixture(scope="module")
def lean(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment, run again so that it keeps the last policy only; samples and policies are in the journal."""
    made = Project(tmp_path_factory.mktemp("lean"))
    shutil.copytree(finished.folder / "data", made.folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.run(em__keep_policies="last")
    return made


@pytest.fixture
def in_lean(lean: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(lean.folder)
    return lean


def test_weights_that_no_later_step_needs_are_deleted_and_the_rest_stays(in_lean: Project, finished: Project) -> None:
    catalog, full = in_lean.catalog(), finished.catalog()
    policies = {i: catalog.load(f"policy_{i}") for i in range(3)}

    assert [policies[i].fingerprint for i in range(3)] == [full.load(f"policy_{i}").fingerprint for i in range(3)]
    assert [policies[i].deleted for i in range(3)] == [False, True, False]
    assert weights(in_lean.folder / "data/06_models/tiny/iteration_1") == []
    assert AutoTokenizer.from_pretrained(policies[1].folder).vocab_size
    assert folder_fingerprint(policies[2].folder) == policies[2].fingerprint
    assert len(weights(in_lean.folder / "data/02_intermediate/journal")) == 1  # policy_2's
    assert list(catalog.load("results")["iteration"].unique()) == [0, 1, 2]


def test_a_complete_experiment_is_run_again_without_training_again(in_lean: Project) -> None:
    journal = in_lean.folder / "data/02_intermediate/journal"
    before = sorted(path.name for path in journal.glob("policy-*/*"))

    in_lean.run(em__keep_policies="last")

    assert sorted(path.name for path in journal.glob("policy-*/*")) == before
    assert in_lean.catalog().load("policy_1").deleted
    assert current_standing().complete == (1, 2)
    assert CliRunner().invoke(restem, ["status", "--env", "tiny"]).exit_code == 0


def test_a_deleted_policy_is_refused_by_name_and_can_be_had_again(in_lean: Project, tmp_path: Path) -> None:
    again = r"policy_1 .* were deleted.*--params=(?=\S*em\.iteration=1)\S*em\.keep_policies=all"
    exported = CliRunner().invoke(restem, ["export", "1", str(tmp_path / "out"), "--env", "tiny"])
    assert exported.exit_code == 1
    assert "--params=em.iteration=1,em.keep_policies=all" in exported.output
    with pytest.raises(PolicyError, match=again):
        in_lean.run("em_iteration", em__iteration=2, sampling__n=48, em__allow_changes=True, em__keep_policies="last")
    fingerprint = in_lean.catalog().load("policy_1").fingerprint

    in_lean.run("em_iteration", to="record_1", em__iteration=1, em__keep_policies="all")

    policy = in_lean.catalog().load("policy_1")
    assert (policy.deleted, policy.fingerprint) == (False, fingerprint)
    assert folder_fingerprint(policy.folder) == fingerprint


def test_a_policy_folder_says_how_it_was_made_and_loads_by_itself(finished: Project) -> None:
    catalog = finished.catalog()
    base, policy = catalog.load("policy_0"), catalog.load("policy_1")

    made = json.loads((policy.folder / "policy.json").read_text())
    assert made["fingerprint"] == folder_fingerprint(policy.folder)
    assert (made["base"], made["parent"], made["trained_from"]) == (base.fingerprint,) * 3
    assert made["made_with"]["n_rows"] == len(catalog.load("iteration_1.training_set"))
    assert made["made_with"]["training"]["epochs"] == 10
    assert len(made["made_with"]["training_set"]) == 16
    assert {"torch", "transformers", "trl", "restem"} <= set(made["made_with"]["versions"])
    tokenizer = AutoTokenizer.from_pretrained(policy.folder)
    prompt = tokenizer("1 + 2 =", return_tensors="pt")
    answer = AutoModelForCausalLM.from_pretrained(policy.folder).generate(**prompt, max_new_tokens=4, do_sample=False)
    assert answer.shape[1] > prompt.input_ids.shape[1]


def test_another_experiment_trains_what_this_one_deleted(tmp_path: Path) -> None:
    entry = Journal(tmp_path).open("policy", start="a")
    mine = Retention("mine", "last")
    entry.write_text(mine.mark, json.dumps({"fingerprint": "f" * 16}))

    assert mine.deleted(entry) == "f" * 16
    assert Retention("mine", "all").deleted(entry) is None
    assert Retention("other", "last").deleted(entry) is None


def test_training_by_validation_reward_without_validation_questions_fails_before_the_first_node(
    project: Project,
) -> None:
    with pytest.raises(ParameterError, match=r"training\.eval_every .* questions\.n_validation is 0"):
        project.run("prepare", questions__n_validation=0)


def test_a_file_without_validation_questions_is_refused_before_anything_is_sampled(project: Project) -> None:
    rows = [
        {"text": f"What is {n} + 1?", "gold": {"answer": str(n + 1)}, "split": split}
        for n, split in enumerate(["train", "train", "test", "exemplar"])
    ]
    Path("mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    mine = {"questions__source": "file", "questions__options": {"path": "mine.jsonl", "reward": "exact", "tasks": None}}

    with pytest.raises(TrainingError, match=r"give questions of your own the split 'validation'"):
        project.run("prepare", **mine)

    assert not project.catalog(**mine).exists("questions_summary")
