"""A Llama model in llama.cpp's GGUF format -> a folder that plain transformers loads.

transformers reads such files too, each time anew for tokenizer, configuration and weights, and in half a minute.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from restem.engines.loading import quiet

if TYPE_CHECKING:
    from gguf import GGUFReader
    from torch import Tensor
    from transformers import LlamaConfig


def write_from_gguf(source: Path, folder: Path) -> None:
    """Write weights as float32 safetensors, configuration and tokenizer, chat template included.

    Args:
        source: A file of architecture llama whose head is its embedding.
        folder: That exists and is empty.
    """
    import torch
    from gguf import GGUFReader
    from transformers import AutoTokenizer, LlamaForCausalLM

    file = GGUFReader(source)
    config = _config(file)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(_weights(file, config, list(model.state_dict())), assign=True)
    model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, trust_remote_code=False)
    with quiet():
        model.save_pretrained(folder)
    for how_it_was_loaded in ("is_local", "local_files_only"):  # would give the folder another name on another machine
        tokenizer.init_kwargs.pop(how_it_was_loaded, None)
    tokenizer.save_pretrained(folder)


def _config(file: "GGUFReader") -> "LlamaConfig":
    from transformers import LlamaConfig

    def read(name: str) -> Any:
        return file.fields[name].contents()

    return LlamaConfig(
        vocab_size=len(file.fields["tokenizer.ggml.tokens"].data),
        hidden_size=read("llama.embedding_length"),
        intermediate_size=read("llama.feed_forward_length"),
        num_hidden_layers=read("llama.block_count"),
        num_attention_heads=read("llama.attention.head_count"),
        num_key_value_heads=read("llama.attention.head_count_kv"),
        max_position_embeddings=read("llama.context_length"),
        rms_norm_eps=read("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": read("llama.rope.freq_base")},
        bos_token_id=read("tokenizer.ggml.bos_token_id"),
        eos_token_id=read("tokenizer.ggml.eos_token_id"),
        pad_token_id=read("tokenizer.ggml.padding_token_id"),
        unk_token_id=read("tokenizer.ggml.unknown_token_id"),
        _model_name_or_path=read("general.name"),  # as transformers calls it
        tie_word_embeddings=True,
    )


def _weights(file: "GGUFReader", config: "LlamaConfig", names: list[str]) -> "dict[str, Tensor]":
    """Return the model's weights by the names that transformers gives them."""
    import torch
    from gguf import MODEL_ARCH, get_tensor_name_map
    from gguf.quants import dequantize

    known = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    tensors = {tensor.name: tensor for tensor in file.tensors}
    heads = {"q_proj.weight": config.num_attention_heads, "k_proj.weight": config.num_key_value_heads}
    weights = {}
    for name in names:
        stored = "model.embed_tokens.weight" if name == "lm_head.weight" else name
        tensor = tensors[known.get_name(stored, try_suffixes=(".weight",))]
        values = dequantize(tensor.data, tensor.tensor_type)
        n_heads = heads.get(name.rpartition("self_attn.")[-1])
        if n_heads is not None:
            # llama.cpp has the halves of a head that rotary positions turn into each other row by row.
            values = values.reshape(n_heads, -1, 2, values.shape[-1]).swapaxes(1, 2).reshape(values.shape)
        weights[name] = torch.from_numpy(values.copy())
    return weights
