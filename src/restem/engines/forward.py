"""Forward passes over a `SharedCache`: the prefix, prompts, rows."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.engines.shared_attention import ATTENTION, reading, register
from restem.engines.shared_cache import PromptPass, RowPass, SharedCache

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class RowState(NamedTuple):
    """What a forward pass needs to know of a row."""

    token: int  # the newest, not yet in the cache
    n_before: int  # new tokens of the row that are in the cache
    slot: int  # of its prompt


class SharedForward:
    """A model and the keys and values of what it has read."""

    def __init__(self, model: "PreTrainedModel", *, n_rows: int, n_prompt_columns: int, max_new_tokens: int) -> None:
        """Start with nothing read.

        Args:
            model: Whose attention can be registered.
            n_rows: At most at once.
            n_prompt_columns: Tokens of the longest prompt, without the prefix.
            max_new_tokens: Of any row.
        """
        register()
        self._model, self._memory = model, name_of_cache(model)
        self.cache = SharedCache(
            n_layers=model.config.get_text_config().num_hidden_layers,
            n_rows=n_rows,
            n_prompt_columns=n_prompt_columns,
            max_new_tokens=max_new_tokens,
        )
        self._n_prefix = 0
        self._lengths: dict[int, int] = {}  # of the prompts without the prefix, by slot

    def read_prefix(self, tokens: Sequence[int]) -> None:
        """Read what all prompts begin with."""
        if tokens:
            self.cache.begin(PromptPass((len(tokens),), None))
            self._logits(tokens, range(len(tokens)), last=[len(tokens) - 1])
        self._n_prefix = len(tokens)

    def read_prompts(self, prompts: Sequence[Sequence[int]], slots: Sequence[int]) -> "Tensor":
        """Return the logits after each prompt, shape `(prompts, vocabulary)`, and keep its keys in its slot.

        Args:
            prompts: Without the prefix; none is empty.
            slots: One per prompt; what was there is overwritten.
        """
        lengths = [len(prompt) for prompt in prompts]
        self._lengths.update(zip(slots, lengths, strict=True))
        self.cache.begin(PromptPass(tuple(lengths), tuple(slots)))
        last, end = [], 0
        for length in lengths:
            end += length
            last.append(end - 1)
        tokens = [token for prompt in prompts for token in prompt]
        positions = [self._n_prefix + index for length in lengths for index in range(length)]
        return self._logits(tokens, positions, last=last)[0]

    def read_rows(self, rows: Sequence[RowState]) -> "Tensor":
        """Return the logits after each row's newest token, shape `(rows, vocabulary)`.

        Args:
            rows: The first rows of the cache, in order.
        """
        import torch

        positions = [self._n_prefix + self._lengths[row.slot] + row.n_before for row in rows]
        self.cache.begin(self._row_pass(rows))
        return self._run(
            torch.tensor([[row.token] for row in rows]), torch.tensor(positions)[:, None], logits_to_keep=1
        )[:, -1]

    def move_rows(self, moves: Sequence[tuple[int, int]], n_columns: int) -> None:
        """Copy the first columns of rows, given as (source, target), over other rows."""
        import torch

        sources, targets = torch.tensor(moves, device=self._model.device).unbind(1)
        with torch.inference_mode():
            self.cache.move_rows(sources, targets, n_columns)

    def _logits(self, tokens: Sequence[int], positions: Sequence[int], *, last: list[int]) -> "Tensor":
        import torch

        device = self._model.device
        return self._run(
            torch.tensor([list(tokens)]),
            torch.tensor([list(positions)]),
            logits_to_keep=torch.tensor(last, device=device),
        )

    def _run(self, tokens: "Tensor", positions: "Tensor", *, logits_to_keep: "int | Tensor") -> "Tensor":
        import torch

        use_attention(self._model, ATTENTION)
        device = self._model.device
        with torch.inference_mode(), reading(self.cache):
            output = self._model(
                input_ids=tokens.to(device),
                position_ids=positions.to(device),
                use_cache=True,
                logits_to_keep=logits_to_keep,
                **{self._memory: self.cache.for_model},
            )
        logits: Tensor = output.logits
        return logits

    def _row_pass(self, rows: Sequence[RowState]) -> RowPass:
        import numpy as np
        import torch

        device, dtype = self._model.device, self._model.dtype
        columns = np.array([row.n_before for row in rows])
        slots = np.array([row.slot for row in rows])
        lengths = np.array([self._lengths[row.slot] for row in rows])
        counts = np.bincount(slots)
        order = np.argsort(slots, kind="stable")
        place = np.empty_like(slots)
        first = np.cumsum(counts) - counts
        place[order] = slots[order] * counts.max() + np.arange(len(rows)) - first[slots[order]]
        padded = np.zeros(len(counts) * counts.max(), dtype=np.int64)
        padded[place] = np.arange(len(rows))
        absent = np.concatenate(
            [np.arange(lengths.max()) >= lengths[:, None], np.arange(columns.max() + 1) > columns[:, None]], axis=1
        )
        bias = torch.zeros(absent.shape, dtype=dtype, device=device)
        bias.masked_fill_(torch.from_numpy(absent).to(device), float("-inf"))
        return RowPass(
            columns=torch.from_numpy(columns).to(device),
            n_columns=int(columns.max()) + 1,
            bias=bias[:, None, None, :],
            n_slots=len(counts),
            n_prompt_columns=int(lengths.max()),
            padded=torch.from_numpy(padded).to(device),
            place=torch.from_numpy(place).to(device),
        )


def use_attention(model: "PreTrainedModel", name: str) -> None:
    """Let the model attend by the function that transformers knows under this name."""
    if model.config._attn_implementation != name:
        model.set_attn_implementation(name)


def name_of_cache(model: Any) -> str:
    """Return by which name a model takes what it has read: from transformers 5.24 on it is another one than before.

    Args:
        model: Of transformers, in adapters or not.
    """
    own = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "cache" if "cache" in inspect.signature(own.forward).parameters else "past_key_values"
