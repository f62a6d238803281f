"""A prompt -> its tokens, the same for sampling, training and whatever counts them."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class SurroundingTokens(NamedTuple):
    """What a tokenizer puts around a text of its own accord."""

    before: tuple[int, ...]
    behind: tuple[int, ...]


def encode_prompts(tokenizer: Any, prompts: Sequence[str], *, add_special_tokens: bool) -> list[list[int]]:
    """Return the tokens of each prompt: what begins a text is before it, but nothing ends it.

    Some tokenizers (T5's, and any with add_eos_token) put an end-of-sequence token behind every text. A policy that
    is to go on must not read one.

    Args:
        tokenizer: Of the policy.
        prompts: Exact texts.
        add_special_tokens: False for prompts that hold theirs already, as chat templates write them.
    """
    encoded = tokenizer(list(prompts), add_special_tokens=add_special_tokens, verbose=False)["input_ids"]
    n_behind = len(surrounding_tokens(tokenizer).behind) if add_special_tokens else 0
    return [list(ids)[: len(ids) - n_behind] for ids in encoded]


def surrounding_tokens(tokenizer: Any) -> SurroundingTokens:
    """Return the special tokens that the tokenizer adds."""
    bare = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    dressed = list(tokenizer("a")["input_ids"])
    starts = [i for i in range(len(dressed) - len(bare) + 1) if dressed[i : i + len(bare)] == bare]
    if not starts:  # it adds none, or writes texts differently beside them
        return SurroundingTokens((), ())
    return SurroundingTokens(tuple(dressed[: starts[0]]), tuple(dressed[starts[0] + len(bare) :]))
