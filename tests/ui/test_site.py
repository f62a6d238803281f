"""The documentation site, opened from a disk: `make docs` builds it. Nothing is fetched, and its search finds."""

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.ui.page import Page

SITE = ROOT / "build/site"


@pytest.fixture(scope="session")
def site() -> Path:
    if not (SITE / "index.html").exists():
        if os.environ.get("RESTEM_REQUIRE_SITE") == "1":
            pytest.fail("RESTEM_REQUIRE_SITE=1, but there is no build/site; make docs builds it")
        pytest.skip("no build/site; make docs builds it")
    return SITE


@pytest.mark.slow
def test_search_finds_a_parameter_from_a_disk(page: Page, site: Path) -> None:
    page.open((site / "index.html").as_uri())
    page.click(".md-search__button")
    field = "document.activeElement.shadowRoot"  # the search is a component of its own
    page.wait(
        "the search", lambda: page.driver.execute_script(f"return {field} && {field}.querySelector('dialog[open]')")
    )

    page.driver.switch_to.active_element.send_keys("max_per_question")

    found = f"return {field}.textContent"
    wanted = "ReferenceParameters"  # where it is found
    page.wait("what is found", lambda: wanted in page.driver.execute_script(found))


@pytest.mark.slow
def test_nothing_is_fetched_and_formulas_are_drawn(page: Page, site: Path) -> None:
    page.open((site / "algorithm.html").as_uri())

    fetched = page.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in fetched if not name.startswith("file:")] == []
    heights = page.driver.execute_script(
        "return [...document.querySelectorAll('math')].map(e => e.getBoundingClientRect().height)"
    )
    assert len(heights) > 20 and min(heights) > 5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index.html", "parameters.html", "algorithm.html", "tutorial.html"])
def test_pages_fit_on_a_phone(page: Page, site: Path, name: str) -> None:
    page.open((site / name).as_uri(), width=390)

    assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
