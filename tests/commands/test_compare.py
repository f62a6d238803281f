"""`restem compare` on experiments of a real catalog, their evaluations written by hand."""

from contextlib import chdir

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from restem.__main__ import restem
from restem.configuration.check import check_parameters
from restem.evaluation.comparisons import compare_all
from restem.evaluation.intervals import in_text
from restem.schemas import check
from restem.store.plain import plain
from tests.builders import evaluation
from tests.conftest import Project

pytestmark = pytest.mark.slow  # all read the same four experiments


def evaluation_of(i: int, seed: int, n_questions: int = 64) -> pd.DataFrame:
    random = np.random.default_rng([i, seed])
    n_correct = random.binomial(8, np.linspace(0.1, 0.5, n_questions) + 0.2 * i)
    return check("evaluation", evaluation(n_correct, policy_id=f"policy{i}"))


def write(
    project: Project, name: str, *, seed: int, last: int = 1, n_questions: int = 64, **parameters: object
) -> None:
    runtime = {"experiment": name, "em__seed": seed, **parameters}
    catalog = project.catalog(**runtime)
    raw = catalog.load("parameters")
    for i in range(2):
        catalog.save(f"evaluation_{i}", evaluation_of(i, seed, n_questions))
        catalog.save(f"record_{i}", {"iteration": i, "parameters": plain(check_parameters(raw))})


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("experiments"))
    write(made, "first", seed=1)
    write(made, "second", seed=2)
    write(made, "more", seed=1, sampling__n=32)
    write(made, "longer", seed=4, n_questions=80)
    return made


def compare(project: Project, *arguments: str) -> Result:
    with chdir(project.folder):
        return CliRunner().invoke(restem, ["compare", "--env", "tiny", *arguments])


def test_seeds_of_one_experiment_are_combined(experiments: Project) -> None:
    result = compare(experiments, "first", "second")

    assert result.exit_code == 0, result.output
    line = next(line for line in result.output.splitlines() if "iteration 1 against the base policy" in line)
    assert line.split()[6:8] == ["64", "2"]
    assert line.endswith("better")
    assert "over questions and seeds" in result.output


def test_one_experiment_is_told_as_its_own_report_tells_it(experiments: Project) -> None:
    line = compare(experiments, "first").output.splitlines()[2]

    row = compare_all([evaluation_of(0, 1), evaluation_of(1, 1)], seed=1).iloc[0]
    assert in_text(row["difference"], row["low"], row["high"], signed=True) in line


def test_one_experiment_is_compared_with_another(experiments: Project) -> None:
    result = compare(experiments, "first", "second", "--against", "more", "--iteration", "1")

    assert result.exit_code == 0, result.output
    assert "first, second, iteration 1" in result.output
    assert "1, 2" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument 'EXPERIMENT...'"),
        (("nowhere",), "there is no experiment 'nowhere'; there are: first, longer, more, second"),
        (("first", "more"), "differ in more than their seeds: sampling.n is 64 or 32"),
        (("first", "first"), "the same em.seed"),
        (("first", "second", "--iteration", "3"), "iteration 3 of experiment 'first' has no evaluation"),
        (("first", "--suite", "svamp"), "has no suite 'svamp'; it has: test"),
        (("first", "--against", "longer"), "16 of its questions are missing"),
    ],
)
def test_what_cannot_be_compared_is_said(experiments: Project, arguments: tuple[str, ...], said: str) -> None:
    result = compare(experiments, *arguments)

    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output
