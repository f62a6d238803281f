from pathlib import Path
from typing import Any

import pytest
import yaml

from restem.configuration.check import check_parameters
from restem.configuration.resolve import resolve
from restem.errors import ParameterError
from tests.builders import read_preset

CONF = Path(__file__).parents[2] / "conf"
METHODS: dict[str, Any] = yaml.safe_load((CONF / "base" / "methods.yml").read_text())
PRESETS = ("base", "tiny", "small", "gsm8k", "math", "apps", "mbpp")
FAMILY = {"rest_em", "rest", "rft", "star", "exit", "iml", "rwr", "raft"}


def test_method_wins_over_the_preset_and_params_win_over_the_method() -> None:
    preset = {"method": "m", "sampling": {"n": 32, "top_k": 40}, "evaluation": {"n": 4, "k": [1]}}

    resolved = resolve(preset, methods={"m": {"sampling": {"n": 1, "top_k": 0}}}, runtime={"sampling": {"top_k": 7}})

    assert resolved["sampling"] == {"n": 1, "top_k": 7}
    assert preset["sampling"] == {"n": 32, "top_k": 40}


def test_unknown_method_is_named_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match=r"method must be one of a, b, got 'c'"):
        resolve({"method": "c"}, methods={"b": {}, "a": {}}, runtime=None)


def test_limit_of_samples_lowers_and_never_raises() -> None:
    given = {"sampling": {"n": 32}, "evaluation": {"n": 3, "k": [1, 2, 8]}, "limits": {"samples": 4}}

    resolved = resolve(given, methods={"rest_em": {}}, runtime=None)

    assert resolved["sampling"]["n"] == 4
    assert resolved["evaluation"] == {"n": 3, "k": [1, 2]}


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_with_every_preset(preset: str, method: str) -> None:
    runtime = {"policy": {"teacher": "builtin:tiny"}} if method == "distill" else {}

    checked = check_parameters(resolve(read_preset(preset) | {"method": method}, methods=METHODS, runtime=runtime))

    assert checked.method == method


def test_the_whole_family_is_there() -> None:
    assert set(METHODS) >= FAMILY | {"sft_human", "rest_star", "distill", "adaptive"}


def test_distillation_without_a_teacher_says_how_to_name_one() -> None:
    with pytest.raises(ParameterError, match=r"--params=policy\.teacher=MODEL"):
        check_parameters(resolve(read_preset("base") | {"method": "distill"}, methods=METHODS, runtime=None))


def test_greedy_sampling_of_many_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"sampling\.n must be 1 when sampling\.temperature is 0"):
        check_parameters(resolve(read_preset("base"), methods=METHODS, runtime={"sampling": {"temperature": 0.0}}))


@pytest.mark.parametrize(("preset", "n", "iterations"), [("math", 32, 3), ("apps", 64, 2)])
def test_presets_of_the_paper_have_the_paper_s_numbers(preset: str, n: int, iterations: int) -> None:
    checked = check_parameters(read_preset(preset))

    assert (checked.sampling.n, checked.em.iterations, checked.filtering.max_per_question) == (n, iterations, 10)
    assert (checked.sampling.temperature, checked.sampling.top_k, checked.prompt.style) == (0.7, 40, "few_shot")
    assert (checked.evaluation.temperature, checked.evaluation.top_p) == (1.0, 0.95)
    assert checked.training.start_from == "base"
