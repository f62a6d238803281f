"""How many tokens a policy can read: said once, for prompts, sampling and training."""

from pathlib import Path
from typing import Any

from restem.engines.model_code import from_folder

# How configurations name it, those of models whose code comes with their weights included. `max_position_embeddings`
# is also what transformers reads the older names of its own models as.
_NAMES = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_seq_length", "max_sequence_length",
    "seq_length", "seq_len", "max_target_positions",
)  # fmt: skip


def context_window(config: Any) -> int | None:
    """Return the tokens that prompt and completion may have together; None for a model without a limit.

    Recurrent models (Mamba) have none, and some whose positions are a bias (ALiBi) say none.

    Args:
        config: Of the model; that of a multimodal one says it in its text part.
    """
    text = config.get_text_config(decoder=True)
    for part in (text, config):
        lengths = [getattr(part, name, None) for name in _NAMES]
        limits = [int(value) for value in lengths if isinstance(value, int) and value > 0]
        if limits:
            return min(limits)
    return None


def context_window_of(folder: str | Path) -> int | None:
    """Return the same of a policy's folder."""
    from transformers import AutoConfig

    return context_window(AutoConfig.from_pretrained(folder, **from_folder()))
