"""Any server that speaks the OpenAI protocol: vLLM, SGLang, llama.cpp, `transformers serve`, a hosted teacher.

The same prompt and seed ask the server for the same text; whether it gives it is up to the server.
`n_tokens` is exact where a request returns one completion or log-probabilities, and shared out by length of text
where one request returns several (see `restem.engines.openai_protocol`).
"""

import logging
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from restem.engines import Completion
from restem.engines.arguments import Request, check_request
from restem.engines.openai_protocol import (
    ENDPOINTS,
    EXTENSIONS,
    Ask,
    Endpoint,
    ask_seed,
    changes_nothing,
    payload,
    read_answer,
    total_tokens,
)
from restem.engines.server import Budget, Patience, Refusal, Server, checked_url, key_of
from restem.errors import EngineError
from restem.parameters.decides import Decides, Harmless
from restem.parameters.ranges import Budgeted, NonNegative, Pause, Positive, Seconds

_logger = logging.getLogger(__name__)

_WRONG_ANSWERS = 3  # in a row, to one request; then the server is not what it seems


class Target(NamedTuple):
    """What is asked, and how."""

    model: str
    endpoint: Endpoint
    extra_body: dict[str, Any]
    concurrency: int
    n_per_request: int | None  # None: as many as the server gives


class OpenAIEngine:
    """Samples by requests to a server."""

    counts_tokens = True  # the server does, those of prompts too

    def __init__(self, server: Server, target: Target) -> None:
        """Use the server.

        Args:
            server: Found.
            target: What to ask of it.
        """
        self._server, self._target = server, target
        self._lock = threading.Lock()
        self._n_per_request = target.n_per_request
        self._left_out: set[str] = set()  # extensions that the server does not know

    def sample(self, prompts: Sequence[str], **arguments: Any) -> Iterator[list[Completion]]:
        """Return an iterator over n completions per prompt; see `restem.engines.Engine.sample`.

        Raises:
            BudgetError: If the budget of this opening is spent.
            EngineError: If an argument is out of range, or the server fails.
        """
        request = check_request(prompts, **arguments)
        return self._sample(request)

    def _sample(self, request: Request) -> Iterator[list[Completion]]:
        """Yield prompts in order, while as many requests are under way as there are threads."""
        pool = ThreadPoolExecutor(self._target.concurrency, thread_name_prefix="restem-openai")
        under_way: deque[list[Future[list[Completion]]]] = deque()  # by prompt
        waiting = iter(range(len(request.prompts)))
        try:
            while True:
                while sum(map(len, under_way)) < 2 * self._target.concurrency:
                    index = next(waiting, None)
                    if index is None:
                        break
                    under_way.append([pool.submit(self._draw, request, ask) for ask in self._asks(request, index)])
                if not under_way:
                    return
                drawn = [completion for part in under_way.popleft() for completion in part.result()]
                yield drawn * (request.n // request.n_drawn)
        finally:
            # Whoever closes the engine ends the pauses of those that still try.
            pool.shutdown(wait=False, cancel_futures=True)

    def _asks(self, request: Request, index: int) -> list[Ask]:
        n = request.n_drawn
        size = self._n_per_request or n
        return [Ask(index, first, min(size, n - first)) for first in range(0, n, size)]

    def _draw(self, request: Request, ask: Ask) -> list[Completion]:
        """Return the completions that were asked for, by more requests if the server gives fewer."""
        drawn: list[Completion] = []
        while len(drawn) < ask.n:
            left = ask.n - len(drawn)
            part = Ask(ask.prompt_index, ask.first + len(drawn), min(left, self._n_per_request or left))
            got = self._draw_once(request, part)[: part.n]
            if len(got) < part.n:
                self._ask_for_one(f"it gave {len(got)} of {part.n}")
            drawn += got
        return drawn

    def _ask_for_one(self, why: str) -> None:
        """From now on draw one completion per request."""
        with self._lock:
            if self._n_per_request != 1:
                _logger.info("the server does not draw several completions per request (%s): asking for one each", why)
            self._n_per_request = 1

    def _draw_once(self, request: Request, ask: Ask) -> list[Completion]:
        """Return what one request gives, once it is put so that the server understands it."""
        target, problem = self._target, ""
        for _ in range(_WRONG_ANSWERS + len(EXTENSIONS)):
            body = payload(request, ask, model=target.model, endpoint=target.endpoint)
            body = {name: value for name, value in body.items() if name not in self._left_out} | target.extra_body
            try:
                answer = self._server.post(target.endpoint.path, body, jitter_seed=ask_seed(request, ask))
                self._server.budget.count_tokens(total_tokens(answer))
                return read_answer(answer, request, target.endpoint)
            except Refusal as refusal:
                problem = str(refusal)
                if ask.n > 1 and target.n_per_request is None and re.search(r"\bn\b", refusal.message):
                    self._ask_for_one(refusal.message)
                    ask = ask._replace(n=1)
                else:
                    self._leave_out(refusal, request, body)
            except ValueError as error:
                problem = str(error)
        raise EngineError(f"the server at {self._server.base_url} cannot be understood: {problem}")

    def _leave_out(self, refusal: Refusal, request: Request, body: Mapping[str, Any]) -> None:
        """Leave out what the server does not know, if the request means the same without it."""
        named = [name for name in EXTENSIONS if name in body and re.search(rf"\b{name}\b", refusal.message)]
        needed = [name for name in named if not changes_nothing(request, name)]
        if needed or not named:
            raise EngineError(self._explain(refusal, needed)) from refusal
        with self._lock:
            for name in set(named) - self._left_out:
                _logger.warning("the server does not take %s: leaving it out, which draws from the same policy", name)
            self._left_out.update(named)

    def _explain(self, refusal: Refusal, needed: Sequence[str]) -> str:
        server, target = self._server.base_url, self._target
        message = f"the server at {server} refuses the request ({refusal})"
        if needed:
            return f"{message}; it does not take {', '.join(needed)}, without which it would draw something else"
        if refusal.status == HTTPStatus.NOT_FOUND or "model" in refusal.message.lower():
            known = ", ".join(self._server.find()) or "none"
            return (
                f"{message}. Asked for the model {target.model!r} at {target.endpoint.path}; models it lists: {known}"
            )
        return message


@contextmanager
def open_openai(  # noqa: PLR0913 - one argument per option
    policy_path: str | Path,
    base_url: Annotated[str, Decides("samples")] = "",
    model: Annotated[str | None, Decides("samples")] = None,
    endpoint: Annotated[str, Decides("samples")] = "completions",
    api_key_env: Annotated[str | None, Harmless] = None,
    concurrency: Annotated[Positive, Harmless] = 8,
    n_per_request: Annotated[Positive | Literal["auto"], Decides("samples")] = "auto",
    extra_body: Annotated[Mapping[str, Any] | None, Decides("samples")] = None,
    max_tokens_budget: Annotated[Budgeted | None, Harmless] = None,
    max_requests_budget: Annotated[Budgeted | None, Harmless] = None,
    timeout_s: Annotated[Seconds, Harmless] = 600.0,
    max_retries: Annotated[NonNegative, Harmless] = 6,
    backoff_s: Annotated[Pause, Harmless] = 0.5,
) -> Iterator[OpenAIEngine]:
    """Return the engine in a context. The server is there and takes the key, or this raises at once.

    Args:
        policy_path: The model's name, unless `model` gives it; nothing is read from there.
        base_url: As http://127.0.0.1:8000/v1.
        model: As the server names it.
        endpoint: completions; or chat, where the prompt is the user's message in the server's template.
        api_key_env: Environment variable that holds the key; no key is sent if not given.
        concurrency: Requests under way at most.
        n_per_request: Completions asked of one request; auto is all n, or one each if the server gives only one.
        extra_body: Sent with every request.
        max_tokens_budget: Of prompts and completions. What is under way when it is spent comes on top.
        max_requests_budget: Retries included.
        timeout_s: To wait for an answer.
        max_retries: Of one request.
        backoff_s: Before the first retry; doubles up to a minute. A Retry-After counts instead.
    """
    patience = _patience(timeout_s, max_retries, backoff_s)
    target = _target(model or str(policy_path), endpoint, extra_body, concurrency, n_per_request)
    budget = _budget(max_tokens_budget, max_requests_budget)
    with _connected(checked_url(base_url), api_key_env, patience, budget) as server:
        yield OpenAIEngine(server, target)


@contextmanager
def _connected(base_url: str, api_key_env: str | None, patience: Patience, budget: Budget) -> Iterator[Server]:
    server = Server(base_url, key=key_of(api_key_env), key_name=api_key_env or "", patience=patience, budget=budget)
    try:
        server.find()
        yield server
    finally:
        server.close()


def _target(
    model: str, endpoint: str, extra_body: Mapping[str, Any] | None, concurrency: int, n_per_request: int | str
) -> Target:
    if endpoint not in ENDPOINTS:
        raise EngineError(f"endpoint must be one of {', '.join(ENDPOINTS)}, got {endpoint!r}")
    return Target(
        model=model,
        endpoint=ENDPOINTS[endpoint],
        extra_body=dict(extra_body or {}),
        concurrency=_at_least_one("concurrency", concurrency),
        n_per_request=None if n_per_request == "auto" else _at_least_one("n_per_request", n_per_request),
    )


def _budget(max_tokens: int | None, max_requests: int | None) -> Budget:
    for name, limit in (("max_tokens_budget", max_tokens), ("max_requests_budget", max_requests)):
        if limit is not None:
            _at_least_one(name, limit)
    return Budget(max_tokens=max_tokens, max_requests=max_requests)


def _patience(timeout_s: float, max_retries: int, backoff_s: float) -> Patience:
    if not timeout_s > 0:
        raise EngineError(f"timeout_s must be above 0, got {timeout_s}")
    for name, value in (("max_retries", max_retries), ("backoff_s", backoff_s)):
        if not value >= 0:
            raise EngineError(f"{name} must be at least 0, got {value}")
    return Patience(timeout_s, max_retries, backoff_s)


def _at_least_one(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise EngineError(f"{name} must be a number of at least 1, got {value!r}")
    return value
