"""What is known of a machine, as plain data."""

from dataclasses import dataclass

from packaging.requirements import Requirement


@dataclass(frozen=True)
class Package:
    """A package that restem needs."""

    requirement: Requirement
    version: str | None  # that is installed


@dataclass(frozen=True)
class Card:
    """A GPU that torch can use."""

    name: str
    memory_bytes: int
    has_bfloat16: bool
    fault: str = ""  # what a first computation on it came to


@dataclass(frozen=True)
class Torch:
    """torch as it is installed."""

    version: str
    build: str  # CPU, CUDA 13.0, ROCm 7.0
    cards: tuple[Card, ...] = ()
    cpu_has_bfloat16: bool = False
    has_mps: bool = False


@dataclass(frozen=True)
class Place:
    """The folder where results go."""

    path: str
    free_bytes: int
    is_writable: bool


@dataclass(frozen=True)
class Project:
    """The Kedro project around the current folder, in an environment."""

    path: str
    experiment: str
    base_model: str
    asks_the_hub: bool
    is_tracked: bool
    not_in_catalog: tuple[str, ...] = ()  # datasets that restem writes


@dataclass(frozen=True)
class Reached:
    """A service or a store that was tried."""

    where: str
    fault: str = ""  # why it cannot be used
    is_new: bool = False  # the first run makes it


@dataclass(frozen=True)
class Hub:
    """The Hugging Face hub."""

    where: str
    is_offline: bool  # the environment says so
    fault: str = ""
    has_token: bool = False


@dataclass(frozen=True)
class Machine:
    """All of it."""

    system: str  # as `platform.system()`
    release: str
    architecture: str
    python: str
    supported_python: str  # as a range of versions
    packages: tuple[Package, ...]
    torch: Torch | str  # or why it cannot be imported
    drivers: tuple[str, ...]  # of graphics cards that are there: NVIDIA, AMD
    n_cores: int
    free_memory_bytes: int
    place: Place
    judging_fault: str  # why no completion can be judged; nothing if one was
    sandbox_fault: str  # why there is none; nothing if there is
    project: Project | str  # or why there is none; nothing outside of a project
    mlflow: Reached
    hub: Hub
    has_demo_model: bool
    browser: str | None
