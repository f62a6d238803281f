"""Micro batches as the M-step takes them, made in one place for training and for the gate before it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from restem.parameters import TrainingParameters
from restem.training.launch import Launch, micro_batch_size
from restem.training.rows import IGNORED, Example, collate, epoch_order, pack

if TYPE_CHECKING:
    import torch


class Batching(NamedTuple):
    """How rows become micro batches, and in which order."""

    size: int  # rows of a micro batch
    batch_size: int  # rows of an optimizer step, over all processes
    seed: int  # of the order
    packing: bool  # one after another in place of padded
    share_prefix: bool  # what all rows of a micro batch begin with is computed once

    def make(self, examples: Sequence[Example]) -> "dict[str, torch.Tensor]":
        """Return rows as one batch."""
        return pack(examples) if self.packing else collate(examples, share_prefix=self.share_prefix)

    def batch(self, examples: Sequence[Example], indices: Sequence[int]) -> "dict[str, torch.Tensor]":
        """Return a micro batch, with `rows`, the rows' indices, and `n_tokens`; an index past the end fills up."""
        import torch

        picked = [examples[index] if index < len(examples) else _nothing_of(examples[0]) for index in indices]
        n_tokens = sum(len(examples[index].input_ids) for index in indices if index < len(examples))
        return {**self.make(picked), "rows": torch.tensor(indices), "n_tokens": torch.tensor(n_tokens)}

    def first_epoch(self, examples: Sequence[Example]) -> "Iterator[dict[str, torch.Tensor]]":
        """Yield the micro batches of the first epoch, in training's order."""
        lengths = [len(example.input_ids) for example in examples]
        order = epoch_order(lengths, batch_size=self.batch_size, seed=self.seed, epoch=0)
        return (self.batch(examples, order[start : start + self.size]) for start in range(0, len(order), self.size))

    def by_length(self, examples: Sequence[Example]) -> "list[dict[str, torch.Tensor]]":
        """Return micro batches of about equally long rows, for what is read and not learnt."""
        order = sorted(range(len(examples)), key=lambda index: len(examples[index].input_ids))
        return [self.batch(examples, order[start : start + self.size]) for start in range(0, len(order), self.size)]


def batching(parameters: TrainingParameters, launch: Launch) -> Batching:
    """Return how rows are batched as far as the parameters say; a model that cannot share prefixes pads instead."""
    size = micro_batch_size(parameters, launch)
    # A checkpointed forward pass keeps no keys and values, so it has nothing to share. Processes that hold parts of
    # the weights must all make the same forward passes, so none makes one more.
    alone = parameters.packing or parameters.gradient_checkpointing or launch.is_sharded or size == 1
    return Batching(size, parameters.batch_size, parameters.seed, parameters.packing, share_prefix=not alone)


def learnt_by_row(batch: "dict[str, torch.Tensor]") -> dict[int, list[int]]:
    """Return the tokens that each row of a micro batch learns, by the row's index."""
    rows, targets = batch["rows"].tolist(), batch["targets"]
    if "position_ids" in batch:  # packed: positions begin anew with every row
        starts = (batch["position_ids"][0] == 0).nonzero()[:, 0].tolist()
        ends = [*starts[1:], targets.shape[1]]
        spans = [targets[0, start:end] for start, end in zip(starts, ends, strict=True)]
    else:
        spans = list(targets)
    return {row: span[span != IGNORED].tolist() for row, span in zip(rows, spans, strict=True)}


def _nothing_of(example: Example) -> Example:
    """Return a row with nothing to learn, so that every process has as many rows as the others."""
    read = example.input_ids[: example.n_read]
    return Example(read, len(read), 0.0)
