"""Look at the built site: `python -m tools.site.check`. Links inside it lead somewhere, and nothing is fetched."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]


class Link(NamedTuple):
    """A link of a page."""

    target: str
    is_loaded: bool  # by the browser, unasked


class _Links(HTMLParser):
    """Reads the links of a page and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value is not None}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        is_loaded = tag in ("img", "script", "iframe", "source") or (tag == "link" and given.get("rel") != "canonical")
        self.links += [Link(given[name], is_loaded) for name in ("href", "src") if name in given]


def problems_of(site: Path) -> list[str]:
    """Return what is wrong with a site: a link that leads nowhere, or something that a page loads from elsewhere."""
    read = {page: _read(page) for page in sorted(site.rglob("*.html")) if page.name != "404.html"}
    found = [
        f"{page.relative_to(site)}: {problem}"
        for page, page_read in read.items()
        for link in page_read.links
        if (problem := _problem(link, page, read))
    ]
    return sorted(set(found))


def _read(page: Path) -> _Links:
    parser = _Links()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def _problem(link: Link, page: Path, read: dict[Path, _Links]) -> str | None:
    address = urlsplit(link.target)
    if address.scheme in ("http", "https") or address.netloc:
        return f"loads {link.target} from elsewhere" if link.is_loaded else None
    if address.scheme:
        return None  # mailto:, data:
    target = (page.parent / unquote(address.path)).resolve() if address.path else page
    if not target.exists():
        return f"{link.target} is not there"
    anchors = read[target].anchors if target in read else None
    if address.fragment and anchors is not None and unquote(address.fragment) not in anchors:
        return f"{link.target} is not a place of that page"
    return None


if __name__ == "__main__":
    found = problems_of(ROOT / "build/site")
    sys.exit("\n".join(found) if found else 0)
