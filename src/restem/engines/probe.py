"""Whether a model can be sampled from through `SharedForward`, found out by trying it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from restem.engines.forward import RowState, SharedForward, use_attention
from restem.engines.memory import is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_KNOWN_LAYERS = {"full_attention", "sliding_attention"}
# Rotary embeddings whose frequencies depend on the longest text of the batch: samples would depend on their neighbours.
_BATCH_DEPENDENT_ROPE = {"dynamic", "longrope"}
_TOLERANCE = {"torch.float32": 1e-3, "torch.bfloat16": 0.1}  # of the largest logit


class Sharing(NamedTuple):
    """What the probe found."""

    obstacle: str | None  # why the model cannot be sampled from this way
    window: int | None = None  # tokens that a text may have at most; None: as many as the model takes
    bytes_per_token: int = 0  # of keys and values


def probe(model: "PreTrainedModel") -> Sharing:
    """Return whether shared keys and values give the logits that the model gives by itself.

    A few tokens are read both ways. A model that is not what it seems fails here, and not in its samples.
    """
    obstacle = _declared_obstacle(model)
    if obstacle:
        return Sharing(obstacle)
    own = model.config._attn_implementation
    tokens = [(7 * index + 3) % model.config.get_text_config().vocab_size for index in range(10)]
    try:
        expected = _by_itself(model, tokens)
        forward = SharedForward(model, n_rows=2, n_prompt_columns=4, max_new_tokens=3)
        computed = _shared(forward, tokens)
    except Exception as error:  # whatever a model's own code makes of a cache that it does not know
        if is_out_of_memory(error):
            raise
        return Sharing(f"{type(model).__name__} does not take a shared cache ({type(error).__name__}: {error})")
    finally:
        use_attention(model, own)
    off = (computed - expected).abs().max() / expected.abs().max()
    if not off <= _TOLERANCE.get(str(model.dtype), 0.1):
        return Sharing(f"{type(model).__name__} gives other logits with a shared cache")
    return Sharing(None, _window(model), forward.cache.bytes_per_token())


def _declared_obstacle(model: "PreTrainedModel") -> str | None:
    config = model.config.get_text_config()
    other = set(getattr(config, "layer_types", None) or []) - _KNOWN_LAYERS
    if other:
        return f"it has layers of type {', '.join(sorted(other))}"
    if not getattr(model, "_supports_attention_backend", False):
        return f"{type(model).__name__} does not take attention functions"
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {rope.get("rope_type"), *(part.get("rope_type") for part in rope.values() if isinstance(part, dict))}
    if kinds & _BATCH_DEPENDENT_ROPE:
        return "its rotary embedding depends on the longest text of a batch"
    if getattr(config, "attn_logit_softcapping", None):
        return "it caps its attention logits"
    return None


def _window(model: "PreTrainedModel") -> int | None:
    """Return the shortest distance at which some layer stops looking back; None if none does."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    if not window or getattr(config, "use_sliding_window", True) is False:
        return None
    return int(window) if layers is None or "sliding_attention" in layers else None


def _by_itself(model: "PreTrainedModel", tokens: Sequence[int]) -> "Tensor":
    """Return the logits after tokens 8, 9 and 10, shape `(3, vocabulary)`."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([list(tokens)], device=model.device), use_cache=False).logits
    last: Tensor = logits[0, -3:].float()
    return last


def _shared(forward: SharedForward, tokens: Sequence[int]) -> "Tensor":
    """Return the same, read as a prefix, a prompt beside another one, and two new tokens."""
    import torch

    forward.read_prefix(tokens[:4])
    prompt = forward.read_prompts([tokens[4:6], tokens[4:8]], [1, 0])[1]
    first = forward.read_rows([RowState(tokens[9], 0, 1), RowState(tokens[8], 0, 0)])[1]
    second = forward.read_rows([RowState(tokens[8], 1, 1), RowState(tokens[9], 1, 0)])[1]
    return torch.stack([prompt, first, second]).float()
