"""The page about an experiment as its reader finds it: on a screen, on a phone, by keyboard, in the dark."""

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from tests.conftest import Project
from tests.ui.page import Page

SCREEN, PHONE = 1400, 390
LONGEST_ON_A_PHONE = 12_000  # points; most of it figures


@pytest.fixture(scope="session")
def url(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the finished experiment, as a file."""
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(finished.catalog().load("report_html"), encoding="utf-8")
    return file.as_uri()


def ask(driver: Chrome, script: str) -> Any:
    return driver.execute_script(f"return {script}")


@pytest.mark.slow
@pytest.mark.parametrize("width", [SCREEN, PHONE])
def test_nothing_is_cut_off(page: Page, url: str, width: int) -> None:
    page.open(url, width=width)

    assert ask(page.driver, "document.documentElement.scrollWidth") <= width
    shown = "p, summary, h1, h2, figcaption, figure svg, nav a"
    beyond = f"[...document.querySelectorAll('{shown}')].filter(e => e.getBoundingClientRect().right > {width})"
    assert ask(page.driver, f"{beyond}.map(e => e.textContent.slice(0, 80))") == []


@pytest.mark.slow
def test_all_of_the_results_is_on_a_screen(page: Page, url: str) -> None:
    page.open(url, width=SCREEN)

    tables = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth)"
    assert ask(page.driver, f"{tables}.map(e => e.textContent.slice(0, 80))") == []
    assert "pass@1" in page.see(".wide").text


@pytest.mark.slow
def test_a_phone_need_not_scroll_for_ever(page: Page, url: str) -> None:
    page.open(url, width=PHONE)

    assert ask(page.driver, "document.documentElement.scrollHeight") < LONGEST_ON_A_PHONE


@pytest.mark.slow
def test_contents_lead_to_every_section(page: Page, url: str) -> None:
    page.open(url, width=SCREEN)
    titles = [heading.text for heading in page.all("section h2")]

    assert [link.text for link in page.all("nav a")] == titles
    for link in page.all("nav a"):
        link.click()
        target = ask(page.driver, "document.querySelector(location.hash).querySelector('h2').textContent")
        assert target == link.text


@pytest.mark.slow
def test_parameters_are_folded_away_and_open_by_keyboard(page: Page, url: str) -> None:
    page.open(url, width=SCREEN)
    assert "sampling.top_k" not in page.text()
    folded = next(each for each in page.all("summary") if each.text.startswith("Parameters."))

    page.driver.execute_script("arguments[0].focus()", folded)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)

    page.read("sampling.top_k")


@pytest.mark.slow
def test_an_example_opens_for_whoever_follows_a_link_to_it(page: Page, url: str) -> None:
    page.open(url, width=SCREEN)
    (name, *_) = ask(page.driver, "[...document.querySelectorAll('article')].map((e, i) => e.id ||= `example-${i}`)")
    assert not page.all("article")[0].is_displayed()

    page.driver.execute_script(f"location.hash = '{name}'")

    page.wait("the example", page.all("article")[0].is_displayed)


@pytest.mark.slow
def test_it_is_dark_where_the_reader_wants_that(page: Page, url: str) -> None:
    def brightness(scheme: str) -> int:
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        page.open(url)
        colour = ask(page.driver, "getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))

    try:
        assert brightness("dark") < 3 * 64 < 3 * 192 < brightness("light")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
