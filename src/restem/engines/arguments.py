"""The arguments of `sample`, checked once for all engines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from restem.engines.reasoning import Reasoning
from restem.errors import EngineError
from restem.parameters.ranges import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, LOWEST_TOP_P
from restem.store.fingerprints import question_seed


@dataclass(frozen=True)
class Request:
    """What was asked of an engine; see `restem.engines.Engine.sample`."""

    prompts: tuple[str, ...]
    seeds: tuple[int, ...]  # one per prompt
    n: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    max_new_tokens: int
    stop: tuple[str, ...]
    add_special_tokens: bool
    logprobs: bool
    token_ids: bool
    reasoning: Reasoning | None = None

    @property
    def n_drawn(self) -> int:
        """Return how many completions per prompt differ: greedy ones are all the same."""
        return 1 if self.temperature == 0 else self.n


@dataclass(frozen=True)
class Work:
    """A request in tokens."""

    request: Request
    prompts: Sequence[Sequence[int]]
    limits: Sequence[int]  # new tokens at most, per prompt

    def after(self, n_done: int) -> "Work":
        """Return what is left when the first prompts are done."""
        asked = self.request
        left = asked.reasoning and asked.reasoning.after(n_done)
        request = replace(asked, prompts=asked.prompts[n_done:], seeds=asked.seeds[n_done:], reasoning=left)
        return Work(request, self.prompts[n_done:], self.limits[n_done:])

    @property
    def n_rows(self) -> int:
        """Return how many completions there are to draw."""
        return len(self.prompts) * self.request.n_drawn

    @property
    def longest(self) -> int:
        """Return how many tokens the longest text may have, prompt and completion."""
        return max(len(prompt) + limit for prompt, limit in zip(self.prompts, self.limits, strict=True))


def check_request(  # noqa: PLR0913 - the arguments of Engine.sample
    prompts: Sequence[str],
    *,
    n: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    seed: int | Sequence[int] = 0,
    stop: Sequence[str] = (),
    add_special_tokens: bool = True,
    logprobs: bool = False,
    token_ids: bool = False,
) -> Request:
    """Return the request.

    Raises:
        EngineError: If an argument is out of range.
    """
    request = Request(
        prompts=_checked_prompts(prompts),
        seeds=_seeds(seed, len(prompts)),
        n=n,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        max_new_tokens=max_new_tokens,
        stop=_checked_stop(stop),
        add_special_tokens=add_special_tokens,
        logprobs=logprobs,
        token_ids=token_ids,
    )
    _check_ranges(request)
    return request


def check_reasoning(request: Request, reasoning: Reasoning | None, *, n_closing: int) -> Request:
    """Return the request with its reasoning.

    Args:
        request: Checked.
        reasoning: Of its prompts, if any.
        n_closing: Tokens of the closing mark.

    Raises:
        EngineError: If there would be no room for an answer behind it.
    """
    if reasoning is None:
        return request
    _require(len(reasoning.opened) == len(request.prompts), "reasoning must say of every prompt whether it is open")
    _require(reasoning.budget >= 1, f"the budget of reasoning must be at least 1, got {reasoning.budget}")
    _require(
        reasoning.budget + n_closing < request.max_new_tokens,
        f"sampling.reasoning.budget = {reasoning.budget} tokens and the {n_closing} of its closing mark leave no room "
        f"for an answer within max_new_tokens = {request.max_new_tokens}",
    )
    return replace(request, reasoning=reasoning)


def _check_ranges(request: Request) -> None:
    temperature, top_k, top_p, min_p = request.temperature, request.top_k, request.top_p, request.min_p
    _require(request.n >= 1, f"n must be at least 1, got {request.n}")
    _require(request.max_new_tokens >= 1, f"max_new_tokens must be at least 1, got {request.max_new_tokens}")
    _require(
        temperature == 0 or LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE,
        f"temperature must be 0, which is greedy, or from {LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE:g}, "
        f"got {temperature}",
    )
    _require(top_k >= 0, f"top_k must be at least 0 (0 keeps all tokens), got {top_k}")
    _require(LOWEST_TOP_P <= top_p <= 1, f"top_p must be from {LOWEST_TOP_P} to 1, got {top_p}")
    _require(0 <= min_p < 1, f"min_p must be at least 0 and below 1, got {min_p}")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise EngineError(message)


def _checked_prompts(prompts: Sequence[str]) -> tuple[str, ...]:
    _require(not isinstance(prompts, str), "prompts must be a list of texts, got one text")
    for index, prompt in enumerate(prompts):
        _require(isinstance(prompt, str), f"prompt {index} must be a text, got {type(prompt).__name__}")
        _require(prompt != "", f"prompt {index} is empty")
    return tuple(prompts)


def _checked_stop(stop: Sequence[str]) -> tuple[str, ...]:
    _require(not isinstance(stop, str), f"stop must be a list of texts, got the text {stop!r}")
    for text in stop:
        _require(isinstance(text, str) and text != "", f"stop must hold non-empty texts, got {text!r}")
    return tuple(stop)


def _seeds(seed: int | Sequence[int], n_prompts: int) -> tuple[int, ...]:
    if isinstance(seed, int):
        return tuple(question_seed(seed, index) for index in range(n_prompts))
    _require(len(seed) == n_prompts, f"seed must be one number or {n_prompts}, one per prompt; got {len(seed)}")
    for index, value in enumerate(seed):
        _require(0 <= value < 2**64, f"seed {index} must be at least 0 and below 2**64, got {value}")
    return tuple(int(value) for value in seed)
