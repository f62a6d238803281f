"""Tiny random policies, made on the spot."""

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

EOS, PAD = "<eos>", "<pad>"
PAIRS = ["th", "he", "an", "in", "er", "12", "34", ". ", "ab"]

# Llama with grouped queries, norms on q and k, partial rotary and parallel residual, windows and two
# rotary embeddings, experts, capped logits; keys and values of unlike sizes; positions and masks of the padded length.
_LATENT: dict[str, Any] = {
    "q_lora_rank": 8, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "n_group": 1, "topk_group": 1,
    "first_k_dense_replace": 1, "n_shared_experts": 1, "num_key_value_heads": 4,
}  # fmt: skip
_SIZES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 16},
    "gpt_neox": {},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 16, "sliding_window": 512},
    "mixtral": {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None},
    "gemma2": {"num_key_value_heads": 2, "head_dim": 16, "sliding_window": 512},
    "deepseek_v2": {**_LATENT, "topk_method": "greedy"},
    "deepseek_v3": _LATENT,
    "glm4_moe_lite": _LATENT,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 128},
    "gptj": {"rotary_dim": 4},
    "mamba": {"max_position_embeddings": None},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 128},
}
ARCHITECTURES = tuple(_SIZES)


def make_tokenizer(special: Sequence[str] = ()) -> Any:
    """Return a byte-level tokenizer of printable ASCII, with a few tokens of two characters.

    Args:
        special: Further special tokens, which have no role.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    written = {" ": "\u0120", "\n": "\u010a"}  # as byte-level tokenizers write them
    characters = [*(string.digits + string.ascii_letters + string.punctuation), *written.values()]
    pairs = [tuple(written.get(character, character) for character in pair) for pair in PAIRS]
    tokens = [EOS, PAD, *characters, *map("".join, pairs)]
    model = models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=pairs)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD)
    made.add_tokens([AddedToken(text, special=True) for text in special])
    return made


def make_policy(
    folder: Path, architecture: str, *, eos_token_id: Any = 0, special: Sequence[str] = (), **overrides: Any
) -> Path:
    """Return the folder, which now holds a tiny random policy of this architecture."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer(special)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "initializer_range": 0.4,  # far from the usual 0.02, so that the logits differ clearly
        "bos_token_id": None,
        "eos_token_id": eos_token_id,
        "pad_token_id": 1,
        "tie_word_embeddings": False,
        **_SIZES[architecture],
        **overrides,
    }
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **settings))
    model.float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a maker of tiny policies; the same one is made once."""
    made: dict[str, Path] = {}

    def make(architecture: str = "llama", **overrides: Any) -> Path:
        key = f"{architecture} {sorted(overrides.items())}"
        if key not in made:
            made[key] = make_policy(tmp_path_factory.mktemp(architecture), architecture, **overrides)
        return made[key]

    return make
