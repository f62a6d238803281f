r"""Where a tidied text is parted: at separators outside brackets, at signs of order, at "and" and "or"."""

import re

SIGNS = re.compile(
    r"\\(?:le|ge|ne|in)(?![A-Za-z])|[<>=]|\\(?:approx|equiv|sim|subset|cong|parallel|perp)(?:eq)?(?![A-Za-z])"
)
AND_OR = re.compile(r",? (?:and|or) (?:else )?|(?<=[)\]}\d])(?:and|or)(?=[(\[{\d\\])| \\(?:lor|land) ")
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")


def split_top(text: str, separators: str) -> list[str]:
    """Return the parts between separators that stand outside all brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth = max(0, depth - 1)
        elif character in separators and depth == 0 and "\\begin" not in text[start:place]:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def split_and_or(text: str) -> list[str]:
    """Return the parts that "and" and "or" join outside brackets."""
    return split_top(AND_OR.sub("\x00", text), "\x00") if AND_OR.search(text) else [text]


def split_signs(text: str) -> tuple[list[str], list[str]]:
    """Return what stands between the signs of equality and order outside brackets, and the signs."""
    signs = []

    def mark(match: re.Match[str]) -> str:
        signs.append(match[0])
        return "\x00"

    marked = SIGNS.sub(mark, text)
    sides = split_top(marked, "\x00")
    return (sides, signs) if len(sides) == len(signs) + 1 else ([text], [])


def without_thousands(text: str) -> str:
    """Return the text without the commas of thousands, if all others are followed by a space."""
    plain = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    return plain if not re.search(r",(?! )", plain) else text


def is_closed(text: str) -> bool:
    """Return whether every bracket that is closed was opened, and the other way around."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0
