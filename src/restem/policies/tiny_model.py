"""The tiny model: a random Llama of some 20 thousand parameters that learns toy sums in seconds.

For trying restem and for its tests. Its vocabulary is small on purpose: a random policy names the right digit
about once in 64 tries, so that the first E-step finds something to learn from.
"""

import string
from pathlib import Path
from typing import TYPE_CHECKING

from restem.engines.loading import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TINY_RECIPE = 1  # raise when anything below changes: a model that was made before is not used again

_SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>"]
# Upper case is read as lower case; what is not here becomes <unk>.
_CHARACTERS = string.digits + string.ascii_lowercase + " \n" + ".,:;?!'\"()[]{}+-*/=%<>"
_CONTEXT = 512  # tokens
_SEED = 0


def write_tiny_model(folder: Path) -> None:
    """Write the model, its tokenizer and its generation config; the same bytes every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=_CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(_SEED)
        model = LlamaForCausalLM(config)
    with quiet():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer() -> "PreTrainedTokenizerFast":
    """Return a tokenizer with one token per character, and <bos> before every text."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate([*_SPECIAL, *_CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        model_max_length=_CONTEXT,
    )
