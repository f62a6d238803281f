"""Training examples: text -> token ids -> batches whose targets say which tokens are learnt.

The prompt is never a target. The rows of a batch that begin alike, as few-shot prompts do, are cut into one
shared prefix and their own rests, so that what they share is computed once; the loss stays the same.
"""

import itertools
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from restem.errors import TrainingError, first_few
from restem.parameters import TrainingParameters
from restem.store.fingerprints import question_seed
from restem.store.tables import Table
from restem.training.continuations import Continuations

if TYPE_CHECKING:
    import torch

IGNORED = -100  # a target that is not learnt, as torch.nn.functional.cross_entropy has it


class Example(NamedTuple):
    """One row of the training set in tokens."""

    input_ids: list[int]  # prompt, completion, and the end-of-sequence token of a finished completion
    n_prompt: int  # of input_ids, the first that are the prompt; none of them is learnt
    weight: float  # of the row's tokens in the loss
    n_reasoning: int = 0  # behind the prompt, the first that are read and not learnt either
    closing: tuple[int, int] = (0, 0)  # from and up to which input_ids an engine wrote: read, and not learnt

    @property
    def n_read(self) -> int:
        """Return how many first tokens are not learnt."""
        return self.n_prompt + self.n_reasoning

    @property
    def n_trained(self) -> int:
        """Return how many tokens are learnt."""
        return sum(end - start for start, end in self.learnt)

    @property
    def learnt(self) -> list[tuple[int, int]]:
        """Return from and up to which of input_ids they are learnt."""
        n = len(self.input_ids)
        start, end = (min(max(place, self.n_read), n) for place in self.closing)
        spans = [(self.n_read, start), (end, n)] if start < end else [(self.n_read, n)]
        return [(first, last) for first, last in spans if first < last]

    def completion_ids(self, learnt: Sequence[int]) -> list[int]:
        """Return the tokens behind the prompt, those that are learnt as they are given."""
        ids, left = list(self.input_ids), iter(learnt)
        for start, end in self.learnt:
            ids[start:end] = list(itertools.islice(left, end - start))
        return [*ids[self.n_prompt :], *left]


def encode_training_set(
    rows: Table, write: Continuations, *, parameters: TrainingParameters, context: int | None = None
) -> list[Example]:
    """Return the rows in tokens, none of them truncated unless that is allowed.

    Args:
        rows: The table `training_set`.
        write: Writes completions behind their prompts.
        parameters: `training`, for max_length in tokens, allow_truncation and learn_after. What is cut off, the end
            among it, is not learnt.
        context: Tokens that the policy can read; None if it sets no limit.

    Raises:
        TrainingError: If a row is longer than it may be, or holds nothing to learn.
    """
    examples = encode_rows(rows, write, learn_after=parameters.learn_after)
    limit = min(parameters.max_length, context or parameters.max_length)
    if parameters.allow_truncation:
        examples = [example._replace(input_ids=example.input_ids[:limit]) for example in examples]
    _check_lengths(examples, row_names(rows), max_length=parameters.max_length, context=context)
    return examples


def encode_rows(rows: Table, write: Continuations, *, learn_after: str | None = None) -> list[Example]:
    """Return the rows in tokens, however long they are."""
    examples = [
        encode_example(write, prompt, completion, finished=reason != "length", weight=weight, sampled=sampled)
        for prompt, completion, reason, weight, sampled in zip(
            rows["prompt"], rows["completion"], rows["finish_reason"], rows["weight"], sampled_tokens(rows), strict=True
        )
    ]
    examples = [
        _with_closing(example, write, completion, of_engine)
        for example, completion, of_engine in zip(examples, rows["completion"], closings(rows), strict=True)
    ]
    if learn_after is None:
        return examples
    return [
        without_reasoning(example, write, completion, learn_after)
        for example, completion in zip(examples, rows["completion"], strict=True)
    ]


