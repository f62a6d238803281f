"""A prompt, and a completion behind it, token by token: what is read, what is learnt, and what wrote it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from restem.engines.encoding import surrounding_tokens
from restem.policies.policy import Policy
from restem.store.tables import Table
from restem.training.continuations import Continuations, writer_of
from restem.training.rows import Example, encode_rows


class Token(NamedTuple):
    """A token as the tokenizer has it."""

    number: int
    piece: str


class Stretch(NamedTuple):
    """Tokens in a row of which the same is to be said."""

    what: str  # prompt, prefill, reasoning, completion, or closing mark
    is_learnt: bool
    tokens: list[Token]


def read_prompt(policy: Policy, prompt: str, prefill: str, *, add_special_tokens: bool) -> list[Stretch]:
    """Return the tokens of a prompt, those of its prefill apart.

    Args:
        policy: Whose tokenizer is used.
        prompt: Exact text, with its prefill.
        prefill: With which it ends.
        add_special_tokens: As for sampling.
    """
    write = writer_of(policy.folder, add_special_tokens=add_special_tokens)
    return _read(write, write.prompt_ids(prompt), _n_before(write, prompt, prefill, add_special_tokens))


def read_row(
    policy: Policy, row: Table, prefill: str, *, add_special_tokens: bool, learn_after: str | None
) -> list[Stretch]:
    """Return the tokens of a training row: its prompt, and what of the completion is learnt.

    Args:
        policy: Whose tokenizer is used.
        row: A row of the table `training_set`, as a table.
        prefill: With which its prompt ends.
        add_special_tokens: As for sampling.
        learn_after: As in `training`.
    """
    write = writer_of(policy.folder, add_special_tokens=add_special_tokens)
    (example,) = encode_rows(row, write, learn_after=learn_after)
    prompt = str(row["prompt"].iloc[0])
    before = _read(write, example.input_ids[: example.n_prompt], _n_before(write, prompt, prefill, add_special_tokens))
    return [*before, *_behind(write, example)]


def _n_before(write: Continuations, prompt: str, prefill: str, add_special_tokens: bool) -> int | None:
    """Return how many tokens stand before a prefill; None where that cannot be told, or there is none."""
    if not prefill or not write.tokenizer.is_fast:
        return None
    place = len(prompt) - len(prefill)
    encoded = write.tokenizer(prompt, add_special_tokens=add_special_tokens, return_offsets_mapping=True)
    n = sum(1 for start, end in encoded["offset_mapping"] if start < place or start == end == 0)
    return n - (len(surrounding_tokens(write.tokenizer).behind) if add_special_tokens else 0)


def _read(write: Continuations, ids: Sequence[int], n_before: int | None) -> list[Stretch]:
    if n_before is None:
        return [Stretch("prompt", False, _tokens(write, ids))]
    return [
        Stretch("prompt", False, _tokens(write, ids[:n_before])),
        Stretch("prefill", False, _tokens(write, ids[n_before:])),
    ]


def _behind(write: Continuations, example: Example) -> Iterator[Stretch]:
    place = example.n_prompt
    ends = sorted({example.n_read, *example.closing, len(example.input_ids)})
    learnt = {index for start, end in example.learnt for index in range(start, end)}
    for end in ends:
        if end <= place:
            continue
        is_mark = example.closing[0] <= place < example.closing[1]
        what = "closing mark" if is_mark else "reasoning" if place < example.n_read else "completion"
        yield Stretch(what, place in learnt, _tokens(write, example.input_ids[place:end]))
        place = end


def _tokens(write: Continuations, ids: Sequence[int]) -> list[Token]:
    pieces = write.tokenizer.convert_ids_to_tokens(list(ids))
    return [Token(number, str(piece)) for number, piece in zip(ids, pieces, strict=True)]
