"""From names of installed packages to the files and folders that a program must see to import them."""

from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement


class Packages(NamedTuple):
    """Packages with all that they need."""

    distributions: tuple[str, ...]  # names, sorted
    paths: tuple[str, ...]  # top-level files and folders, sorted


def find_packages(names: Sequence[str]) -> Packages:
    """Return the packages of these names, and those that they need.

    Raises:
        ValueError: If one is not installed, or not in a way that could be shown, as an editable install is.
    """
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"packages must be a list of names, got {names!r}")
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        try:
            package = distribution(name)
        except (PackageNotFoundError, ValueError) as error:
            raise ValueError(f"packages names {name!r}, which is not installed here") from error
        if package.metadata["Name"] not in found:
            found[package.metadata["Name"]] = package
            waiting += _needed_by(package)
    paths = {path for package in found.values() for path in _top_level(package)}
    return Packages(tuple(sorted(found)), tuple(sorted(paths)))


def _needed_by(package: Distribution) -> list[str]:
    needs = map(Requirement, package.requires or ())
    return [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def _top_level(package: Distribution) -> set[str]:
    files = package.files or ()
    tops = {file.parts[0] for file in files} - {"..", "__pycache__", ""}
    found = {str(package.locate_file(top)) for top in tops if not top.endswith((".pth", ".dist-info", ".egg-info"))}
    if not any(Path(path).exists() for path in found):
        raise ValueError(
            f"packages names {package.metadata['Name']!r}, whose files cannot be found; "
            "an editable install cannot be shown"
        )
    information = {str(package.locate_file(top)) for top in tops if top.endswith(".dist-info")}
    return {path for path in found | information if Path(path).exists()}
