"""What is deployed: the package without the project around it; image and cluster, as far as they can be read."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
_DDP = "conf/accelerate/ddp.yaml"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on the path with what the wheel holds, and nothing else of the project."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src" / "restem", source / "src" / "restem", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source, source], check=True)
    subprocess.run([*pip, "install", "--no-deps", "--target", target, *source.glob("*.whl")], check=True)
    return target


@pytest.mark.slow
def test_the_package_runs_in_a_folder_that_has_nothing_but_conf(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf" / "local").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    restem = [sys.executable, "-m", "restem"]

    where = [sys.executable, "-c", "import restem; print(restem.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    subprocess.run([*restem, "run", "--env=tiny", "--pipelines=prepare"], cwd=tmp_path, env=environment, check=True)

    assert Path(found.stdout.strip()).is_relative_to(installed)
    assert list(tmp_path.glob("data/03_primary/tiny/questions.parquet/*/questions.parquet"))


@pytest.mark.slow
def test_the_package_has_every_pipeline(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    code = (
        "from kedro.framework.project import configure_project, pipelines; configure_project('restem'); "
        "print(*sorted(pipelines))"
    )
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    listed = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert {"__default__", "prepare", "baseline", "iteration_1", "em_iteration", "compare"} <= {*listed.stdout.split()}


def test_the_image_copies_only_what_is_there() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()

    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.MULTILINE) for name in line.split()
    ]

    assert len(copied) >= 6
    assert [name for name in copied if not (ROOT / name).exists()] == []
    sent = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert [name for name in copied if not any(fnmatch(name, pattern) for pattern in sent)] == []


def test_the_cluster_asks_for_parameters_that_exist_and_for_the_pinned_ray() -> None:
    from restem.configuration.check import check_parameters
    from tests.conftest import nested

    job: dict[str, Any] = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    given = dict(pair.split("=") for pair in re.search(r"--params=(\S+)", job["spec"]["entrypoint"])[1].split(","))
    parameters = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text()) | {"experiment": "e"}
    asked = nested({name.replace(".", "__"): yaml.safe_load(value) for name, value in given.items()})
    preset = yaml.safe_load((ROOT / "conf/gsm8k/parameters.yml").read_text())["training"]
    training = parameters["training"] | preset | asked["training"] | {"launcher_config": str(ROOT / _DDP)}
    checked = check_parameters(parameters | {"scale": asked["scale"], "training": training})
    cluster = job["spec"]["rayClusterSpec"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}

    assert f"ray=={cluster['rayVersion']}" in (ROOT / "requirements.lock").read_text()
    assert groups["sampling"]["maxReplicas"] == checked.scale.sampling.workers == checked.training.machines
    for group in groups.values():
        template = group["template"]["spec"]
        assert template["containers"][0]["volumeMounts"][0]["name"] == template["volumes"][0]["name"]
