"""Where the program stands in a completion: in a Markdown block, or everywhere. In time linear in the text.

What is a program and what a continuation of the prompt is settled in the sandbox, where compiling is safe.
"""

import re
import textwrap
from typing import NamedTuple

from restem.rewards.verdicts import Answer

# Possessive: there is one way to read a line, or long ones would take quadratic time.
_FENCE = re.compile(r"^([ \t]*+)(`{3,}+|~{3,}+)([^\n`]*+)$", re.MULTILINE)
_PYTHON = re.compile(r"(?:python|py|python3|ipython|ipython3|py3)\b|\{\.?python", re.IGNORECASE)
_CODE_START = re.compile(r"[ \t]+\S|(?:def|class|import|from|async|return|for|if|while|try|with)\b|[@#]")
_CODE = re.compile(r"^[ \t]*(?:(?:def|class|import|from|for|while|if|print|return)\b|\w+[ \t]*=)", re.MULTILINE)
_THOUGHT_END = "</think>"
_TAGS = (("[PYTHON]", "[/PYTHON]"), ("[BEGIN]", "[DONE]"))  # of Code Llama's and MBPP's own prompts


class _Block(NamedTuple):
    language: str
    text: str


def extract_program(completion: str, *, entry_point: str) -> Answer | None:
    """Return the text that holds the program, or None if the completion holds nothing.

    Of several Markdown blocks it is the last that defines the entry point; without one, the last marked as Python
    or, if none is marked, the last that looks like code. A block that is never closed goes to the end.
    """
    text = completion.replace("\r\n", "\n").rpartition(_THOUGHT_END)[2]
    for start, end in _TAGS:
        if start in text or text.rstrip().endswith(end):
            text = text.partition(start)[2] if start in text else text
            text = text.partition(end)[0]
    blocks, before = _blocks(text)
    if blocks and _ends_with_fence(blocks, before):
        text, blocks = before, []  # the prompt opened the block that the completion closes
    program = _chosen(blocks, entry_point).text if blocks else text
    return Answer(program, "block" if blocks else "whole") if program.strip() else None


def _blocks(text: str) -> tuple[list[_Block], str]:
    """Return the blocks, and what stands before the first of them."""
    blocks: list[_Block] = []
    opened: re.Match[str] | None = None
    first = len(text)
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened, first = fence, min(first, fence.start())
        elif fence[2].startswith(opened[2]) and not fence[3].strip():
            blocks.append(_block(opened, text[opened.end() + 1 : fence.start()]))
            opened = None
    if opened is not None:
        blocks.append(_block(opened, text[opened.end() + 1 :]))
    return blocks, text[:first]


def _block(fence: re.Match[str], text: str) -> _Block:
    return _Block(fence[3].strip(), textwrap.dedent(text) if fence[1] else text)


def _ends_with_fence(blocks: list[_Block], before: str) -> bool:
    """Return whether the first fence closes a block: it is bare, and code stands before it."""
    lines = [line for line in before.split("\n") if line.strip()]
    return not blocks[0].language and bool(lines) and _CODE_START.match(lines[0]) is not None


def _chosen(blocks: list[_Block], entry_point: str) -> _Block:
    marked = [block for block in blocks if _PYTHON.match(block.language)]
    unmarked = [block for block in blocks if not block.language]
    if entry_point:
        name = re.escape(entry_point.partition(".")[0])
        defines = re.compile(
            rf"^[ \t]*(?:(?:async[ \t]+)?def|class)[ \t]+(?:{name}|Solution)\b|^{name}[ \t]*=", re.MULTILINE
        )
        defining = [block for block in blocks if defines.search(block.text)]
        if defining:
            return defining[-1]
    looking = [block for block in unmarked if _CODE.search(block.text)]
    return (marked or looking or unmarked or blocks)[-1]
