"""Tiny tokenizers of the kinds that differ in what they do where a text begins."""

import json

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

CORPUS = ["q: 1 + 2\na: 3\n\n", "Answer: 42 because 4 2 is it", "The answer is x = 7.\n", "{} éü 漢字 \t tabs  two"] * 4
SPECIAL = ["<unk>", "<s>", "</s>", "<|im_end|>"]


def llama_2() -> Tokenizer:
    """A space before the text, by the normalizer; bytes where a letter is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, special_tokens=[*SPECIAL, *bytes_]))
    # Trained as special they would be left out of texts; they are the letters of unknown ones.
    return Tokenizer.from_str(without_bytes_as_special(tokenizer.to_str()))


def without_bytes_as_special(written: str) -> str:
    content = json.loads(written)
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    return json.dumps(content)


def mistral() -> Tokenizer:
    """A space before the first word of a text, by the pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=160, special_tokens=SPECIAL))
    return tokenizer


def unigram() -> Tokenizer:
    """SentencePiece's other model, with a space before every text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def byte_level() -> Tokenizer:
    """GPT-2's and its successors'."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Split(Regex(r"\d"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


KINDS = {"llama_2": llama_2, "mistral": mistral, "unigram": unigram, "byte_level": byte_level}


def made(kind: str) -> PreTrainedTokenizerFast:
    """Return the tokenizer as transformers has it, without special tokens of its own in texts."""
    return PreTrainedTokenizerFast(
        tokenizer_object=KINDS[kind](),
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<|im_end|>"],
    )
