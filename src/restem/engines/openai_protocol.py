"""What the OpenAI protocol says, in both directions: a request -> JSON, JSON -> completions.

Parameters that the protocol does not have (top_k, min_p, repetition_penalty, add_special_tokens, skip_special_tokens)
are sent by the names that vLLM, SGLang and llama.cpp know them by. They are sent even when they change nothing, because
such servers fall back on defaults of their own (llama.cpp: top_k 40, min_p 0.05; vLLM: the model's
generation_config.json).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from restem.engines import Completion
from restem.engines.arguments import Request
from restem.engines.texts import stop_place
from restem.errors import EngineError
from restem.store.fingerprints import question_seed

# llama.cpp takes 32 bits. Two prompts with the same seed are no harm.
_SEED_BITS = 31


class Ask(NamedTuple):
    """Some of the completions of one prompt, drawn by one request."""

    prompt_index: int
    first: int  # sample index
    n: int


class Endpoint(NamedTuple):
    """One of the two ways to ask for text."""

    path: str
    chat: bool


ENDPOINTS = {
    "completions": Endpoint("/completions", chat=False),
    "chat": Endpoint("/chat/completions", chat=True),
}
# What a server may not know.
EXTENSIONS = ("top_k", "min_p", "repetition_penalty", "add_special_tokens", "skip_special_tokens", "seed")
_CHARACTERS_PER_TOKEN = 4  # where a server does not count
# How special tokens are usually written. Which ones the model has only the server knows; it leaves them out of the text
# in which it looks for stop strings, unless it is told not to.
_SPECIAL = re.compile(r"<[|\uff5c][^<>]+[|\uff5c]>|</?s>|<(?:bos|eos|eot|start_of_turn|end_of_turn)>|\[/?INST\]")


def payload(request: Request, ask: Ask, *, model: str, endpoint: Endpoint) -> dict[str, Any]:
    """Return the JSON to send."""
    prompt = request.prompts[ask.prompt_index]
    asking: dict[str, Any] = (
        {"messages": [{"role": "user", "content": prompt}]} if endpoint.chat else {"prompt": prompt}
    )
    body = asking | {
        "model": model,
        "max_tokens": request.max_new_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k or -1,  # -1 is all for every server that knows it
        "min_p": request.min_p,
        "repetition_penalty": 1.0,
        "seed": ask_seed(request, ask),
    }
    if ask.n > 1:
        body["n"] = ask.n
    if request.stop:
        body["stop"] = list(request.stop)
        if any(_SPECIAL.search(text) for text in request.stop):
            body["skip_special_tokens"] = False
    if request.logprobs:
        body |= {"logprobs": True} if endpoint.chat else {"logprobs": 1}
    if not endpoint.chat and not request.add_special_tokens:
        body["add_special_tokens"] = False
    return body


def ask_seed(request: Request, ask: Ask) -> int:
    """Return the seed of a request: a function of the prompt's and of the first sample's index."""
    return question_seed(request.seeds[ask.prompt_index], ask.first) >> (63 - _SEED_BITS)


def changes_nothing(request: Request, name: str) -> bool:
    """Return whether the request draws from the same distribution without this."""
    return {
        "seed": True,  # another draw, no less good; it cannot be repeated then
        "top_k": request.top_k == 0,
        "min_p": request.min_p == 0,
        "repetition_penalty": True,  # a server that cannot be told of one is taken to have none
        "skip_special_tokens": True,  # but it may not find where a completion was to end
        "add_special_tokens": request.add_special_tokens,
    }[name]


def read_answer(answer: Mapping[str, Any], request: Request, endpoint: Endpoint) -> list[Completion]:
    """Return the completions of an answer.

    Raises:
        ValueError: If it is not what the protocol says.
        EngineError: If log-probabilities were asked for and are not there.
    """
    try:
        choices = sorted(answer["choices"], key=lambda choice: int(choice.get("index", 0)))
        texts = [choice["message"]["content"] or "" if endpoint.chat else choice["text"] for choice in choices]
        ends = ["length" if choice.get("finish_reason") == "length" else "stop" for choice in choices]
        logprobs = [_token_logprobs(choice, endpoint) for choice in choices]
        total = int((answer.get("usage") or {}).get("completion_tokens") or 0)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not an answer of this protocol ({type(error).__name__}: {error})") from error
    if not choices or not all(isinstance(text, str) for text in texts):
        raise ValueError("no choices in it, or a choice without a text")
    if request.logprobs and not all(logprobs):
        raise EngineError("the server returns no log-probabilities; sample without logprobs")
    known = [_known_tokens(choice, of_tokens) for choice, of_tokens in zip(choices, logprobs, strict=True)]
    counts = _token_counts(texts, ends, known, total=total, limit=request.max_new_tokens)
    # Some servers leave the stop string in.
    return [
        Completion(
            text[: stop_place(text, request.stop)],
            count,
            end,
            sum(of_tokens) if request.logprobs else None,
            _token_ids(choice) if request.token_ids else None,
        )
        for choice, text, count, end, of_tokens in zip(choices, texts, counts, ends, logprobs, strict=True)
    ]


def total_tokens(answer: Mapping[str, Any]) -> int:
    """Return what an answer cost, prompt and completions; 0 if the server does not say."""
    usage = answer.get("usage")
    if not isinstance(usage, Mapping):
        return 0
    parts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    total = usage.get("total_tokens")
    return total if isinstance(total, int) else sum(part for part in parts if isinstance(part, int))


def tokens_taken(answer: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[int, int]:
    """Return the tokens of a request's prompt and of its completions, as the server counts them.

    A server that does not say is taken to read and write four characters per token.
    """
    usage = answer.get("usage")
    said = usage if isinstance(usage, Mapping) else {}
    prompt, completion = said.get("prompt_tokens"), said.get("completion_tokens")
    if not isinstance(prompt, int):
        prompt = _estimated([body.get("prompt"), *_contents(body.get("messages"))])
    if not isinstance(completion, int):
        choices = answer.get("choices")
        listed = [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
        texts = [choice.get("text") for choice in listed]
        completion = _estimated([*texts, *_contents([choice.get("message") for choice in listed])])
    return prompt, completion


def _contents(messages: Any) -> list[Any]:
    listed = messages if isinstance(messages, list) else []
    return [message.get("content") for message in listed if isinstance(message, Mapping)]


def _estimated(texts: Sequence[Any]) -> int:
    return sum(1 + len(text) // _CHARACTERS_PER_TOKEN for text in texts if isinstance(text, str))


def _token_logprobs(choice: Mapping[str, Any], endpoint: Endpoint) -> list[float]:
    answer = choice.get("logprobs") or {}
    values = (
        [part["logprob"] for part in answer.get("content") or []] if endpoint.chat else answer.get("token_logprobs")
    )
    return [float(value) for value in values or [] if value is not None]


def _known_tokens(choice: Mapping[str, Any], logprobs: Sequence[float]) -> int | None:
    tokens = _token_ids(choice)
    return len(logprobs) or None if tokens is None else len(tokens)


def _token_ids(choice: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the tokens that are not in the protocol, but given by vLLM where `return_token_ids` asks for them."""
    tokens = choice.get("token_ids")
    if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
        return None
    return tuple(tokens)


def _token_counts(
    texts: Sequence[str], ends: Sequence[str], known: Sequence[int | None], *, total: int, limit: int
) -> list[int]:
    """Return each choice's number of tokens; the protocol gives only their sum.

    A completion that ran out of tokens has `limit`; the rest of the sum is shared by length of text. A server that
    does not even give the sum is taken to write four characters per token.
    """
    total = total or _estimated(texts)
    counts = [limit if end == "length" and count is None else count for end, count in zip(ends, known, strict=True)]
    if len(texts) == 1:
        counts = [total]
    open_places = [place for place, count in enumerate(counts) if count is None]
    left = max(0, total - sum(count for count in counts if count is not None))
    weights = [len(texts[place]) + 1 for place in open_places]  # one more: the end is a token too
    for place, weight in zip(open_places, weights, strict=True):
        counts[place] = max(1, min(limit, round(left * weight / sum(weights))))
    return [count or 0 for count in counts]
