"""A page of docs/ as the site has it: filled in, and without links to what is no page."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

_TO_FILL = re.compile(r"<!-- filled in by make docs: (\w+) -->")
_LINK = re.compile(r"\[([^]]*)\]\(([^)#:]+?)(#[^)]*)?\)")
_FENCE = re.compile(r"^(```.*?^```$)", re.MULTILINE | re.DOTALL)


class Unwritable(Exception):
    """A page asks for what is not there."""


def written(path: Path, root: Path, filled: Mapping[str, Callable[[], str]]) -> str:
    """Return a page with what is filled in.

    Args:
        path: The page.
        root: The project.
        filled: What there is to fill in, by the name that a page has for it.

    Raises:
        Unwritable: The page names what is not among them, or links to a file that is not there.
    """
    text = path.read_text(encoding="utf-8")
    for name in _TO_FILL.findall(text):
        if name not in filled:
            raise Unwritable(f"{path}: {name} is not among what can be filled in: {', '.join(filled)}")
    text = _TO_FILL.sub(lambda found: filled[found[1]](), text)
    return "".join(part if part.startswith("```") else _without_code(part, path, root) for part in _FENCE.split(text))


def _without_code(text: str, path: Path, root: Path) -> str:
    """Name files outside of docs/ instead of linking to them: the site does not have them, a code host does."""

    def named(found: re.Match[str]) -> str:
        said, link = found[1], found[2]
        target = Path(os.path.normpath(path.parent / link))
        if not target.exists():
            raise Unwritable(f"{path} links to {link}, which is not there")
        if target.is_relative_to(root / "docs"):
            return found[0]
        outside = f"`{target.relative_to(root).as_posix()}`"
        return said if said == outside else f"{said} ({outside})"

    return _LINK.sub(named, text)
