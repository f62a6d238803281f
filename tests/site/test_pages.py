"""What is written before the site is built, and what is looked for in what was built."""

import re
from pathlib import Path

import pytest
from tools.site.check import problems_of
from tools.site.navigation import first_sentence, missing_from, text_for_models, titles
from tools.site.pages import Unwritable, written

from tests.conftest import ROOT

LINK = re.compile(r"\]\(([^):#]+)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAVIGATION = [{"Start": "index.md"}, {"How to": [{"A": "a.md"}, {"B": "b.md"}]}]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/other.md").write_text("# Other\n")
    (tmp_path / "src.py").write_text("")
    return tmp_path / "docs/page.md"


def test_page_that_is_not_in_the_navigation_is_named() -> None:
    assert missing_from(NAVIGATION, ["index.md", "a.md", "b.md"]) == []
    assert missing_from(NAVIGATION, ["index.md", "a.md", "new.md"]) == [
        "docs/new.md is not in the navigation: give it a place in zensical.toml",
        "zensical.toml names b.md, which docs/ does not have",
    ]
    assert missing_from([{"A": "a.md"}, {"B": "a.md"}], ["a.md"]) == ["zensical.toml names a.md twice"]


def test_fills_in_what_a_page_asks_for(page: Path) -> None:
    page.write_text("# Page\n\n<!-- filled in by make docs: numbers -->\n\n<!-- a remark -->\n")

    assert written(page, page.parents[1], {"numbers": lambda: "1 2 3"}) == "# Page\n\n1 2 3\n\n<!-- a remark -->\n"
    with pytest.raises(Unwritable, match="numbers is not among what can be filled in: letters"):
        written(page, page.parents[1], {"letters": lambda: "a b c"})


def test_names_files_outside_of_docs_and_links_pages(page: Path) -> None:
    page.write_text(
        "[one](other.md#there) [two](../src.py) [`src.py`](../src.py) [three](https://a.b/c) [four](#here)\n"
    )

    assert written(page, page.parents[1], {}) == (
        "[one](other.md#there) two (`src.py`) `src.py` [three](https://a.b/c) [four](#here)\n"
    )


@pytest.mark.parametrize("link", ["missing.md", "../missing.py", "other/"])
def test_link_to_what_is_not_there_is_named(page: Path, link: str) -> None:
    page.write_text(f"[one]({link})\n")

    with pytest.raises(Unwritable, match=f"links to {link}, which is not there"):
        written(page, page.parents[1], {})


def test_leaves_what_looks_like_a_link_in_a_fence(page: Path) -> None:
    text = "```python\nrewards[name](completion)\n```\n"
    page.write_text(text)

    assert written(page, page.parents[1], {}) == text


def test_lists_pages_for_language_models() -> None:
    texts = {
        "index.md": "# One\n\n```\ncode.\n\nmore\n```\n\nIt *is* [this](x.md). And that.\n",
        "a.md": "# A\n\nA `b.c`: d.\n",
        "b.md": "# B\n\n![p](p.png)\n\nB\nC.\n",
    }

    made = text_for_models(titles(NAVIGATION), texts)

    listed = made["llms.txt"].splitlines()
    assert listed[0] == "# restem"
    assert listed[-4:] == ["## How to", "", "- [A](a.html): A `b.c`: d.", "- [B](b.html): B C."]
    assert "- [Start](index.html): It *is* this." in listed
    assert made["llms-full.txt"].endswith(texts["b.md"] + "\n")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_beside_the_site_lead_somewhere(name: str) -> None:
    for link, place in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link
        if place:
            headings = HEADING.findall((ROOT / link).read_text(encoding="utf-8"))
            assert place in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, place


def test_first_sentence_keeps_abbreviations() -> None:
    assert first_sentence("# T\n\nSingh et al. 2023 say e.g. this. Then more.") == "Singh et al. 2023 say e.g. this."


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="b.html">', None),
        ('<a href="b.html#there">', None),
        ('<a href="https://a.b/c">', None),
        ('<a href="#top">', None),
        ('<img src="data:image/png;base64,AA">', None),
        ('<a href="c.html">', "c.html is not there"),
        ('<a href="b.html#nowhere">', "b.html#nowhere is not a place of that page"),
        ('<a href="#nowhere">', "#nowhere is not a place of that page"),
        ('<img src="p.png">', "p.png is not there"),
        ('<img src="https://a.b/p.png">', "loads https://a.b/p.png from elsewhere"),
        ('<script src="//a.b/c.js"></script>', "loads //a.b/c.js from elsewhere"),
        ('<link rel="stylesheet" href="https://a.b/c.css">', "loads https://a.b/c.css from elsewhere"),
    ],
)  # fmt: skip
def test_names_what_leads_nowhere_and_what_is_fetched(tmp_path: Path, body: str, problem: str | None) -> None:
    (tmp_path / "a.html").write_text(f'<h1 id="top"></h1>{body}')
    (tmp_path / "b.html").write_text('<h1 id="there"></h1>')

    assert problems_of(tmp_path) == ([f"a.html: {problem}"] if problem else [])
