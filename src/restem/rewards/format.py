r"""The reward for form alone: the completion ends as it was asked to.

Options, one of the two:

- form: "boxed" (the end is \boxed{...}, but for full stops and dollars), "hashes" (a last line that ends in #### and a
  number, as in GSM8K), "answer_is" (a last line with "The answer is ..."), "tag" (<answer>...</answer>) or
  "code_block" (a Markdown block that is closed).
- pattern: a regular expression that must match up to the end, space apart; with example, a text that matches once
  {answer} in it is replaced by the gold's answer: so that the gold can be tried before anything is sampled.

It says nothing about what the answer is: compose it with a reward that does, by `all_of` or `weighted`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from restem.questions import boxes
from restem.questions.boxes import box_starts, closings
from restem.rewards import extraction
from restem.rewards.base import Judge
from restem.rewards.verdicts import Answer, Gold, Verdict, correct, refused

_HASHES = re.compile(r"####[ \t]*([-+]?\$?\d[\d,]*(?:\.\d+)?%?)")
_ANSWER_IS = re.compile(r"\banswer is:?[ \t]+(\S.*)", re.IGNORECASE)
_FENCE = re.compile(r"^(`{3,}+|~{3,}+)([^\n`]*+)$", re.MULTILINE)
_PLACE = "{answer}"
_AFTER_BOX = " \t\r\n.$*)]\\"


def _boxed(text: str) -> str | None:
    r"""Return what is in the box that the text ends with."""
    text = text.rstrip(_AFTER_BOX)
    ends = closings(text)
    starts = [mark.end() for mark in box_starts(text) if mark[0].rstrip() == "\\boxed"]
    return next((text[start + 1 : -1] for start in starts if ends.get(start) == len(text)), None)


def _hashes(text: str) -> str | None:
    found = _HASHES.match(text, max(0, text.rfind("####")))
    return found[1] if found and found.end() == len(text) else None


def _answer_is(text: str) -> str | None:
    found = _ANSWER_IS.search(text.rpartition("\n")[2])
    return found[1] if found else None


def _tag(text: str) -> str | None:
    start = text.rfind("<answer>")
    return text[start + len("<answer>") : -len("</answer>")] if start >= 0 and text.endswith("</answer>") else None


def _code_block(text: str) -> str | None:
    """Return what is in the block that the text ends with."""
    opened, found = None, None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1] == opened[1] and not fence[2].strip(" \t"):
            found = text[opened.end() + 1 : fence.start()] if fence.end() == len(text) else None
            opened = None
    return found


_FORMS: dict[str, tuple[Callable[[str], str | None], str]] = {  # how a text ends, and how to end so
    "boxed": (_boxed, rf"\boxed{{{_PLACE}}}"),
    "hashes": (_hashes, extraction.FORMS["hashes"]),
    "answer_is": (_answer_is, extraction.FORMS["answer_is"]),
    "tag": (_tag, extraction.FORMS["tag"]),
    "code_block": (_code_block, f"```python\n{_PLACE}\n```"),
}


class FormatJudge(Judge):
    """Looks at the end of a completion."""

    memory_bytes = 4 << 30
    sees_question = True  # and needs no gold
    sources = (Path(__file__), Path(extraction.__file__), Path(boxes.__file__))

    def __init__(self, *, form: str | None = None, pattern: str | None = None, example: str | None = None) -> None:
        """Check the options; the module's docstring explains them."""
        if (form is None) == (pattern is None):
            raise ValueError(f"either form or pattern must be given, got form={form!r} and pattern={pattern!r}")
        if form is not None and form not in _FORMS:
            raise ValueError(f"form must be one of {', '.join(_FORMS)}, got {form!r}")
        if (example is None) != (pattern is None) or (example is not None and _PLACE not in example):
            raise ValueError(f"a pattern needs an example, a text with {_PLACE} in it, got {example!r}")
        if form is not None:
            self._end, self._example = _FORMS[form]
        else:
            self._end, self._example = _matcher(str(pattern)), str(example)

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the completion; how it ends is settled by `judge`, where a user's pattern may take its time."""
        return Answer(completion) if completion.strip() else None

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return whether the completion ends in the asked form, with something in it."""
        found = self._end(answer.rstrip())
        return correct(found.strip()) if found and found.strip() else refused("wrong", None)

    def gold_completion(self, gold: Gold) -> str | None:
        """Return the gold's answer in the asked form."""
        return self.completed("", gold)

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return a text without any form."""
        return "I cannot say"

    def completed(self, completion: str, gold: Gold) -> str:
        """Return a right completion so that it ends in the asked form too, with the gold's answer.

        A completion whose gold has no answer, as a program, is itself what is put into the form.
        """
        if self._end(completion.rstrip()):
            return completion
        if "answer" in gold and completion:
            return f"{completion}\n{self._example.replace(_PLACE, str(gold['answer']))}"
        return self._example.replace(_PLACE, str(gold.get("answer", completion.rstrip("\n"))))


def _matcher(pattern: str) -> Callable[[str], str | None]:
    try:
        compiled = re.compile(rf"(?:{pattern})\Z")
    except re.error as error:
        raise ValueError(f"pattern {pattern!r} is not a regular expression: {error}") from error
    return lambda text: found[0] if (found := compiled.search(text)) else None
