"""The tasks of reasoning-gym, each scored by its own scorer.

Gold: {"answer": "12", "task": "chain_sum", "entry": {"question": ..., "answer": ..., "metadata": {...}}}. Only a
score of exactly 1 counts: many tasks give a little for any text at all, or for the right answer among others.

Scorers are not our code, and some evaluate what they are shown as Python. They run in the sandbox of `code`, without
network, files or environment; `reasoning_gym_gate` says which texts they are shown, and which of them need a process
of their own. Where there is no sandbox, only scorers that are known to do nothing but compare are asked.

Options:

- extract: where the answer stands; "tag,whole" by default: the last <answer>...</answer>, else the whole completion
  without the space around it. Other ways: answer_is, first_line, last_line, hashes.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from restem.errors import RewardError
from restem.rewards.base import Judge
from restem.rewards.extraction import checked_ways, extract, in_form
from restem.rewards.reasoning_gym_gate import admits, is_plain, needs_own_process
from restem.rewards.sandbox.launch import SANDBOX_NEEDS
from restem.rewards.verdicts import Answer, Gold, Verdict, correct, refused

_PADDED = ("{} and then some more text", "maybe {}", "{0}\n{0}", "{} or something else 77", "{0} {0}")
_WORD = re.compile(r"[A-Za-z]{2,}")
_NUMBER = re.compile(r"-?\d+(?:[.,/]\d+)*")


class ReasoningGymJudge(Judge):
    """Asks the task's own scorer."""

    libraries = ("reasoning-gym",)
    memory_bytes = 8 << 30
    sandbox = "wanted"
    sources = tuple(
        Path(__file__).with_name(f"{name}.py") for name in ("reasoning_gym", "reasoning_gym_gate", "extraction")
    )

    def __init__(self, *, extract: str = "tag,whole") -> None:
        """Check the options; the module's docstring explains them."""
        self._ways = checked_ways(extract)
        self._why_open = ""

    def prepare(self) -> None:
        """Import reasoning-gym."""
        import_module("reasoning_gym")

    def left_open(self, why: str) -> None:
        """Take note that there is no sandbox, and why."""
        self._why_open = why

    def needs_fresh(self, subject: Mapping[str, Any], answer: str) -> bool:
        """Return whether the scorer could be changed by the answer, and must have a process of its own."""
        task = str(subject.get("task", ""))
        scorer = _scorer(task)
        return scorer is not None and needs_own_process(task, scorer, answer)

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the answer where `extract` finds it."""
        return extract(completion, self._ways)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return whether the task's scorer gives the answer everything it has to give."""
        entry = subject.get("entry")
        scorer = _scorer(str(subject.get("task", "")))
        if scorer is None or not isinstance(entry, Mapping) or not _is_whole(entry):
            return refused("unparseable_gold", answer)
        if self._why_open and not is_plain(scorer):
            raise RewardError(
                f"the scorer of the reasoning-gym task {subject['task']!r} may evaluate what a model writes, and is "
                f"only asked in a sandbox, which cannot be had: {self._why_open}. {SANDBOX_NEEDS}"
            )
        if not admits(str(subject["task"]), scorer, answer):
            return refused("unparseable_answer", answer)
        try:
            score = scorer(answer=answer, entry=dict(entry))
        except Exception:  # scorers parse the answer in a hundred ways, and raise what they like
            return refused("unparseable_answer", answer)
        if score is None or isinstance(score, str):
            return refused("unparseable_answer", answer)
        if float(score) != 1.0 or not _is_plain(scorer, entry, answer):
            return refused("wrong", answer)
        return correct(answer)

    def form_of(self, gold: Gold) -> str:
        """Return the task."""
        return str(gold.get("task", ""))

    def gold_completion(self, gold: Gold) -> str | None:
        """Return the entry's own answer."""
        entry = gold.get("entry")
        answer = entry.get("answer") if isinstance(entry, Mapping) else None
        return in_form(self._ways[0], str(gold.get("answer", "") if answer is None else answer))

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return a number or a word that answers no task."""
        is_number = _NUMBER.fullmatch(str(gold.get("answer", "")))
        return in_form(self._ways[0], "-90817" if is_number else "nothing")


@lru_cache(maxsize=256)
def _scorer(task: str) -> Any:
    """Return the scorer of a task, or None if there is no such task."""
    import reasoning_gym

    try:
        return reasoning_gym.get_score_answer_fn(task)
    except Exception:  # no such task, or one that is made of others
        return None


def _is_whole(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("metadata"), Mapping) and "question" in entry and "answer" in entry


def _is_plain(scorer: Any, entry: Mapping[str, Any], answer: str) -> bool:
    """Return whether the answer earns its score by what it says, and not by saying more than was asked.

    Some scorers look for the right answer anywhere in a text: "5 or 6 or 7" would be right. Where a scorer takes
    the gold with words around it, an answer must have as many words and lines as the gold, and as many numbers
    if the gold is a number or has none.
    """
    gold = str(entry["answer"]).strip()
    if answer == gold or _shape(answer, gold) == _shape(gold, gold):
        return True
    return not any(_accepts(scorer, entry, form.format(gold)) for form in _PADDED)


def _accepts(scorer: Any, entry: Mapping[str, Any], answer: str) -> bool:
    try:
        return float(scorer(answer=answer, entry=dict(entry)) or 0.0) == 1.0
    except Exception:  # as in judge: no score is a refusal
        return False


def _shape(text: str, gold: str) -> tuple[int, int, int]:
    counts = _NUMBER.fullmatch(gold) or not _NUMBER.search(gold)  # formulas may be written with other numbers
    numbers = len(_NUMBER.findall(text)) if counts else 0
    return len(_WORD.findall(text)), len(text.split("\n")), numbers