def closings(rows: Table) -> list[tuple[int, int] | None]:
    """Return from and up to which character of each completion an engine wrote it; None where it wrote nothing."""
    if "closing" not in rows:
        return [None] * len(rows)
    return [(int(place[0]), int(place[1])) if hasattr(place, "__len__") else None for place in rows["closing"]]


def _with_closing(example: Example, write: Continuations, completion: str, closing: tuple[int, int] | None) -> Example:
    """Return the row with what an engine wrote read and not learnt; nor a token that holds some of that."""
    if closing is None or closing[0] == closing[1]:
        return example
    prompt, ids = example.input_ids[: example.n_prompt], example.input_ids[example.n_prompt :]
    # Its first token says its first character; the one before may say the rest of a character that is in several.
    first, end = (write.n_that_say(prompt, ids, completion[:place]) for place in (closing[0] + 1, closing[1]))
    return example._replace(closing=(example.n_prompt + first - 1, example.n_prompt + end))


def without_reasoning(example: Example, write: Continuations, completion: str, learn_after: str) -> Example:
    """Return the row with everything up to the last of a mark read and not learnt.

    It stays in the row: what follows it was said after it. A token that holds the end of the mark and the beginning of
    what follows is not learnt.
    """
    if learn_after not in completion:
        return example
    reasoning = completion[: completion.rfind(learn_after) + len(learn_after)]
    prompt, ids = example.input_ids[: example.n_prompt], example.input_ids[example.n_prompt :]
    return example._replace(n_reasoning=write.n_that_say(prompt, ids, reasoning))


def encode_example(  # noqa: PLR0913 - what makes a row
    write: Continuations,
    prompt: str,
    completion: str,
    *,
    finished: bool,
    weight: float = 1.0,
    sampled: Sequence[int] | None = None,
) -> Example:
    """Return the row's tokens: the prompt as it was sampled with, and the completion at the very place behind it.

    Args:
        write: Writes completions behind their prompts.
        prompt: Exact text.
        completion: What the policy returned.
        finished: Whether it ended of itself; then its end is learnt too.
        weight: Of the row in the loss.
        sampled: The tokens that the policy generated, if they are known.
    """
    prompt_ids = write.prompt_ids(prompt)
    ids = write.ids(prompt, completion, finished=finished, sampled=sampled)
    return Example([*prompt_ids, *ids], len(prompt_ids), weight)


def sampled_tokens(rows: Table) -> list[list[int] | None]:
    """Return the tokens that were generated, by row; None where only text is known."""
    if "token_ids" not in rows:
        return [None] * len(rows)
    return [[int(token) for token in ids] if hasattr(ids, "__len__") else None for ids in rows["token_ids"]]


def _check_lengths(examples: list[Example], names: list[str], *, max_length: int, context: int | None) -> None:
    within_context = context is not None and context < max_length
    limit = context if context is not None and within_context else max_length
    lengths = [len(example.input_ids) for example in examples]
    n_long = sum(length > limit for length in lengths)
    if n_long:
        longest = max(lengths)
        name = names[lengths.index(longest)]
        bound = f"the policy's context of {limit} tokens" if within_context else f"training.max_length = {limit} tokens"
        mend = "lower sampling.max_new_tokens or shorten the prompt" if within_context else "raise it"
        raise TrainingError(
            f"{n_long} of {len(lengths)} rows are longer than {bound}; the longest has {longest} ({name}); "
            f"nothing is truncated: {mend}"
        )
    idle = [name for name, example in zip(names, examples, strict=True) if example.n_trained <= 0]
    if idle:
        raise TrainingError(
            f"{len(idle)} of {len(names)} rows hold no token to learn (an empty completion that ran out of tokens, or "
            f"a prompt that fills the row): "
            f"{first_few(idle)}; filter them out"
        )


def row_names(rows: Table) -> list[str]:
    """Return how messages name the rows."""
    return [
        f"{question} sample {index}" for question, index in zip(rows["question_id"], rows["sample_index"], strict=True)
    ]


