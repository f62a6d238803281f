"""A reward: completions in, verdicts out, in the same order."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from inspect import getsourcefile
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from restem.errors import RewardError
from restem.parameters.decides import deciding_options
from restem.rewards.base import Judge, Pool, Task
from restem.rewards.pool import WorkerPool
from restem.rewards.reasoning import USUAL, Reasoning, checked_reasoning
from restem.rewards.verdicts import Answer, Question, Verdict, gold_of, refused
from restem.schemas import CORRECT
from restem.store.fingerprints import fingerprint
from restem.store.importing import named

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_COMMON = (
    "base",
    "verdicts",
    "scoring",
    "reasoning",
    "pool",
    "nursery",
    "worker",
)  # modules that take part in every verdict


class Reward(Protocol):
    """What `load_reward` returns: one kind of reward, or several that count together."""

    name: str  # as load_reward was given it
    version: str  # of everything that decides over verdicts
    parts: Mapping[str, "Reward"]  # by name; empty for a single reward
    needs_gold: bool  # a question without one cannot be judged
    opinion: str | None  # whose, where verdicts are not checked but a model's opinion

    def score(self, questions: Sequence[Question], completions: Sequence[str]) -> list[Verdict]:
        """Return one verdict per completion, in order.

        Args:
            questions: Dicts with the columns of the table `questions`; gold as a dict or as JSON.
            completions: As many texts.

        Raises:
            RewardError: If the lists differ in length, or the reward itself is broken.
        """

    def gold_completion(self, question: Question) -> str | None:
        """Return a completion that must earn 1, or None if there is no such thing."""

    def wrong_completion(self, question: Question) -> str | None:
        """Return a completion that must earn 0, or None if there is no such thing."""

    def form_of(self, question: Question) -> str:
        """Return by which form of answers a question is judged; nothing if there is but one."""

    def close(self) -> None:
        """End all processes and connections. Scoring again starts new ones."""

    def __enter__(self) -> Self:
        """Return the reward."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class Label(NamedTuple):
    """What a reward is called, and whose opinion it is."""

    name: str
    version: str
    opinion: str | None


