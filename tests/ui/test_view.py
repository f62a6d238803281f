"""`restem view` as a reader sees it, in a real browser: served and as one file, which say the same."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from selenium.webdriver.common.keys import Keys

from restem.viewing.one_file import one_file
from restem.viewing.server import ViewServer
from tests.ui.conftest import Shown
from tests.ui.page import Page
from tests.viewing.planted import HOSTILE, UNSEEN, Kept, opened, source

pytestmark = pytest.mark.slow
QUESTIONS = ["train-1", "train-2", "test-1", "test-2", "left-out"]


class Read(NamedTuple):
    url: str
    is_served: bool
    store: Kept


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Read]]:
    """The planted experiment, served, and as one file beside it."""
    folder = tmp_path_factory.mktemp("view")
    library, notes, stores = opened(folder, source(folder, train_2=HOSTILE))
    file = folder / "samples.html"
    file.write_text(one_file(library, notes, command="restem view"), encoding="utf-8")
    with ViewServer(library, notes, user="ann", port=0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        store = stores["planted"]
        yield {"served": Read(server.url, True, store), "file": Read(file.as_uri(), False, store)}
        server.shutdown()
        thread.join()
    library.close()


@pytest.fixture(params=["served", "file"])
def read(both: dict[str, Read], request: pytest.FixtureRequest) -> Read:
    return both[request.param]


@pytest.fixture(autouse=True)
def nothing_is_remembered(page: Page) -> Iterator[None]:
    yield
    page.driver.execute_script("try { localStorage.clear() } catch {}")
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def go(page: Page, read: Read, fragment: str = "", **size: int) -> None:
    page.open(f"{read.url}{fragment}", **size)
    settle(page)


def settle(page: Page) -> None:
    page.wait("the page", lambda: js(page, "return !document.querySelector('[aria-busy=true]')"))


def js(page: Page, script: str, *values: Any) -> Any:
    return page.driver.execute_script(script, *values)


def listed(page: Page) -> list[str]:
    return list(js(page, "return [...document.querySelectorAll('#questions a')].map(link => link.dataset.id)"))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.driver.switch_to.active_element.send_keys(key)
        settle(page)


def title(page: Page) -> str:
    return str(js(page, "return document.getElementById('question-title')?.textContent ?? ''"))


@pytest.mark.parametrize(
    ("fragment", "questions"),
    [
        ("", QUESTIONS),
        ("#verdict=accepted&iteration=0", ["test-2"]),
        ("#fate=over_cap", ["train-1"]),
        ("#change=newly+solved", ["test-1"]),
        ("#change=newly+lost&iteration=0", []),
        ("#doubtful=1", ["train-1"]),
        ("#search=creme+%E8%8B%B9%E6%9E%9C", ["train-2"]),
        ("#search=thr+TW", ["train-1"]),
        ("#search=hree", []),
        ("#search=...", []),
        ("#split=test&level=hard", ["test-2"]),
        ("#search=left", ["left-out"]),
    ],
)
def test_a_file_leaves_the_same_questions_as_the_server(
    page: Page, both: dict[str, Read], fragment: str, questions: list[str]
) -> None:
    said = []
    for read in both.values():
        go(page, read, fragment)
        assert listed(page) == questions
        said.append(js(page, "return document.getElementById('status').textContent"))
    assert said[0] == said[1]


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_file_says_of_a_question_what_the_server_says(page: Page, both: dict[str, Read], question: str) -> None:
    said = []
    for read in both.values():
        go(page, read, f"#q={question}&verdict=rejected")
        said.append(js(page, "return document.getElementById('question').textContent"))

    assert question in said[0]
    assert said[0] == said[1]


def test_a_question_shows_prompt_gold_verdicts_fates_and_what_changed(page: Page, read: Read) -> None:
    go(page, read, "#q=train-1")

    page.read(
        "What is train-1?", "Gold: 4", "iteration 1, samples of policy_0", "6 answers, 5 accepted, 2 learned from"
    )
    page.read(
        "✓ accepted", "✗ rejected: wrong", "over the cap: filtering.max_per_question", "refuses it: second: wrong: 5"
    )
    page.read("log-probability -1.25", "5 tokens, 5 characters", "cut off by max_new_tokens")
    go(page, read, "#q=test-1")
    page.read("Newly solved in iteration 1", "policy_0, evaluated", "policy_1, evaluated")
    go(page, read, "#q=left-out")
    page.read("Never asked: unparseable_gold")


def test_an_address_of_a_question_that_is_not_there_says_so(page: Page, read: Read) -> None:
    go(page, read, "#q=nobody")

    page.read("There is no question", "nobody")
    assert listed(page) == QUESTIONS


def test_what_models_write_is_shown_as_text_and_never_run(page: Page, read: Read) -> None:
    go(page, read, "#q=train-2")

    page.read(HOSTILE, "U+202E", "U+200B", "三个苹果")
    texts = js(page, "return [...document.querySelectorAll('article pre')].map(each => each.textContent)")
    assert UNSEEN.replace("\u202e", "U+202E").replace("\u202c", "U+202C").replace("\u200b", "U+200B") in texts
    assert js(page, "return document.querySelectorAll('main img, main script').length") == 0
    assert js(page, "return window.hacked ?? null") is None
    blocked = "try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch (error) { return error.name }"
    assert js(page, blocked) == "TypeError"  # the page's own policy takes no HTML


def test_all_is_done_by_keyboard(page: Page, read: Read) -> None:
    go(page, read)

    press(page, "j")
    assert title(page) == "Question train-1"
    assert js(page, "return document.activeElement.id") == "question-title"
    press(page, "j", "n", "k")
    assert title(page) == "Question train-2"
    press(page, "/")
    page.driver.switch_to.active_element.send_keys("test")
    page.wait("what is found", lambda: listed(page) == ["test-1", "test-2"])
    assert title(page) == "Question train-2"  # keys are letters in a field
    js(page, "document.getElementById('question').focus()")
    press(page, "j", "d")
    page.wait("the difference", lambda: js(page, "return document.getElementById('difference').open"))
    assert js(page, "return document.querySelector('#difference pre del').textContent") == "5"
    press(page, Keys.ESCAPE, "h")
    assert js(page, "return document.getElementById('help').open")
    js(page, "document.getElementById('use-keys').click()")
    press(page, Keys.ESCAPE, "j")
    assert title(page) == "Question test-1"  # they are switched off


def test_every_control_is_named_and_is_reached_by_tab_with_a_focus_that_is_seen(page: Page, read: Read) -> None:
    go(page, read, "#q=train-1")
    unnamed = """return [...document.querySelectorAll('button, input, select, textarea, a, summary, article, nav')]
        .filter(each => !(each.textContent.trim() || each.labels?.length || each.getAttribute('aria-label'))).length"""

    assert js(page, unnamed) == 0
    assert js(page, "return document.documentElement.lang") == "en"
    assert js(page, "return ['header', 'nav', 'main'].every(name => document.querySelectorAll(name).length === 1)")
    assert js(page, "return document.getElementById('status').getAttribute('aria-live')") == "polite"
    levels = js(page, "return [...document.querySelectorAll('h1, main h2, main h3')].map(each => each.tagName)")
    assert levels[:3] == ["H1", "H2", "H3"]
    js(page, "document.getElementById('skip').focus()")
    reached = set()
    for _ in range(25):
        press(page, Keys.TAB)
        outline = js(page, "const e = document.activeElement; return [e.tagName, getComputedStyle(e).outlineStyle]")
        assert outline[1] != "none", outline
        reached.add(outline[0])
    assert reached >= {"BUTTON", "INPUT", "SUMMARY", "A", "PRE", "ARTICLE"}


def contrast(page: Page) -> float:
    """Return the least contrast of a text with what it stands on, as WCAG computes it."""
    return float(
        js(
            page,
            """const rgb = text => text.match(/[\\d.]+/g).map(Number);
            const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
            const light = rgb => rgb.slice(0, 3).reduce((sum, v, i) => sum + linear(v) * [.2126, .7152, .0722][i], 0);
            const ground = each => {
              for (; each; each = each.parentElement) {
                const colour = rgb(getComputedStyle(each).backgroundColor);
                if (colour.length < 4 || colour[3] > 0) return colour;
              }
              return [255, 255, 255];
            };
            const says = each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim());
            const seen = e => e.offsetParent && !e.disabled && says(e);
            const texts = [...document.querySelectorAll('body *')].filter(seen);
            return Math.min(...texts.map(each => {
              const pair = [light(rgb(getComputedStyle(each).color)), light(ground(each))].sort((a, b) => b - a);
              return (pair[0] + .05) / (pair[1] + .05);
            }))""",
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_legible_in_light_and_in_the_dark(page: Page, read: Read, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    go(page, read, "#q=train-2")

    dark = js(page, "return getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 26)"
    assert dark == (scheme == "dark")
    assert contrast(page) >= 4.5


def test_on_a_phone_the_list_and_the_question_take_turns_and_nothing_is_cut_off(page: Page, read: Read) -> None:
    for fragment in ("", "#q=train-1", "#q=train-2"):
        go(page, read, fragment, width=390, height=844)
        assert js(page, "return document.documentElement.scrollWidth <= innerWidth")
        assert js(page, "return document.getElementById('list').offsetParent !== null") == (fragment == "")
    buttons = "[...document.querySelectorAll('main button')].filter(each => each.offsetParent)"
    small = js(page, f"return {buttons}.filter(each => each.offsetHeight < 44).length")
    assert small == 0
    page.click(".to-list")
    settle(page)
    assert listed(page) == QUESTIONS
    assert js(page, "return document.activeElement.dataset.id") == "train-2"


def test_marks_are_kept_beside_the_experiment_or_handed_on_as_lines(page: Page, read: Read, tmp_path: Path) -> None:
    read.store.marks.clear()
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    go(page, read, "#q=train-1")

    js(page, "document.querySelector('article summary').click()")
    page.see("article .who").clear()
    page.see("article .who").send_keys("Ann")
    page.see("article textarea").send_keys("says 4 <b>")
    page.click("article .opinions button", "Wrong")
    page.read("wrong, says Ann", "says 4 <b>")
    js(page, "document.querySelectorAll('article')[1].focus()")
    press(page, "r")
    page.read("right, says Ann")
    if read.is_served:
        kept = [(mark.sample_index, mark.opinion, mark.text, mark.reason) for mark in read.store.marks]
        assert kept == [(0, "wrong", "says 4 <b>", "correct"), (1, "right", "", "correct")]
    else:
        page.click("#download-marks")
        page.wait("the download", (tmp_path / "marks.jsonl").exists)
        said = [json.loads(line) for line in (tmp_path / "marks.jsonl").read_text().splitlines()]
        assert [(mark["opinion"], mark["who"], mark["question_id"]) for mark in said] == [
            ("wrong", "Ann", "train-1"),
            ("right", "Ann", "train-1"),
        ]
    go(page, read, "#mark=right&q=train-1")
    assert listed(page) == ["train-1"]
    page.read("wrong, says Ann")


def test_two_completions_are_compared_word_by_word(page: Page, read: Read) -> None:
    go(page, read, "#q=train-1")
    buttons = "document.querySelectorAll('article > p button')"
    parts = "return [...document.querySelectorAll('#difference pre :is(del, ins)')].map(e => e.outerHTML)"

    js(page, f"for (const place of [0, 2]) {buttons}[place].click()")

    assert js(page, parts) == ["<del>one</del>", "<ins>two</ins>"]


def test_a_file_that_cannot_hold_everything_says_what_is_left_out(page: Page, tmp_path: Path) -> None:
    library, notes, stores = opened(tmp_path, source(tmp_path))
    file = tmp_path / "samples.html"
    text = one_file(library, notes, command="restem view planted", first="train-2", most=6000)
    file.write_text(text, encoding="utf-8")
    library.close()

    go(page, Read(file.as_uri(), False, stores["planted"]))

    assert listed(page) == ["train-2", "test-1"]
    page.read("This file holds 2 questions of 5: 10 samples are left out", "All are in: restem view planted")


def test_what_an_experiment_newly_solves_is_shown_with_the_answers_before_and_after(
    page: Page, shown: Shown, tmp_path: Path
) -> None:
    file = tmp_path / "samples.html"
    shown.command("restem", "view", *shown.options, "--output", str(file))

    go(page, Read(file.as_uri(), False, Kept()), "#stage=evaluation")
    press(page, "j")
    js(page, "document.getElementById('more').open = true")

    page.read("policy_0, evaluated", "policy_1, evaluated", "Compare the first and the last greedy answer")
    page.picture("view")
