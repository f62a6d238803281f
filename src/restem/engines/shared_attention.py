"""The attention function that reads a `SharedCache`, registered with transformers under ATTENTION.

It expresses softmax(q k / scale) over causal keys. What it cannot express (windows shorter than the text,
capped logits, sinks, biases by position) makes it raise `CannotExpressError`, upon which the engine turns
to `generate`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from restem.engines.profile import ATTENTION as ATTENTION_PART
from restem.engines.profile import part
from restem.engines.shared_cache import PromptPass, RowPass, SharedCache, SharedLayer

if TYPE_CHECKING:
    from torch import Tensor, nn

ATTENTION = "restem_shared"

# Not every model hands keyword arguments down to its attention, so the cache comes by this way.
_cache: ContextVar[SharedCache] = ContextVar("cache")

# Keyword arguments of attention functions that change the scores.
_CHANGES_SCORES = ("softcap", "s_aux", "sinks", "position_bias", "alibi", "attention_bias", "head_mask", "chunk_size")


class CannotExpressError(Exception):
    """This model's attention is not plain causal attention."""


def register() -> None:
    """Make the attention function known to transformers, under ATTENTION.

    No mask function is registered beside it, so that transformers makes no masks.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attention)


@contextmanager
def reading(cache: SharedCache) -> Iterator[None]:
    """Let forward passes of this thread read the cache."""
    token = _cache.set(cache)
    try:
        yield
    finally:
        _cache.reset(token)


def _attention(  # noqa: PLR0913 - the signature is transformers'
    module: "nn.Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: "Tensor | None" = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **other: Any,
) -> "tuple[Tensor, None]":
    """Return the attention of `query` (batch, heads, tokens, size), shape (batch, tokens, heads, size)."""
    for name in _CHANGES_SCORES:
        if other.get(name) is not None:
            raise CannotExpressError(f"its attention has {name}")
    if attention_mask is not None:
        raise CannotExpressError("its attention has a mask of its own")
    index: Any = module.layer_idx  # a module's attributes have no type
    layer = _cache.get().layers[int(index)]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    with part(ATTENTION_PART):
        if isinstance(layer.current, RowPass):
            return _attend_rows(query * scale, layer, layer.current), None
        if not isinstance(layer.current, PromptPass):
            raise CannotExpressError("its attention runs outside of the sampler")
        return _attend_prompts(query, (key, value), layer, layer.current, scale), None


def _attend_prompts(
    query: "Tensor", states: "tuple[Tensor, Tensor]", layer: SharedLayer, step: PromptPass, scale: float
) -> "Tensor":
    import torch

    prefix = layer.prefix if step.slots is not None else []
    repeats = query.shape[1] // states[0].shape[1]
    parts, start = [], 0
    for length in step.lengths:
        stop = start + length
        keys, values = (
            torch.cat([*([prefix[index][None]] if prefix else []), state[:, :, start:stop]], dim=2)
            for index, state in enumerate(states)
        )
        if repeats > 1:
            keys, values = keys.repeat_interleave(repeats, 1), values.repeat_interleave(repeats, 1)
        n_before = keys.shape[2] - length
        # Query i sees the prefix and keys 0 .. i of its own prompt.
        mask = torch.ones(length, keys.shape[2], dtype=torch.bool, device=query.device).tril(n_before)
        parts.append(
            torch.nn.functional.scaled_dot_product_attention(
                query[:, :, start:stop],
                keys,
                values,
                attn_mask=mask if n_before else None,
                is_causal=n_before == 0,
                scale=scale,
            )
        )
        start = stop
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous()


def _attend_rows(query: "Tensor", layer: SharedLayer, step: RowPass) -> "Tensor":
    """Return the attention of one scaled query per row over prefix, prompt and row."""
    import torch

    keys, values = (store[: len(query), :, : step.n_columns] for store in layer.rows)
    n_heads, n_kv_heads = query.shape[1], keys.shape[1]
    packed = query.reshape(len(query), n_kv_heads, n_heads // n_kv_heads, query.shape[-1])
    n_prefix = layer.prefix[0].shape[1] if layer.prefix else 0
    scores = [_prefix_product(packed, layer.prefix[0].transpose(1, 2))] if n_prefix else []
    scores.append(_prompt_product(packed, layer.prompts[0][:, :, : step.n_prompt_columns].transpose(2, 3), step))
    scores.append(packed @ keys.transpose(2, 3))
    together = torch.cat(scores, dim=-1)
    together[..., n_prefix:] += step.bias
    weights = together.softmax(-1, dtype=torch.float32).to(query.dtype)
    of_prefix, of_prompt, of_row = torch.split(weights, [n_prefix, step.n_prompt_columns, step.n_columns], dim=-1)
    attended = of_row @ values
    attended += _prompt_product(of_prompt, layer.prompts[1][:, :, : step.n_prompt_columns], step)
    if n_prefix:
        attended += _prefix_product(of_prefix, layer.prefix[1])
    return attended.reshape(len(query), 1, n_heads, -1)


def _prefix_product(left: "Tensor", right: "Tensor") -> "Tensor":
    """Return `left` (rows, kv heads, group, x) times `right` (kv heads, x, y): one large product per head."""
    rows, n_kv_heads, group, _ = left.shape
    product = left.transpose(0, 1).reshape(n_kv_heads, rows * group, -1) @ right
    return product.view(n_kv_heads, rows, group, -1).transpose(0, 1)


def _prompt_product(left: "Tensor", right: "Tensor", step: RowPass) -> "Tensor":
    """Return `left` (rows, kv heads, group, x) times each row's own of `right` (slots, kv heads, x, y)."""
    _, n_kv_heads, group, inner = left.shape
    width = len(step.padded) // step.n_slots
    by_prompt = left[step.padded].view(step.n_slots, width, n_kv_heads, group, inner).transpose(1, 2)
    by_prompt = by_prompt.reshape(step.n_slots, n_kv_heads, width * group, inner)
    product = (by_prompt @ right[: step.n_slots]).view(step.n_slots, n_kv_heads, width, group, -1)
    return product.transpose(1, 2).reshape(step.n_slots * width, n_kv_heads, group, -1)[step.place]
