"""The letter that a text chooses, if a careful reader would find just one."""

import re

from restem.questions.boxes import box_starts

_STATED = re.compile(
    r"\b(?:answer|(?:correct|right|best)\s+(?:option|choice))\s*(?:(?:is|must\s+be|should\s+be)\s*:?|:|=)[\s*_$]*",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(?:option|choice)\s+", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|nor)\s+\([A-Z]\)")
_COMMAND = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|mathbf|textrm)\s*(?=\{)")
_AROUND = " \t\r\n*_`\"'$"
_LETTER = re.compile(
    r"\(([A-Za-z])\)(?!\w)|([A-Za-z])(?:[).:](?=\s|$)|\s*$)|([A-Z])(?=\s*[,;]\s|\s+(?:because|since|as|for|due)\b)"
)
_OTHER = re.compile(r"\s*(?:,|;|or|and|/|nor)?\s*(?:\(([A-Za-z])\)|(?:or|and)\s+([A-Z])(?!\w))")
_IN_BRACKETS = re.compile(r"\(([A-Z])\)")


def letter_of(text: str) -> str | None:
    """Return the letter, as a capital, that a text is, begins with, has in its last box, or states as its answer.

    A letter that is a word is none ("A train ..."), nor is one of several ("A or B").
    """
    stated = list(_STATED.finditer(text))
    boxes = box_starts(text)
    start = max(stated[-1].end() if stated else 0, boxes[-1].start() if boxes else 0)
    rest = _COMMAND.sub("", text[start:]).replace("{", "").replace("}", "") if "\\" in text[start:] else text[start:]
    rest = rest.replace("**", "").strip(_AROUND)
    rest = _OPTION.sub("", rest, count=1) if _OPTION.match(rest) else rest
    found = _LETTER.match(rest)
    if found is None or _OTHER.match(rest, found.end()):
        return None
    letter = next(group for group in found.groups() if group)
    others = {one.upper() for one in _IN_BRACKETS.findall(_DENIED.sub("", rest[found.end() :]))} - {letter.upper()}
    return None if others and not stated else letter.upper()
