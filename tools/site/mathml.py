"""Formulas as MathML, which browsers draw themselves: no script, no font, nothing to fetch.

A page writes them as code hosts read them: $`a^2`$ in a sentence, and a fence of the language math for one of its own.
"""

from typing import Any

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

BEFORE_CODE = 195  # code in backticks is read at 190


class _Inline(InlineProcessor):
    """A formula in a sentence."""

    def handleMatch(self, m: Any, data: str) -> tuple[str, int, int]:  # as Markdown calls it
        return self.md.htmlStash.store(convert(m.group(1))), m.start(0), m.end(0)


class MathExtension(Extension):
    """Formulas in sentences."""

    def extendMarkdown(self, md: Markdown) -> None:  # as Markdown calls it
        """Read formulas before code."""
        md.inlinePatterns.register(_Inline(r"\$`([^`]+)`\$", md), "mathml", BEFORE_CODE)


def makeExtension(**options: Any) -> MathExtension:  # as Markdown calls it
    """Return the extension."""
    return MathExtension(**options)


def display(source: str, *_: Any, **__: Any) -> str:
    """Return a formula of its own, for pymdownx.superfences; it scrolls where it is wider than the page."""
    return f'<div class="formula">{convert(source.strip(), display="block")}</div>'
