"""Third-party packages that programs are given by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from restem.errors import RewardError
from restem.rewards import Reward, Verdict, load_reward
from restem.rewards.sandbox.packages import find_packages

MEAN = {"tests": "assert mean([1, 2, 6]) == 3\nassert mean([5]) == 5", "entry_point": "mean"}
WITH_NUMPY = "import numpy as np\n\ndef mean(xs):\n    return np.mean(np.array(xs))\n"


@pytest.fixture(scope="module")
def given() -> Iterator[Reward]:
    with load_reward("code", timeout_s=10.0, workers=1, packages=["pandas"]) as reward:
        yield reward


def verdict(reward: Reward, program: str, **gold: Any) -> Verdict:
    return reward.score([{"question_id": "q", "gold": gold or MEAN}], [program])[0]


def test_a_program_can_import_a_package_that_is_named_and_what_that_needs(given: Reward) -> None:
    frame = "import pandas as pd\n\ndef mean(xs):\n    return pd.Series(xs).mean()\n"

    assert verdict(given, WITH_NUMPY).reason == "correct"
    assert verdict(given, frame).reason == "correct"
    assert verdict(given, frame.replace(".mean()", ".max()")).reason == "wrong"


def test_tests_can_import_it_too(given: Reward) -> None:
    tests = "import numpy as np\nassert np.isclose(mean([1, 2]), 1.5)\nassert mean([1, 3]) == np.float64(2)"

    assert verdict(given, WITH_NUMPY, tests=tests, entry_point="mean").reason == "correct"


def test_numbers_of_numpy_are_numbers_and_arrays_are_objects(given: Reward) -> None:
    tests = "assert total([1, 2]) == 3 and total([]) == 0"
    program = "import numpy as np\n\ndef total(xs):\n    return {}\n"

    of_sum, of_array = (
        verdict(given, program.format(value), tests=tests, entry_point="total").reason
        for value in ("np.int64(sum(xs))", "np.array([sum(xs)])")
    )

    assert (of_sum, of_array) == ("correct", "wrong")


def test_a_package_cannot_be_written_and_no_other_is_there(given: Reward) -> None:
    program = """
import importlib, os, numpy

def refused(action):
    try:
        action()
    except (OSError, ImportError):
        return True
    return False

def answer():
    folder = os.path.dirname(numpy.__file__)
    return (
        refused(lambda: open(folder + "/evil.py", "w"))
        and refused(lambda: os.remove(numpy.__file__))
        and refused(lambda: os.mkdir("/packages/evil"))
        and refused(lambda: importlib.import_module("torch"))
        and refused(lambda: importlib.import_module("scipy"))
    )
"""
    assert verdict(given, program, tests="assert answer() is True", entry_point="answer").reason == "correct"


def test_without_it_nothing_is_there() -> None:
    with load_reward("code", timeout_s=5.0, workers=1) as reward:
        assert verdict(reward, WITH_NUMPY).reason == "crashed"


def test_the_version_names_the_packages() -> None:
    plain, numpy = (load_reward("code", packages=names) for names in ([], ["numpy"]))

    assert plain.version != numpy.version
    assert "numpy" in find_packages(["pandas"]).distributions


@pytest.mark.parametrize("packages", [["no-such-package"], "numpy", [1], ["../numpy"]])
def test_a_package_that_is_not_installed_is_named_when_the_reward_is_loaded(packages: Any) -> None:
    with pytest.raises(RewardError, match="packages"):
        load_reward("code", packages=packages)
