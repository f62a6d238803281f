"""A model's opinion, for tasks that nothing else can check: a chat model at a server that speaks the OpenAI protocol.

It is asked k times with a fixed rubric, and the majority decides. It can be wrong, and be talked into things: reports
say of every number that rests on it whose opinion it is. Gold: {"answer": ...}, shown to it as the reference; or
anything.

Options:

- base_url, model: whom to ask; base_url as http://127.0.0.1:8000/v1.
- api_key_env: the environment variable that holds the key; no key is sent if not given.
- k (3): opinions, an odd number; asking ends when the majority is settled.
- criteria: what counts, in place of the rubric's own.
- show_gold (true): give it the reference answer.
- temperature (0.7, or 0 if k is 1), max_tokens (512), seed (0): of its replies.
- extra_body: sent with every request, over what restem sends; null takes something out.
- concurrency (8): requests under way at most.
- request_timeout_s (120), max_retries (6), backoff_s (0.5): of one request; a busy or broken server is tried again.
- max_requests_budget, max_tokens_budget: when one is spent, the run stops.

A reply without a readable verdict is asked for again. What stays broken stops the run: it is never a wrong answer.
timeout_s and workers have no part in it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from restem.engines.openai_protocol import total_tokens
from restem.engines.server import Budget, Patience, Refusal, Server, checked_url, key_of
from restem.errors import EngineError, RewardError
from restem.parameters.decides import Decides, Harmless
from restem.parameters.ranges import Budgeted, NonNegative, Pause, Positive, Seconds, Seed, Temperature
from restem.rewards.base import Judge, Task
from restem.rewards.extraction import in_form
from restem.rewards.rubric import CRITERIA, Case, put, read_verdict
from restem.rewards.verdicts import Answer, Gold, Verdict, gold_of
from restem.store.fingerprints import question_seed

_OPTIONS = "scoring.options.judge"
_TRIES = 4  # to get a readable verdict
_SEED_BITS = 31  # llama.cpp takes 32


class ModelJudge(Judge):
    """What to ask, and of whom."""

    sees_question = True
    sources = tuple(Path(__file__).with_name(f"{name}.py") for name in ("judge", "rubric", "extraction"))

    def __init__(  # noqa: PLR0913 - one argument per option
        self,
        *,
        base_url: Annotated[str, Decides("verdicts")] = "",
        model: Annotated[str, Decides("verdicts")] = "",
        api_key_env: Annotated[str | None, Harmless] = None,
        k: Annotated[int, Decides("verdicts")] = 3,
        criteria: Annotated[str, Decides("verdicts")] = CRITERIA,
        show_gold: Annotated[bool, Decides("verdicts")] = True,
        temperature: Annotated[Temperature | None, Decides("verdicts")] = None,
        max_tokens: Annotated[Positive, Decides("verdicts")] = 512,
        seed: Annotated[Seed, Decides("verdicts")] = 0,
        extra_body: Annotated[Mapping[str, Any] | None, Decides("verdicts")] = None,
        concurrency: Annotated[Positive, Harmless] = 8,
        request_timeout_s: Annotated[Seconds, Harmless] = 120.0,
        max_retries: Annotated[NonNegative, Harmless] = 6,
        backoff_s: Annotated[Pause, Harmless] = 0.5,
        max_requests_budget: Annotated[Budgeted | None, Harmless] = None,
        max_tokens_budget: Annotated[Budgeted | None, Harmless] = None,
    ) -> None:
        """Check the options; the module's docstring explains them. No server is asked yet."""
        given = {name: value for name, value in locals().items() if name != "self"}
        _check(given)
        self.k, self.concurrency = k, concurrency
        self._criteria, self._show_gold = criteria, show_gold
        self._seed = seed
        self._body = {
            "model": model,
            "max_tokens": max_tokens,
            "temperature": (0.7 if k > 1 else 0.0) if temperature is None else temperature,
        }
        self._extra = dict(extra_body or {})
        try:
            self._base_url = checked_url(base_url, options=_OPTIONS)
            self._key, self._key_name = key_of(api_key_env, options=_OPTIONS), api_key_env or ""
        except EngineError as error:
            raise RewardError(error.message) from error
        self._patience = Patience(request_timeout_s, max_retries, backoff_s)
        self._budget = Budget(max_tokens=max_tokens_budget, max_requests=max_requests_budget, options=_OPTIONS)

    @classmethod
    def opinion_of(cls, options: Mapping[str, Any]) -> str:
        """Return whose opinion a verdict is."""
        return f"the opinion of the model {options.get('model')}, the majority of {options.get('k', 3)}"

    def pool(self) -> "Panel":
        """Return where verdicts are made: in threads that wait, and not in processes that compute."""
        return Panel(self)

    def connect(self) -> Server:
        """Return the server, which is there and takes the key.

        Raises:
            EngineError: If it is not, or does not.
        """
        server = Server(
            self._base_url,
            key=self._key,
            key_name=self._key_name,
            patience=self._patience,
            budget=self._budget,
            options=_OPTIONS,
        )
        try:
            server.find()
        except EngineError:
            server.close()
            raise
        return server

    def ask(self, server: Server, task: Task) -> Verdict:
        """Return the majority's verdict on a completion.

        Raises:
            EngineError: If the server stays broken.
            RewardError: If it says nothing that can be read as a verdict.
        """
        gold = gold_of(task.subject) or {}
        reference = str(gold["answer"]) if self._show_gold and "answer" in gold else None
        case = put(str(task.subject.get("text", "")), task.answer, reference=reference, criteria=self._criteria)
        votes = [0, 0]
        while max(votes) <= self.k // 2:
            votes[self._opinion(server, case, sum(votes), task.name)] += 1
        is_right = votes[True] > votes[False]
        found_by = f"opinion, {max(votes)} of {sum(votes)}"
        return Verdict(float(is_right), "correct" if is_right else "wrong", None, found_by=found_by)

    def _opinion(self, server: Server, case: Case, number: int, name: str) -> bool:
        said = ""
        for attempt in range(_TRIES):
            seed = question_seed(self._seed, case.mark, number, attempt) >> (63 - _SEED_BITS)
            body = self._body | {
                "seed": seed,
                "messages": [{"role": "system", "content": case.system}, {"role": "user", "content": case.user}],
            }
            body = {key: value for key, value in (body | self._extra).items() if value is not None}
            answer = server.post("/chat/completions", body, jitter_seed=seed)
            server.budget.count_tokens(total_tokens(answer))
            said = _reply(answer)
            verdict = read_verdict(said, case.mark)
            if verdict is not None:
                return verdict
        raise RewardError(
            f"the model {self._body['model']!r} gave no readable verdict on a completion to question {name!r} in "
            f"{_TRIES} replies, last {said[-200:]!r}; ask a model that follows the rubric, or raise max_tokens"
        )

    def answer_of(self, gold: Gold, completion: str) -> Answer | None:
        """Return the completion, all of which is judged."""
        return Answer(completion) if completion.strip() else None

    def judge(self, subject: Mapping[str, Any], answer: str) -> Verdict:
        """Return the verdict on one completion."""
        (verdict,) = self.pool().run([Task(subject, answer, str(subject.get("question_id", "?")))])
        return verdict

    def gold_completion(self, gold: Gold) -> str | None:
        """Return the solution, or the bare answer."""
        if isinstance(gold.get("solution"), str):
            return str(gold["solution"])
        return in_form("answer_is", str(gold["answer"])) if "answer" in gold else None

    def wrong_completion(self, gold: Gold) -> str | None:
        """Return what answers nothing."""
        return "I do not know."


