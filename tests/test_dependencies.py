"""What is installed, what is pinned and what the package allows are the same, so that a list of one is true of all."""

import re
import sys
import sysconfig
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What makes an environment, the project itself, and what torch brings where it is built for GPUs.
NOT_PINNED = re.compile(r"pip|setuptools|wheel|restem|(nvidia|cuda)-.*|triton")


def pinned() -> dict[str, Version]:
    """Return versions by name."""
    lines = [
        line
        for name in ("requirements.lock", "requirements-models.lock")
        for line in (ROOT / name).read_text().splitlines()
    ]
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines if line)}


def asked() -> list[Requirement]:
    """Return what the package asks for, extras included."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return [asked for asked in map(Requirement, lines) if asked.name != "restem"]


def needed() -> dict[str, Version]:
    """Return what is installed because something pinned needs it, or is pinned; others may stand beside it."""
    path = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]  # Ray puts packages of its own on sys.path
    installed = {canonicalize_name(package.metadata["Name"]): package for package in distributions(path=path)}
    found: dict[str, Version] = {}
    waiting = sorted(pinned())
    while waiting:
        name = waiting.pop()
        if name not in installed or name in found or NOT_PINNED.fullmatch(name):
            continue
        found[name] = Version(Version(installed[name].version).public)
        asked = map(Requirement, installed[name].requires or [])
        waiting += [canonicalize_name(one.name) for one in asked if one.marker is None or one.marker.evaluate()]
    return found


def test_what_is_installed_is_what_is_pinned() -> None:
    found = needed()

    assert len(found) > 200
    assert found == {name: version for name, version in pinned().items() if name in found}


@pytest.mark.parametrize("requirement", asked(), ids=lambda requirement: requirement.name)
def test_what_is_pinned_is_allowed(requirement: Requirement) -> None:
    assert pinned()[canonicalize_name(requirement.name)] in requirement.specifier


def test_what_is_needed_has_a_lowest_version() -> None:
    needed = [Requirement(line) for line in PROJECT["dependencies"]]

    assert [str(each) for each in needed if not {part.operator for part in each.specifier} & {">=", "~=", "=="}] == []


def test_python_is_one_that_was_tried() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    tried = set(re.findall(r"\| Python (3\.\d+)", (ROOT / "docs" / "machines.md").read_text()))

    assert {f"3.{minor}" for minor in range(30) if f"3.{minor}.5" in allowed} == tried
    assert f"3.{sys.version_info.minor}" in tried
