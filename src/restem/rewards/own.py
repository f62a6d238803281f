"""A reward of the user's own: a function named by its path.

    def my_reward(question: dict, completion: str) -> float:
        return float(question["gold"]["answer"] in completion)

`load_reward("my_pkg.my_module:my_reward")`. The gold arrives as a dict. The function may return a Verdict instead
of a number. It runs in a worker process under the wall clock limit. An exception is a fault of the reward and stops
the run: a completion that the function cannot handle must earn a number. Its keyword arguments are the reward's
options; one that decides no verdict is declared so, `retries: Annotated[int, Harmless] = 3`, with `Harmless` of
`restem.parameters.decides`.

A function that hands completions to a parser or an interpreter can ask for the sandbox with the option `sandbox: true`:
each verdict is then made in a process of its own, without network, environment, or files other than Python's, those of
installed packages and the function's own package, and with no folder to write to. There an exception is the verdict
`crashed`, and stops nothing: the completion may have raised it. The sandbox keeps a completion from everything but its
own verdict; a function that lets a completion run code in its own process can be told any verdict by it.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from restem.errors import RewardError
from restem.rewards.base import Judge
from restem.rewards.verdicts import Answer, Gold, Verdict, gold_of
from restem.schemas import CORRECT, REASONS
from restem.store.importing import import_function


class OwnJudge(Judge):
    """A function that looks at the whole question and the whole completion."""

    sees_question = True

    def __init__(self, *, path: str, sandbox: bool = False, **options: Any) -> None:
        """Find the function; options are given to it as keyword arguments."""
        if not isinstance(sandbox, bool):
            raise ValueError(f"sandbox must be true or false, got {sandbox!r}")
        self._path = path
        self.sandbox = "required" if sandbox else ""
        self._options = options
        self.sources = [Path(__file__), *map(Path, filter(None, [inspect.getsourcefile(self.function)]))]
        self.shown = _files_of(import_module(path.partition(":")[0].partition(".")[0]))

    def needs_fresh(self, subject: Mapping[str, Any], answer: str) -> bool:
        """Return true: what the function does with a completion is not known here."""
        return True

    @property
    def declares(self) -> Callable[..., Any]:
        """Return the function: its keyword arguments are the options."""
        return self.function

    @cached_property
    def function(self) -> Callable[..., Any]:
        """Return what the path names."""
        return import_function(
            self._path, parameter="the reward", error=RewardError, takes=2, by_name=list(self._options)
        )

    @property
    def _where(self) -> str:
        """Return the path of the function, with the file and line where it is if it has any."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
        return f"{self._path} ({code.co_filename}, line {code.co_firstlineno})" if code else self._path

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the completion: what counts as an answer is the function's business."""
        return Answer(completion)

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return what the function says."""
        question = dict(subject)
        if (gold := gold_of(question)) is not None:
            question["gold"] = gold
        result = self.function(question, answer, **self._options)
        is_number = isinstance(result, Real) or hasattr(result, "__float__")  # as those of numpy and torch have it
        if not isinstance(result, Verdict) and not is_number:
            raise TypeError(f"{self._where} must return a number from 0 to 1 or a Verdict, and returned {result!r}")
        verdict = result if isinstance(result, Verdict) else _verdict(float(result))
        if not 0.0 <= verdict.reward <= 1.0:
            raise ValueError(f"{self._where}: a reward must be in [0, 1], got {verdict.reward!r}")
        if verdict.reason not in REASONS:
            raise ValueError(f"{self._where}: a reason must be one of {', '.join(REASONS)}, got {verdict.reason!r}")
        return verdict


def _files_of(top: ModuleType) -> list[Path]:
    """Return what a sandboxed function may read of its own: its top package, or its file."""
    return [Path(folder) for folder in getattr(top, "__path__", ())] or list(map(Path, filter(None, [top.__file__])))


def _verdict(reward: float) -> Verdict:
    return Verdict(reward, "correct" if reward >= CORRECT else "wrong", None)
