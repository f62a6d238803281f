import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from restem.__main__ import restem
from restem.errors import PolicyError
from restem.policies.base_models import prepare_base_model
from restem.policies.model_card import export_policy, model_card
from restem.policies.policy import Policy
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal
from tests.conftest import Project
from tests.hub_server import serving


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    base = prepare_base_model("builtin:tiny", store=Journal(tmp_path / "store"))
    return replace(base, iteration=2, parent="sampledfrom", trained_from=base.fingerprint)


def record(policy: Policy) -> dict[str, Any]:
    return {
        "iteration": 2,
        "policy": policy.fingerprint,
        "metrics": {"test/pass_at_1": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 128}},
        "training": {"n_examples": 90, "best_step": 12, "gate": [{"check": "a", "outcome": "passed", "found": "b"}]},
        "versions": {"torch": "2.13.0"},
        "parameters": {"sampling": {"engine": "transformers"}},
        "questions_digest": "0123abc",
        "opinions": {"majority": "what most samples say, without any ground truth"},
    }


def test_an_exported_policy_is_the_same_model_with_a_card_and_a_manifest(policy: Policy, tmp_path: Path) -> None:
    folder = export_policy(policy, record(policy), experiment="demo", output=tmp_path / "out" / "policy")

    assert folder_fingerprint(folder) == policy.fingerprint
    manifest = json.loads((folder / "restem.json").read_text())
    assert (manifest["experiment"], manifest["trained_from"]) == ("demo", policy.fingerprint)
    assert manifest["training"]["best_step"] == 12
    card = (folder / "README.md").read_text()
    assert "| test/pass_at_1 | 0.500 | 0.400 to 0.600 | 128 |" in card
    assert "after 2 iteration(s)" in card
    assert "fine-tuned on its own solutions" in card
    assert "No check but an opinion: the reward majority is what most samples say, without any ground truth." in card
    assert AutoModelForCausalLM.from_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder)


def test_a_card_says_that_solutions_came_from_files(policy: Policy) -> None:
    from_files = {**record(policy), "parameters": {"sampling": {"engine": "file"}}}

    card = model_card(policy, from_files, experiment="demo")

    assert "fine-tuned on solutions from files that a reward found correct" in card
    assert "| sampled from | files |" in card


def test_a_folder_that_exists_is_left_alone(policy: Policy, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="exists"):
        export_policy(policy, record(policy), experiment="demo", output=tmp_path)


def test_a_policy_that_is_not_the_recorded_one_is_not_exported(policy: Policy, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(policy.folder, other)
    (other / "config.json").write_text("{}")

    with pytest.raises(PolicyError, match="run that iteration again"):
        export_policy(replace(policy, path=str(other)), record(policy), experiment="demo", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_hub_without_a_token_is_refused_before_anything_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)

    result = CliRunner().invoke(restem, ["export", "1", str(tmp_path / "out"), "--hub", "me/mine"])

    assert result.exit_code == 1
    assert "HF_TOKEN" in result.output


def test_the_best_policy_is_exported_by_that_name(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)
    best = finished.catalog().load("best_policy")

    result = CliRunner().invoke(restem, ["export", "best", str(tmp_path / "out"), "--env", "tiny"])

    assert result.exit_code == 0, result.output
    assert f"iteration {best.iteration}" in result.output
    assert folder_fingerprint(tmp_path / "out") == best.fingerprint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-1"], "No such option"),
        (["worst"], "'worst' is neither an iteration nor best"),
        (["best", "--experiment", "unheard"], "has no best policy yet"),
        (["7"], "has no policy_7 and no record_7"),
    ],
)
def test_what_cannot_be_exported_is_said(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(finished.folder)

    which, *rest = arguments
    result = CliRunner().invoke(restem, ["export", which, str(tmp_path / "out"), "--env", "tiny", *rest])

    assert result.exit_code != 0
    assert message in result.output
    assert not (tmp_path / "out").exists()


def exported_to_hub(project: Project, output: Path, *, url: str, token: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "restem", "export", "1", str(output), "--env", "tiny", "--hub", "me/mine"]
    environment = {**os.environ, "HF_ENDPOINT": url, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_hub_gets_the_whole_folder_in_a_private_repository(finished: Project, tmp_path: Path) -> None:
    with serving(token="secret") as hub:
        result = exported_to_hub(finished, tmp_path / "out", url=hub.url, token="secret")

    assert result.returncode == 0, result.stderr
    assert hub.created == [{"name": "mine", "organization": "me", "visibility": "private"}]
    assert hub.files == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert {"README.md", "restem.json", "model.safetensors", "config.json", "tokenizer.json"} <= set(hub.files)


def test_a_hub_that_refuses_leaves_the_folder_and_says_so(finished: Project, tmp_path: Path) -> None:
    with serving(token="secret") as hub:
        result = exported_to_hub(finished, tmp_path / "out", url=hub.url, token="wrong")

    assert result.returncode == 1
    assert f"{tmp_path / 'out'} is whole, but could not be uploaded to me/mine" in result.stderr
    assert "Traceback" not in result.stderr
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out")