class Panel:
    """Asks about many completions at once, and holds the connection."""

    def __init__(self, judge: ModelJudge) -> None:
        """Describe the panel; the server is asked with the first task."""
        self._judge = judge
        self._server: Server | None = None

    def run(self, tasks: Sequence[Task]) -> list[Verdict]:
        """Return one verdict per task, in order.

        Raises:
            RewardError: If the server stays broken, or its model gives no readable verdict.
        """
        if not tasks:
            return []
        try:
            server = self._server = self._server or self._judge.connect()
            with ThreadPoolExecutor(self._judge.concurrency, thread_name_prefix="restem-judge") as threads:
                asked = [threads.submit(self._judge.ask, server, task) for task in tasks]
                try:
                    return [one.result() for one in asked]
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    self.close()  # ends the pauses of those that still try
                    raise
        except (EngineError, Refusal) as error:
            raise RewardError(f"the reward 'judge' failed: {error}") from error

    def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _check(options: Mapping[str, Any]) -> None:
    if not options["model"]:
        raise ValueError("model must name the model to ask")
    if not isinstance(options["k"], int) or options["k"] < 1 or options["k"] % 2 == 0:
        raise ValueError(f"k must be odd, so that there is a majority, got {options['k']!r}")
    for name in ("concurrency", "max_tokens", "max_requests_budget", "max_tokens_budget"):
        value = options[name]
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"{name} must be at least 1, got {value!r}")
    if not options["request_timeout_s"] > 0:
        raise ValueError(f"request_timeout_s must be above 0, got {options['request_timeout_s']!r}")
    for name in ("max_retries", "backoff_s", "temperature"):
        if not (options[name] or 0) >= 0:
            raise ValueError(f"{name} must be at least 0, got {options[name]!r}")


def _reply(answer: Mapping[str, Any]) -> str:
    """Return the text of an answer; nothing if it has none, or ran out of tokens."""
    try:
        choice = answer["choices"][0]
        return "" if choice.get("finish_reason") == "length" else str(choice["message"]["content"] or "")
    except (KeyError, IndexError, TypeError, AttributeError):
        return ""
