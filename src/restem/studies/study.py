"""Studies: experiments that are compared, each named by how it differs from a base.

A study is a YAML file; those that come with restem are in conf/studies. An experiment in it is written as parameters
are, with the difference that a value may depend on the base:

    {product: [sampling.n, 3]}    three times what the base has
    {policy_of: NAME}             the last policy of an earlier experiment of the study, unless the base names one
"""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from restem.configuration.consistency import deciding_as_asked
from restem.errors import StudyError
from restem.parameters import Parameters
from restem.parameters.ranges import explained
from restem.store.plain import flat

BASE = "base"  # the base policy, where a study names what it compares with
_PRODUCT, _POLICY_OF = "product", "policy_of"
_SUFFIXES = (".yml", ".yaml")
_STRICT = ConfigDict(extra="forbid")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


@dataclass(frozen=True, config=_STRICT)
class Study:
    """What a study's file says."""

    title: str
    question: str  # that it answers
    experiments: dict[Name, dict[str, Any] | None]  # by name: how each differs; env is its Kedro environment
    name: str = ""  # of the file
    source: str = ""  # the experiment of a paper that it repeats
    caveat: str = ""  # what it does not show
    env: str | None = None  # Kedro environment, if --env names none
    parameters: dict[str, Any] = Field(default_factory=dict)  # of all its experiments, as --params
    against: str = BASE  # what the others are compared with: base, or an experiment
    iterations: Literal["last", "all"] = "last"  # whose policies are compared
    sections: list[Literal["pass_at_k", "gap", "difficulty"]] = Field(default_factory=list)  # of the report, beside all
    needs: list[Literal["transfer"]] = Field(default_factory=list)  # of the preset


class Difference(NamedTuple):
    """An experiment of a study, ready to run but for the policies that it borrows."""

    env: str | None
    parameters: dict[str, Any]  # as --params
    borrows: dict[str, str]  # dotted parameter -> experiment whose last policy it is to be


def known_studies(folder: Path) -> dict[str, Path]:
    """Return the studies in a folder by name."""
    return {file.stem: file for file in sorted(folder.glob("*")) if file.suffix in _SUFFIXES}


def read_study(source: str, folder: Path) -> Study:
    """Return a study by the name of a file in the folder, or by the path of a file.

    Raises:
        StudyError: If there is none, or its file is not a study.
    """
    known = known_studies(folder)
    path = known.get(source, Path(source))
    if path.suffix not in _SUFFIXES or not path.is_file():
        raise StudyError(
            f"there is no study {source!r}; known are {', '.join(known) or 'none'}, and any .yml file by its path"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StudyError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(content, Mapping):
        raise StudyError(f"{path} must hold title, question and experiments, got {type(content).__name__}")
    try:
        study = TypeAdapter(Study).validate_python({**content, "name": path.stem})
    except ValidationError as error:
        raise StudyError(f"{path}: {'; '.join(explained(error, whole='a study'))}") from error
    _check(study, path)
    return study


def differences(study: Study, base: Mapping[str, Any]) -> dict[str, Difference]:
    """Return what every experiment of a study is run with, by name.

    Args:
        study: The study.
        base: The parameters of the base: preset, study.parameters and --params.

    Raises:
        StudyError: If a value refers to what is not there.
    """
    known = flat(base)
    by_name: dict[str, Difference] = {}
    for name, entry in study.experiments.items():
        borrows = {path: str(value) for path, value in _references(entry or {}, _POLICY_OF) if not known.get(path)}
        for path, lender in borrows.items():
            if lender not in by_name:
                raise StudyError(
                    f"study {study.name!r}: experiments.{name}.{path} is the policy of {lender!r}, which must be an "
                    f"experiment above it; there is {', '.join(by_name) or 'none'}"
                )
        parameters = _evaluated(entry or {}, known, where=f"study {study.name!r}: experiments.{name}")
        env = parameters.pop("env", None)
        by_name[name] = Difference(env, parameters, borrows)
    return by_name


def refuse_equals(configured: Mapping[str, Parameters], *, study: str) -> None:
    """Raise if two experiments would give the same; the name of a method alone makes no difference.

    Raises:
        StudyError: With their names.
    """
    seen: dict[str, str] = {}
    for name, parameters in configured.items():
        what = deciding_as_asked(parameters) | {"method": "", "em.iterations": parameters.em.iterations}
        other = seen.setdefault(repr(sorted(what.items())), name)
        if other != name:
            raise StudyError(
                f"study {study!r}: the experiments {other} and {name} have the same parameters, so there is nothing to "
                "compare; --params and limits hold for every experiment"
            )


def _check(study: Study, path: Path) -> None:
    if not study.experiments:
        raise StudyError(f"{path}: experiments is empty")
    if study.against != BASE and study.against not in study.experiments:
        raise StudyError(
            f"{path}: against must be {BASE} or one of {', '.join(study.experiments)}, got {study.against!r}"
        )
    reserved = {"experiment", "tracking"}
    for name, entry in [("parameters", study.parameters), *study.experiments.items()]:
        taken = sorted(reserved & set(entry or {}))
        if taken:
            raise StudyError(f"{path}: {name}.{taken[0]} is the study's to set, from its own name")


def _evaluated(values: Mapping[str, Any], known: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Return the parameters with products worked out, and without borrowed policies."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        place = f"{where}.{key}"
        if not isinstance(value, Mapping):
            result[key] = value
        elif set(value) == {_PRODUCT}:
            result[key] = _product(value[_PRODUCT], known, where=place)
        elif set(value) != {_POLICY_OF}:
            result[key] = _evaluated(value, known, where=place)
            if value and not result[key]:
                del result[key]  # it held nothing but borrowed policies
    return result


def _product(factors: Any, known: Mapping[str, Any], *, where: str) -> float:
    if not isinstance(factors, list) or not factors:
        raise StudyError(f"{where}.{_PRODUCT} must be a list of numbers and names of parameters, got {factors!r}")
    numbers: list[float] = []
    for factor in factors:
        number = known.get(factor) if isinstance(factor, str) else factor
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise StudyError(f"{where}.{_PRODUCT}: {factor!r} is not a number, nor a parameter that is one here")
        numbers.append(number)
    product = prod(numbers)
    return int(product) if product == int(product) else product  # half of eight samples are four, and not 4.0


def _references(values: Mapping[str, Any], kind: str, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            if set(value) == {kind}:
                yield f"{prefix}{key}", value[kind]
            else:
                yield from _references(value, kind, f"{prefix}{key}.")
