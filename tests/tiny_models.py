"""Models of a few thousand parameters, of many kinds, whose answers depend on what they read.

A new model's weights are so small that its logits hardly depend on the context: no test would see a leak. These have
larger ones.
"""

from pathlib import Path
from typing import Any

from restem.policies.policy import Policy
from restem.store.fingerprints import folder_fingerprint

VOCABULARY = 64
CONTEXT = 128
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_LLAMA = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": CONTEXT,
}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
_OWN = {
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 2.0, "attn_logit_softcapping": 5.0, "sliding_window": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 8},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 3.0, "embedding_multiplier": 2.0, "residual_multiplier": 0.5},
    "mistral": {"sliding_window": 8},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3_moe": _EXPERTS | {"head_dim": 8},
    "olmoe": {"num_experts": 4, "num_experts_per_tok": 2},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8, "sliding_window": 8},
    "opt": {"ffn_dim": 32, "word_embed_proj_dim": 16},
    "falcon": {"alibi": False, "intermediate_size": None},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "qwen3_next": _EXPERTS
    | {
        "head_dim": 8,
        "shared_expert_intermediate_size": 16,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_value_heads": 2,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
}
_OTHER = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": CONTEXT},
    "bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2},
    "mpt": {"d_model": 16, "n_heads": 2, "n_layers": 2, "max_seq_len": CONTEXT},
    "mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
    "rwkv": {"hidden_size": 16, "num_hidden_layers": 2, "context_length": CONTEXT},
    "bert": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
    "bart": {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2}
    | {"decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32},
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2},
}


def config_of(kind: str, *, vocabulary: int = VOCABULARY, **changed: Any) -> Any:
    """Return the configuration of a tiny model of a kind, as transformers names kinds."""
    from transformers import AutoConfig

    own = _OTHER[kind] if kind in _OTHER else {k: v for k, v in (_LLAMA | _OWN.get(kind, {})).items() if v is not None}
    return AutoConfig.for_model(kind, vocab_size=vocabulary, **_IDS, **own | changed)


def tiny_model(kind: str, *, vocabulary: int = VOCABULARY, **changed: Any) -> Any:
    """Return a model of a kind, in float32, the same weights every time."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config_of(kind, vocabulary=vocabulary, **changed)).float()
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.copy_(torch.randn_like(weight) * (0.5 if "conv" in name else 0.25))
            elif name.endswith("bias"):
                weight.normal_(0.0, 0.1)
    return model.eval()


def write_tiny_policy(folder: Path, kind: str, *, dtype: str = "float32", **changed: Any) -> Policy:
    """Return a policy of a kind that reads the characters of toy sums, its weights saved in a type."""
    import torch
    from transformers import AutoTokenizer

    from restem.policies.tiny_model import write_tiny_model

    write_tiny_model(folder)
    model = tiny_model(kind, vocabulary=len(AutoTokenizer.from_pretrained(folder)), **changed)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    return Policy(folder.as_posix(), fingerprint=folder_fingerprint(folder), iteration=0, name=kind, base=kind)
