"""The other side of `restem.engines.vllm`: runs in an interpreter that has vLLM, and need not have restem.

One JSON object per line comes in and one goes out for each. What vLLM itself prints goes to standard error.
"""

import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any

_GRACE_S = 20.0  # to end in good order once nobody listens


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # vLLM and what it starts print to standard output as well
    waiting: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_listen, args=(waiting,), daemon=True).start()
    start = waiting.get()
    if start is None:
        return
    model, opened = _tried(_open, json.loads(start))
    _say(answers, opened)
    while model is not None and (line := waiting.get()) is not None:
        drawn, answer = _tried(_draw, model, json.loads(line))
        _say(answers, answer if drawn is None else drawn)


def _listen(waiting: "queue.Queue[str | None]") -> None:
    """Pass lines on; when they end, whoever started us is done or dead, and nothing may stay behind."""
    for line in sys.stdin:
        waiting.put(line)
    waiting.put(None)
    time.sleep(_GRACE_S)
    os.killpg(0, signal.SIGKILL)


def _say(stream: Any, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def _tried(work: Any, *arguments: Any) -> tuple[Any, dict[str, Any]]:
    """Return the work's result and good news, or None and the error."""
    try:
        return work(*arguments), {"ready": True}
    except Exception as error:  # the other side raises it again
        return None, {"error": f"{type(error).__name__}: {error}"}


def _open(request: dict[str, Any]) -> Any:
    from vllm import LLM  # type: ignore[import-not-found,unused-ignore] # of another environment
    from vllm.platforms import current_platform  # type: ignore[import-not-found,unused-ignore] # likewise

    trusted = os.environ.get("RESTEM_RUN_CODE_FROM_MODEL_FOLDER") == "1"  # see restem.engines.model_code
    arguments = {"enable_prefix_caching": True, "trust_remote_code": trusted}
    if current_platform.is_cpu():
        # Where it reads a prompt in parts, vLLM sets the sample's generator back, which those of CPUs cannot do.
        arguments["enable_chunked_prefill"] = False
    return LLM(request["policy"], dtype=request["dtype"], **(arguments | request["args"]))


def _draw(model: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return, for every prompt, its completions; and how many tokens the prompts have."""
    tokenizer = model.get_tokenizer()
    n_behind = _n_behind(tokenizer) if request["add_special_tokens"] else 0
    read = tokenizer(request["prompts"], add_special_tokens=request["add_special_tokens"])["input_ids"]
    encoded = [tokens[: len(tokens) - n_behind] for tokens in read]
    window = int(model.llm_engine.model_config.max_model_len)
    for index, tokens in enumerate(encoded):
        if not tokens:
            raise ValueError(f"prompt {index} has no tokens: {request['prompts'][index]!r}")
        if len(tokens) >= window:
            raise ValueError(
                f"prompt {index} has {len(tokens)} tokens, the context window is {window}; "
                "a completion needs at least one"
            )
    limits = [min(request["max_new_tokens"], window - len(tokens)) for tokens in encoded]
    reasoning = request.get("reasoning")
    first = [min(limit, reasoning["budget"]) for limit in limits] if reasoning else limits
    drawn = _generated(model, request, encoded, request["seeds"], first)
    if reasoning:
        _draw_on(model, request, encoded, limits, drawn)
    if not request["token_ids"]:
        drawn = [[{**completion, "token_ids": None} for completion in completions] for completions in drawn]
    return {"completions": drawn, "n_prompt_tokens": sum(map(len, encoded))}


def _generated(
    model: Any, request: dict[str, Any], prompts: list[list[int]], seeds: list[int], limits: list[int]
) -> list[list[dict[str, Any]]]:
    """Return, for every prompt in tokens, what is drawn behind it: so many new tokens at most."""
    special = _special_tokens(model.get_tokenizer())
    left_out = sorted(special, key=len, reverse=True) if _written_out(request, special) else []
    sampling = [_sampling(request, seed, limit, special) for seed, limit in zip(seeds, limits, strict=True)]
    outputs = model.generate([{"prompt_token_ids": list(tokens)} for tokens in prompts], sampling, use_tqdm=False)
    return [
        [_completion(drawn, left_out) for drawn in sorted(output.outputs, key=lambda drawn: drawn.index)]
        for output in outputs
    ]


def _draw_on(
    model: Any,
    request: dict[str, Any],
    prompts: list[list[int]],
    limits: list[int],
    drawn: list[list[dict[str, Any]]],
) -> None:
    """Draw on what has not ended within the budget, behind its own tokens and those that close its reasoning."""
    reasoning = request["reasoning"]
    places, behind, seeds, left = [], [], [], []
    for index, completions in enumerate(drawn):
        for number, completion in enumerate(completions):
            tokens, closing = completion["token_ids"], reasoning["closing"]
            if completion["finish_reason"] != "length" or len(tokens) == limits[index]:
                continue
            if _is_open(completion["text"], reasoning, index) and limits[index] - len(tokens) > len(closing):
                start = len(completion["text"])
                completion["closing"] = [start, start + len(reasoning["close"])]
                completion["text"] += reasoning["close"]
                completion["token_ids"] = tokens = tokens + closing
            places.append(completion)
            behind.append(prompts[index] + tokens)
            seeds.append(_another_seed(request["seeds"][index], number))
            left.append(limits[index] - len(tokens))
    if not places:
        return
    for completion, (rest,) in zip(places, _generated(model, {**request, "n": 1}, behind, seeds, left), strict=True):
        completion["text"] += rest["text"]
        completion["token_ids"] = completion["token_ids"] + rest["token_ids"]
        completion["n_tokens"] = len(completion["token_ids"])
        completion["finish_reason"] = rest["finish_reason"]
        if completion["logprob"] is not None and rest["logprob"] is not None:
            completion["logprob"] += rest["logprob"]


def _is_open(text: str, reasoning: dict[str, Any], index: int) -> bool:
    """Return whether a completion ends within its reasoning; as `restem.engines.reasoning` knows it."""
    last_open, last_close = text.rfind(reasoning["open"]), text.rfind(reasoning["close"])
    return bool(reasoning["opened"][index]) if last_open == last_close == -1 else last_open > last_close


def _another_seed(seed: int, number: int) -> int:
    """Return the seed of what a sample of a prompt draws behind its reasoning, below 62 bits."""
    return int.from_bytes(hashlib.blake2b(f"{seed} answer {number}".encode(), digest_size=8).digest(), "big") >> 2


def _n_behind(tokenizer: Any) -> int:
    """Return how many tokens the tokenizer puts behind a text, as `restem.engines.encoding` knows them."""
    bare, dressed = tokenizer("a", add_special_tokens=False)["input_ids"], tokenizer("a")["input_ids"]
    starts = [i for i in range(len(dressed) - len(bare) + 1) if dressed[i : i + len(bare)] == bare]
    return len(dressed) - len(bare) - starts[0] if starts else 0


def _sampling(request: dict[str, Any], seed: int, max_tokens: int, special: dict[str, int]) -> Any:
    from vllm import SamplingParams

    # A special token is no part of the text, so as a stop string it would never be found.
    return SamplingParams(
        n=request["n"],
        temperature=request["temperature"],
        top_k=request["top_k"],
        top_p=request["top_p"],
        min_p=request["min_p"],
        max_tokens=max_tokens,
        seed=seed,
        stop=[text for text in request["stop"] if text not in special],
        stop_token_ids=[special[text] for text in request["stop"] if text in special],
        skip_special_tokens=not _written_out(request, special),
        logprobs=0 if request["logprobs"] else None,
    )


def _special_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the tokens that are no part of a text, with or without a role; as `restem.engines.texts` does."""
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if token.special} | named


def _written_out(request: dict[str, Any], special: dict[str, int]) -> bool:
    """Return whether a stop string holds a special token and more: it is found where special tokens are in the text."""
    return any(name in text for text in request["stop"] if text not in special for name in special)


def _completion(output: Any, left_out: list[str]) -> dict[str, Any]:
    text = output.text
    for name in left_out:
        text = text.replace(name, "")
    return {
        "text": text,
        "n_tokens": len(output.token_ids),
        "finish_reason": "length" if output.finish_reason == "length" else "stop",
        "logprob": output.cumulative_logprob,
        "token_ids": list(output.token_ids),
        "closing": None,
    }


if __name__ == "__main__":
    main()
