"""The page that tells an iteration in order names functions that there are."""

import re
from importlib import import_module

import pytest

from restem import pipelines

STEPS = re.findall(r"^ {4}\w+ +([a-z_]+(?:\.[a-z_]+)+)", pipelines.__doc__ or "", re.MULTILINE)


def test_the_page_tells_every_step() -> None:
    assert len(STEPS) >= 14


@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_the_page_is_a_function(step: str) -> None:
    module, _, function = step.rpartition(".")

    assert callable(getattr(import_module(f"restem.{module}"), function))