def epoch_order(lengths: Sequence[int], *, batch_size: int, seed: int, epoch: int) -> list[int]:
    """Return the rows' indices for one epoch.

    Batches are drawn at random. Within a batch, where order does not matter to the optimizer, long rows
    come first, so that the rows of a micro batch are about equally long and little is padding.

    Args:
        lengths: Tokens per row.
        batch_size: Rows per optimizer step.
        seed: `training.seed`.
        epoch: From 0.
    """
    order = list(range(len(lengths)))
    random.Random(question_seed(seed, "training order", epoch)).shuffle(order)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [row for batch in batches for row in sorted(batch, key=lambda row: -lengths[row])]


def shared_prefix_length(examples: Sequence[Example]) -> int:
    """Return how many first tokens all rows share, short of the last token of the shortest prompt.

    That token predicts the first token of a completion, so each row keeps its own.
    """
    if len(examples) == 1:
        return 0
    limit = min(example.n_read for example in examples) - 1
    first, *rest = (example.input_ids for example in examples)
    for index in range(limit):
        if any(other[index] != first[index] for other in rest):
            return index
    return max(limit, 0)


def collate(examples: Sequence[Example], *, share_prefix: bool) -> "dict[str, torch.Tensor]":
    """Return a micro batch as tensors.

    `prefix_ids` (1, prefix); `input_ids` (batch, rest), padded on the right; `attention_mask` (batch, prefix + rest);
    `targets` (batch, rest), the token that each position is to predict, or IGNORED; `weights` (batch, 1).

    Args:
        examples: At least one.
        share_prefix: Whether to cut off what all rows begin with.
    """
    import torch

    n_shared = shared_prefix_length(examples) if share_prefix else 0
    longest = max(len(example.input_ids) for example in examples)
    shape = (len(examples), longest - n_shared)
    input_ids = torch.zeros(shape, dtype=torch.long)  # which token pads is all the same: nothing attends to it
    targets = torch.full(shape, IGNORED)
    attention_mask = torch.zeros((len(examples), longest), dtype=torch.long)
    for row, example in enumerate(examples):
        ids = torch.tensor(example.input_ids)
        own = len(ids) - n_shared
        input_ids[row, :own] = ids[n_shared:]
        for start, end in example.learnt:
            targets[row, start - n_shared - 1 : end - n_shared - 1] = ids[start:end]
        attention_mask[row, : len(ids)] = 1
    return {
        "prefix_ids": torch.tensor([examples[0].input_ids[:n_shared]], dtype=torch.long),
        "input_ids": input_ids,
        "attention_mask": attention_mask,
        "targets": targets,
        "weights": torch.tensor([[example.weight] for example in examples], dtype=torch.float32),
    }


def pack(examples: Sequence[Example]) -> "dict[str, torch.Tensor]":
    """Return a micro batch as one sequence `(1, time)` without padding; as collate's, with `position_ids`.

    Positions begin anew in every row, and that is how attention knows not to look across rows.

    Args:
        examples: At least one.
    """
    import torch

    ids: list[int] = []
    targets: list[int] = []
    positions: list[int] = []
    weights: list[float] = []
    for example in examples:
        own = len(example.input_ids)
        ids += example.input_ids
        first = len(targets)
        targets += [IGNORED] * own
        for start, end in example.learnt:
            targets[first + start - 1 : first + end - 1] = example.input_ids[start:end]
        positions += range(own)
        weights += [example.weight] * own
    return {
        "prefix_ids": torch.zeros((1, 0), dtype=torch.long),
        "input_ids": torch.tensor([ids]),
        "position_ids": torch.tensor([positions]),
        "attention_mask": torch.ones((1, len(ids)), dtype=torch.long),
        "targets": torch.tensor([targets]),
        "weights": torch.tensor([weights], dtype=torch.float32),
    }
