"""A real Kedro project in an empty folder, run by real sessions."""

import logging
import os
import runpy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from restem.policies.policy import Policy

os.environ.update(HF_HUB_OFFLINE="1", MLFLOW_DISABLE_TELEMETRY="1", DO_NOT_TRACK="1")

ROOT = Path(__file__).parents[1]
_SLOW = ("slow", "long")
_SLOW_FIXTURES = {"project", "finished", "smollm2_store", "cluster", "shown", "in_lean", "ran", "family"}  # runs, Ray

FORCED = str(ROOT / "tests" / "forced_arithmetic")
if os.environ.get("RESTEM_TEST_DTYPE") and FORCED not in os.environ.get("PYTHONPATH", ""):
    # Here at once, and in all processes that are started from here, which run it by themselves.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [FORCED, os.environ.get("PYTHONPATH")]))
    runpy.run_path(f"{FORCED}/sitecustomize.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts from a whole run as slow; put files that take long first, so that none is waited for alone."""
    for item in items:
        if _SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    first = {item.path for item in items if any(map(item.get_closest_marker, _SLOW))}
    items.sort(key=lambda item: item.path not in first)


Logged = list[logging.LogRecord]


class Project:
    """A copy of the project's configuration with its own data, and the sessions that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if (folder / "conf").exists():  # it was made before
            return
        shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        (folder / "src").mkdir()
        (folder / "conf" / "local").mkdir()

    def run(self, *pipelines: str, env: str = "tiny", track: bool = False, to: str = "", **parameters: Any) -> None:
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(self.folder)
        runtime = nested({"tracking__enabled": track, **parameters})
        with KedroSession.create(project_path=self.folder, env=env, runtime_params=runtime) as session:
            session.run(pipeline_names=list(pipelines) or None, to_outputs=[to] if to else None)

    def catalog(self, env: str = "tiny", **parameters: Any) -> Any:
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(self.folder)
        with KedroSession.create(project_path=self.folder, env=env, runtime_params=nested(parameters)) as session:
            return session.load_context().catalog


class FinishedProject(Project):
    """One whose experiment nobody goes on with, so that what is read of its configuration holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._catalogs: dict[str, Any] = {}

    def catalog(self, env: str = "tiny", **parameters: Any) -> Any:
        key = f"{env} {sorted(parameters.items())}"
        if key not in self._catalogs:
            self._catalogs[key] = super().catalog(env, **parameters)
        return self._catalogs[key]


def nested(dotted: dict[str, Any]) -> dict[str, Any]:
    """Return {"em__iterations": 1} as {"em": {"iterations": 1}}."""
    result: dict[str, Any] = {}
    for name, value in dotted.items():
        *groups, last = name.split("__")
        place = result
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return result


@pytest.fixture
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of its own in which nothing ran, its MLflow store as new; the current folder is in it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = Project(tmp_path)
    shutil.copy(empty_store, tmp_path)
    monkeypatch.chdir(tmp_path)
    yield made


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[..., Path]:
    """What takes long and is only read: the first of the tests' processes that needs it makes it for all."""
    base = tmp_path_factory.getbasetemp()

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = (base if worker_id == "master" else base.parent) / name
        with FileLock(f"{folder}.lock"):
            if not (folder / "is_whole").exists():
                fill(folder)
                (folder / "is_whole").touch()
        return folder

    return make


@pytest.fixture(scope="session")
def empty_store(made_once: Callable[..., Path]) -> Path:
    """A database of MLflow as it makes it, which takes it seconds of migrations; to be copied to `mlflow.db`."""

    def fill(folder: Path) -> None:
        import mlflow

        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db").search_experiments()

    return made_once("empty_store", fill) / "mlflow.db"


@pytest.fixture(scope="session")
def finished(made_once: Callable[..., Path]) -> Project:
    """A project in which the whole tiny experiment ran; tests only read it."""

    def run(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            made = Project(folder)
            patch.chdir(folder)
            made.run(track=True)

    return FinishedProject(made_once("finished", run))


@pytest.fixture(scope="session")
def smollm2_store(made_once: Callable[..., Path]) -> Path:
    """A journal that holds the packaged SmolLM2."""

    def convert(folder: Path) -> None:
        from restem.policies.base_models import prepare_base_model
        from restem.store.journal import Journal

        prepare_base_model("builtin:smollm2-135m-instruct", store=Journal(folder))

    return made_once("smollm2", convert)


@pytest.fixture
def copied(finished: Project, project: Project) -> Project:
    """The finished experiment to go on with; MLflow does not know it."""
    shutil.copytree(finished.folder / "data", project.folder / "data")
    return project


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The real data sets beside the project; a test that needs one skips where it is not."""
    folder = Path(os.environ.get("RESTEM_DATA", ROOT / ".." / "shared" / "data")).resolve()

    def find(name: str) -> Path:
        if not (folder / name).exists():
            if os.environ.get("RESTEM_REQUIRE_DATA") == "1":
                pytest.fail(f"RESTEM_REQUIRE_DATA=1, but {folder / name} is missing")
            pytest.skip(f"{folder / name} is missing; name the folder of the data sets in RESTEM_DATA")
        return folder / name

    return find


@pytest.fixture(autouse=True)
def log_stays_enabled() -> Iterator[None]:
    """What runs in the process of the tests may not switch the log off for the tests behind it."""
    yield
    disabled = logging.root.manager.disable
    logging.disable(logging.NOTSET)
    assert disabled == logging.NOTSET, "the test, or what it ran, called logging.disable"


@contextmanager
def _records(level: int) -> Iterator[Logged]:
    """What restem itself logs, and no library does."""
    records: Logged = []
    handler = logging.Handler(level)
    logger = logging.getLogger("restem")
    before = logger.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "emit", records.append)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        yield records
        logger.removeHandler(handler)
        logger.setLevel(before)


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Records of restem's own log."""
    with _records(logging.INFO) as records:
        yield records


@pytest.fixture
def warned() -> Iterator[Logged]:
    """Records of restem's own log that are warnings or worse."""
    with _records(logging.WARNING) as records:
        yield records


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For what must be the same to the bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> "Policy":
    """The tiny base policy; tests only read it."""
    from restem.policies.base_models import prepare_base_model
    from restem.store.journal import Journal

    return prepare_base_model("builtin:tiny", store=Journal(tmp_path_factory.mktemp("store")))
