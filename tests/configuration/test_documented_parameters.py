"""What README and docs say to type is accepted: every YAML block, every command, every parameter in a sentence."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from restem.configuration.check import check_parameters
from restem.configuration.command_line import read_params
from restem.configuration.preflight import refuse_unusable
from restem.configuration.resolve import merged, resolve
from restem.engines import check_engine, known_engines
from restem.errors import EngineError
from restem.parameters import Parameters
from tests.conftest import ROOT, nested

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GROUPS = [*Parameters.__dataclass_fields__]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SENTENCE = re.compile(rf"`((?:{'|'.join(GROUPS)})(?:\.[\w.]+)?)(?:: |=)([^`\n]+)`")
OWN_METHODS = "conf/local/methods.yml"


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for language, text in FENCED.findall(page.read_text()) if language in languages]


def methods() -> dict[str, Any]:
    found = yaml.safe_load((ROOT / "conf/base/methods.yml").read_text())
    for page in PAGES:
        for text in blocks(page, "yaml"):
            if OWN_METHODS in text:
                found |= yaml.safe_load(text)
    return found


def configured(*, env: str = "base", runtime: dict[str, Any] | None = None) -> Parameters:
    """Return the parameters of a preset with those of a page."""
    base = yaml.safe_load((ROOT / "conf/base/parameters.yml").read_text()) | {"experiment": "e"}
    preset = yaml.safe_load((ROOT / f"conf/{env}/parameters.yml").read_text()) | {"experiment": "e"}
    return check_parameters(resolve(merged(merged(base, preset), runtime or {}), methods=methods(), runtime=runtime))


def written(text: str) -> list[dict[str, Any]]:
    """Return the groups of parameters that a YAML block sets: itself, an experiment of a study, a method."""
    given = yaml.safe_load(text)
    if OWN_METHODS in text:
        return list(given.values())
    if "experiments" in given:
        common = given.get("parameters", {})
        return [merged(common, _plain(own or {})) for own in given["experiments"].values()]
    if "globals.yml" in text:
        return []
    return [given if set(given) <= set(GROUPS) else {"scoring": {"options": given}}]  # or the options of a reward


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment without what a study works out."""
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in given.items()
        if not (isinstance(value, dict) and set(value) & {"product", "policy_of"})
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_to_write_is_accepted(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "key")
    for text in blocks(page, "yaml"):
        for runtime in written(text):
            parameters = configured(runtime=runtime)
            if not any(name in text for name in ("my_package", "my-reward-model", "engine: file")):  # of the reader's
                refuse_unusable(parameters)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_to_type_is_accepted(page: Path) -> None:
    commands = [line for text in blocks(page, "", "bash", "sh") for line in text.splitlines() if "--params=" in line]
    commands += re.findall(r"`([^`\n]*--params=[^`\n]*)`", FENCED.sub("", page.read_text()))
    for command in commands:
        env = re.search(r"--env[= ](\w+)", command)
        (params,) = (word for word in shlex.split(command, comments=True) if word.startswith("--params="))
        configured(env=env[1] if env else "base", runtime=typed(params.removeprefix("--params=")))


def typed(params: str) -> dict[str, Any]:
    """Return what is made of --params; N stands for a number."""
    return read_params(params.replace("=N", "=1"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_of_a_parameter_in_a_sentence_is_accepted(page: Path) -> None:
    for name, value in SENTENCE.findall(FENCED.sub("", page.read_text())):
        given = yaml.safe_load(value)
        if name == "sampling.engine_options":
            assert any(takes(engine, given) for engine in known_engines()), f"{page.name}: {name}: {value}"
            continue
        with_it = nested({name.replace(".", "__"): given})
        if with_it.get("training", {}).get("machines"):
            with_it["training"] |= {"launcher": "ray"}
        configured(runtime=_plain(with_it))


def takes(engine: str, options: dict[str, Any]) -> bool:
    try:
        check_engine(engine, options)
    except EngineError:
        return False
    return True


def test_the_presets_measure_no_suite_more_often_than_they_sample() -> None:
    """Of BIG-Bench Hard's 6,511 questions, 64 answers each would cost more than all the E-step."""
    assert configured(env="math").evaluation.of_suite["bbh"].n == 1
