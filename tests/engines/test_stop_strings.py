"""Where a completion ends: stop strings that are special tokens, or hold one, whether it has a role or not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from restem.engines import open_engine
from restem.engines.texts import Draft, Reader
from tests.engines.conftest import EOS, PAD, make_tokenizer

END = "<|eot_id|>"
PROMPT = "Q: he?\nA:"


@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_a_special_token_without_a_role_ends_a_completion_as_an_end_of_sequence_does(
    tiny_policy: Callable[..., Path], architecture: str
) -> None:
    number = len(make_tokenizer())  # the one that is added gets
    by_stop, by_end = (tiny_policy(architecture, special=(END,), eos_token_id=ends) for ends in (0, [0, number]))
    arguments: dict[str, Any] = {"n": 16, "max_new_tokens": 40, "seed": 3}

    with open_engine("transformers", by_stop, dtype="float32") as engine:
        (stopped,), (free,) = (list(engine.sample([PROMPT], stop=stop, **arguments)) for stop in ([END], []))
    with open_engine("transformers", by_end, dtype="float32") as engine:
        (ended,) = engine.sample([PROMPT], **arguments)

    assert stopped == ended != free
    assert not [completion for completion in stopped if END in completion.text]


TOKENIZER = make_tokenizer([END])


def tokens(text: str) -> list[int]:
    return list(TOKENIZER(text)["input_ids"])


@pytest.mark.parametrize(
    ("stop", "sampled", "text", "n_tokens"),
    [
        ([END], f"ab{END}", "ab", 2),
        ([f"{END}\n"], f"1{END}2{END}\n", "12", 5),  # the first one is not followed by a newline
        ([f"\n{END}"], f"x\n{END}", "x", 3),
        ([f"{PAD}3"], f"12{PAD}3", "12", 3),
        (["xyz"], f"1x{PAD}{PAD}{PAD}{PAD}{PAD}{PAD}{PAD}{PAD}yz", "1", 12),
        ([f"y{END}", "x"], f"1y{END}", "1", 3),
        ([f"y{END}", "x"], f"1x{PAD}", "1", 2),
    ],
)
def test_a_stop_string_is_found_at_the_token_that_completes_it(
    stop: Sequence[str], sampled: str, text: str, n_tokens: int
) -> None:
    reader, prompt = Reader(TOKENIZER, frozenset([0]), stop), tokens(PROMPT)
    draft = Draft(0, 0)

    for token in tokens(sampled):
        draft.tokens.append(token)
        if reader.ended(prompt, draft.tokens):
            break

    completion = reader.completion(prompt, draft, logprob=False)
    assert (completion.text, completion.n_tokens, completion.finish_reason) == (text, n_tokens, "stop")


def test_what_only_looks_like_the_rest_of_a_stop_string_ends_nothing() -> None:
    reader, prompt = Reader(TOKENIZER, frozenset([0]), [f"{END}\n", EOS]), tokens(PROMPT)
    draft = Draft(0, 0, tokens(f"1\n{END}2"))

    assert not reader.ended(prompt, draft.tokens)
    assert reader.completion(prompt, draft, logprob=False).text == "1\n2"
