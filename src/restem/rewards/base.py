"""What one kind of reward is: the base of the built-in judges, and of one that you write yourself.

    class Even(Judge):
        def answer_of(self, gold, completion):
            return Answer(completion.strip()) if completion.strip() else None

        def judge(self, subject, answer):
            return correct(answer) if answer[-1:] in "02468" else refused("wrong", answer)

`load_reward("my_pkg.my_module:Even")`. A function is enough where the whole completion is judged (restem.rewards.own);
a judge besides says what a completion answers, what its gold earns, in which surroundings it works, and what else its
verdicts depend on. All but `answer_of` and `judge` has a default.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from restem.rewards.verdicts import Answer, Doubtful, Gold, Verdict


class Task(NamedTuple):
    """One verdict to be had."""

    subject: Mapping[str, Any]  # the gold, or the whole question
    answer: str
    name: str  # of the question, for messages


class Pool(Protocol):
    """Where verdicts are made."""

    def run(self, tasks: Sequence[Task]) -> list[Verdict]:
        """Return one verdict per task, in order."""

    def close(self) -> None:
        """End all processes and connections."""


class Judge(ABC):
    """One kind of reward. It is built twice from the same options: here, and in every worker process.

    `answer_of`, `gold_completion` and `wrong_completion` run in the calling process and must take time linear in
    the text; everything that can hang, crash or be attacked belongs in `judge`, which runs in a worker. Its options
    are its keyword arguments; one that decides no verdict is declared as `Harmless` (restem.parameters.decides) where
    it is taken.
    """

    libraries: tuple[str, ...] = ()  # distributions whose versions decide over verdicts
    memory_bytes: int | None = None  # most that a worker may allocate; None is no limit
    sees_question: bool = False  # judge is given the whole question in place of its gold, and no gold is needed
    sources: Sequence[Path] = ()  # files of code that decide over verdicts; none is the file of the class
    # "required": judge hands answers to code that is not ours, and works in the sandbox alone; "wanted": it can do
    # without, and is then told so by left_open.
    sandbox: Literal["", "wanted", "required"] = ""
    shown: Sequence[Path] = ()  # files of its own that it must see in the sandbox
    # It takes timeout_s as an option and holds that itself, and not by the clock alone; patience_s says when its
    # worker is broken.
    holds_limit: bool = False

    @classmethod
    def opinion_of(cls, options: Mapping[str, Any]) -> str | None:
        """Return whose opinion verdicts are where nothing is checked; said with every number that rests on them."""
        return None

    @abstractmethod
    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return what the completion answers, or None."""

    @abstractmethod
    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict | Doubtful:
        """Return the verdict on an answer. An exception means that the reward itself is broken."""

    def prepare(self) -> None:  # noqa: B027 - most import nothing
        """Import what `judge` needs; called once, before workers are forked."""

    def gold_completion(self, gold: Gold) -> str | None:
        """Return a completion that must earn 1, or None if there is no such thing."""
        return None

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return a completion that must earn 0, or None if there is no such thing."""
        return None

    def form_of(self, gold: Gold) -> str:
        """Return which of its ways of judging a gold asks for, as "ratio"; the audit looks at the rare ones."""
        return ""

    def determined_by(self) -> Mapping[str, Any]:
        """Return what decides over verdicts beside options, libraries and code, as the digest of a file."""
        return {}

    @property
    def declares(self) -> Callable[..., Any]:
        """Return in whose signature the options say what they decide."""
        return type(self)

    def patience_s(self, subject: Mapping[str, Any]) -> float:
        """Return the seconds after which a worker that has not answered is broken; of a judge that holds its limit."""
        raise NotImplementedError(f"{type(self).__name__} holds its limit, so it must say patience_s")

    def pool(self) -> Pool | None:
        """Return where verdicts are made by a judge that waits more than it computes, without limit; None: workers."""
        return None

    def left_open(self, why: str) -> None:  # noqa: B027 - of those that want a sandbox
        """Take note that there is no sandbox, and why."""

    def needs_fresh(self, subject: Mapping[str, Any], answer: str) -> bool:
        """Return whether a verdict needs a process of its own in the sandbox."""
        return False