class SingleReward(Reward):
    """A judge with its options, and the processes in which it works."""

    def __init__(self, label: Label, judge: Judge, pool: Pool, *, reasoning: Reasoning | None = USUAL) -> None:
        """Describe the reward; load_reward is the way to get one."""
        self.name, self.version, self.opinion = label
        self.parts: Mapping[str, Reward] = {}
        self.judge = judge
        self.needs_gold = not judge.sees_question
        self._pool = pool
        self._reasoning = reasoning

    def score(self, questions: Sequence[Question], completions: Sequence[str]) -> list[Verdict]:
        """Return one verdict per completion, in order. The same answer to the same question is judged once."""
        if len(questions) != len(completions):
            raise RewardError(f"as many questions as completions, got {len(questions)} and {len(completions)}")
        tasks: dict[tuple[str, str], Task] = {}
        entries = [self._enter(tasks, *pair) for pair in zip(questions, completions, strict=True)]
        judged = dict(zip(tasks, self._pool.run(list(tasks.values())), strict=True))
        return [
            self._shown(judged[entry.key], entry.found_by) if isinstance(entry, _Entry) else entry for entry in entries
        ]

    def answer_of(self, question: Question, completion: str) -> Answer | Verdict:
        """Return what a completion answers; where it answers nothing, the verdict that says so."""
        gold = gold_of(question)
        if gold is None and not self.judge.sees_question:
            return refused("unparseable_gold", None)
        answered = completion if self._reasoning is None else self._reasoning.answered(completion)
        if answered is None:
            return refused("truncated", None)
        return self.judge.answer_of(gold or {}, answered) or refused("no_answer", None)

    def compare(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        """Return of pairs of answers whether the second is right where the first is the gold."""
        tasks = [Task({"answer": gold}, answer, "without a gold") for gold, answer in pairs]
        return [verdict.reward >= CORRECT for verdict in self._pool.run(tasks)]

    def _enter(self, tasks: dict[tuple[str, str], Task], question: Question, completion: str) -> "Verdict | _Entry":
        gold, answer = gold_of(question), self.answer_of(question, completion)
        if isinstance(answer, Verdict):
            return answer
        subject = question if self.judge.sees_question else gold
        key = (json.dumps(subject, sort_keys=True, default=repr), answer.text)
        if key not in tasks:
            name = str(question.get("question_id", question.get("text", "?")))
            tasks[key] = Task(dict(subject or {}), answer.text, name)
        return _Entry(key, answer.found_by)

    def _shown(self, verdict: Verdict, found_by: str | None) -> Verdict:
        if self.judge.sees_question and verdict.reason in {"timeout", "crashed"}:
            return verdict._replace(answer=None)  # a whole completion is not an extracted answer
        return verdict._replace(found_by=found_by or verdict.found_by)

    def gold_completion(self, question: Question) -> str | None:
        """Return what the judge makes of the gold."""
        gold = gold_of(question)
        return None if gold is None else self.judge.gold_completion(gold)

    def wrong_completion(self, question: Question) -> str | None:
        """Return what the judge makes of the gold, spoilt."""
        gold = gold_of(question)
        return None if gold is None else self.judge.wrong_completion(gold)

    def form_of(self, question: Question) -> str:
        """Return what the judge says of the gold."""
        gold = gold_of(question)
        return "" if gold is None else self.judge.form_of(gold)

    def close(self) -> None:
        """End the worker processes. Scoring again starts new ones."""
        self._pool.close()


class _Entry(NamedTuple):
    """A completion whose answer must be judged."""

    key: tuple[str, str]  # of the task: the subject, and the answer
    found_by: str | None


def open_single(
    name: str, judge_path: str, options: Mapping[str, Any], *, timeout_s: float, workers: int
) -> SingleReward:
    """Return the reward of a judge; `load_reward` is the way to get one by its name.

    Args:
        name: Of the reward.
        judge_path: "module:class" of the judge.
        options: Of the judge, and `reasoning`.
        timeout_s: As of load_reward.
        workers: As of load_reward.

    Raises:
        RewardError: If the judge refuses its options.
    """
    kind = judge_class(judge_path)
    own = {key: value for key, value in options.items() if key != "reasoning"}
    given = {**own, "timeout_s": timeout_s} if kind.holds_limit else own
    try:
        reasoning = checked_reasoning(options.get("reasoning", USUAL._asdict()))
        judge = kind(**given)
    except (TypeError, ValueError) as error:  # an unknown option, or a value out of range
        shown = {key: value for key, value in options.items() if key != "path"}
        raise RewardError(f"the reward {name!r} refuses its options {shown}: {error}") from error
    pool = judge.pool()
    limit = {"timeout_s": timeout_s} if pool is None else {}  # only worker processes are held to it
    version = version_of(name, judge, {**given, **limit}, reasoning=reasoning)
    if pool is None:
        patience_s = judge.patience_s if judge.holds_limit else None
        pool = WorkerPool(
            judge_path, given, timeout_s=timeout_s, workers=workers, patience_s=patience_s, sandbox=judge.sandbox
        )
    return SingleReward(Label(name, version, kind.opinion_of(own)), judge, pool, reasoning=reasoning)


def judge_class(path: str) -> type[Judge]:
    """Return the class that a path "module:class" names."""
    kind: type[Judge] = named(path)
    return kind


def version_of(name: str, judge: Judge, options: Mapping[str, Any], *, reasoning: Reasoning | None = USUAL) -> str:
    """Return the name of everything that decides over verdicts: options, libraries, and our own code."""
    decides = {
        "options": json.loads(json.dumps(deciding_options(judge.declares, options), sort_keys=True, default=repr)),
        "judge": dict(judge.determined_by()),
        "reasoning": None if reasoning is None else list(reasoning),
        "libraries": {library: version(library) for library in judge.libraries},
        "python": platform.python_version(),
        "code": code_digest(sources_of(judge)),
    }
    return f"{name}-{fingerprint(decides)}"


def sources_of(judge: Judge) -> list[Path]:
    """Return the files of our own code that decide over a judge's verdicts."""
    own = judge.sources or filter(None, [getsourcefile(type(judge))])
    common = [Path(__file__).with_name(f"{name}.py") for name in _COMMON]
    limits = sorted(Path(__file__).parent.joinpath("sandbox").glob("*.py"))
    return list(dict.fromkeys([*common, *limits, *map(Path, own)]))


def code_digest(sources: Iterable[Path]) -> str:
    """Return the name of what files of Python do: no comment, docstring or layout counts, nor where a file is."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(_syntax(source.read_bytes()))
    return digest.hexdigest()


@cache  # every reward that is opened has most files in common
def _syntax(code: bytes) -> bytes:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("restem."):
            node.module = ""  # the name that is imported tells what it is, and modules move
    return hashlib.sha256(ast.dump(tree).encode()).digest()
