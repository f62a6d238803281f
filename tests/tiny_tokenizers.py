"""Tiny tokenizers of the kinds that differ in what they do where a text begins."""

import json
from typing import NamedTuple

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
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


class Family(NamedTuple):
    """What is known from outside of the chat models of a family: their marks, and what their templates do."""

    bos: str | None
    eos: str  # ends a turn
    marks: tuple[str, ...]  # further tokens that are no part of a text
    template: str


# Written for these tests: each does what the family's published template does, in as few words as that takes.
_CHATML = (
    "{%- for m in messages %}{%- set said = m.content %}"
    "{%- if m.role == 'assistant' %}{%- set said = said.split('</think>')[-1].lstrip('\n') %}{%- endif %}"
    "{{- '<|im_start|>' ~ m.role ~ '\n' ~ said ~ '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
)
QWEN3 = (
    _CHATML
    + "{%- if enable_thinking is defined and not enable_thinking %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"
    + "{%- endif %}"
)
# It says which mode it is in, and which day; a flag in the system's turn counts more than the option and is not said.
SMOLLM3 = (
    "{%- if enable_thinking is not defined %}{%- set enable_thinking = true %}{%- endif %}"
    "{%- set mode = namespace(name='/think' if enable_thinking else '/no_think', own='') %}"
    "{%- if messages[0].role == 'system' %}{%- set mode.own = messages[0].content %}"
    "{%- for flag in ['/no_think', '/think'] %}{%- if flag in mode.own %}"
    "{%- set mode.name = flag %}{%- set mode.own = mode.own.replace(flag, '').rstrip() %}{%- endif %}{%- endfor %}"
    "{%- endif %}"
    "{{- '<|im_start|>system\nToday: ' ~ strftime_now('%d %B %Y') ~ '\nReasoning: ' ~ mode.name ~ '\n' ~ mode.own }}"
    "{{- '<|im_end|>\n' }}"
    "{%- for m in messages if m.role != 'system' %}{{- '<|im_start|>' ~ m.role ~ '\n' }}"
    "{%- if m.role == 'assistant' %}{% generation %}{{- m.content ~ '<|im_end|>\n' }}{% endgeneration %}"
    "{%- else %}{{- m.content ~ '<|im_end|>\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if mode.name == '/no_think' %}{{- '<think>\n\n</think>\n' }}{%- endif %}{%- endif %}"
)
LLAMA3 = (
    "{{- bos_token }}{%- if date_string is not defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
    "{%- set told = namespace(system='') %}"
    "{%- if messages[0].role == 'system' %}{%- set told.system = messages[0].content | trim %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' ~ date_string ~ '\n\n' ~ told.system }}"
    "{{- '<|eot_id|>' }}"
    "{%- for m in messages if m.role != 'system' %}"
    "{{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ m.content | trim ~ '<|eot_id|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
_GEMMA_TURNS = (
    "{%- for m in turns %}{%- if (m.role == 'user') != loop.index0 is even %}"
    "{{- raise_exception('turns of user and assistant must alternate') }}{%- endif %}"
    "{{- '<start_of_turn>' ~ ('model' if m.role == 'assistant' else m.role) ~ '\n' ~ (head if loop.first else '') }}"
    "{{- m.content | trim ~ '<end_of_turn>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\n' }}{%- endif %}"
)
GEMMA2 = (
    "{{- bos_token }}"
    "{%- if messages[0].role == 'system' %}{{- raise_exception('System role not supported') }}{%- endif %}"
    "{%- set head = '' %}{%- set turns = messages %}" + _GEMMA_TURNS
)
GEMMA3 = (
    "{{- bos_token }}{%- if messages[0].role == 'system' %}"
    "{%- set head = messages[0].content ~ '\n\n' %}{%- set turns = messages[1:] %}"
    "{%- else %}{%- set head = '' %}{%- set turns = messages %}{%- endif %}" + _GEMMA_TURNS
)
R1 = (
    "{{- bos_token }}{%- for m in messages %}{%- if m.role == 'system' %}{{- m.content }}"
    "{%- elif m.role == 'user' %}{{- '<\uff5cUser\uff5c>' ~ m.content }}"
    "{%- else %}{{- '<\uff5cAssistant\uff5c>' ~ m.content.split('</think>')[-1] ~ eos_token }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<\uff5cAssistant\uff5c><think>\n' }}{%- endif %}"
)
_R1_MARKS = ("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>")
FAMILIES = {
    "qwen3": Family(None, "<|im_end|>", ("<|im_start|>",), QWEN3),
    "smollm3": Family(None, "<|im_end|>", ("<|im_start|>",), SMOLLM3),
    "llama3": Family("<|begin_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>"), LLAMA3),
    "gemma2": Family("<bos>", "<end_of_turn>", ("<start_of_turn>",), GEMMA2),
    "gemma3": Family("<bos>", "<end_of_turn>", ("<start_of_turn>",), GEMMA3),
    "r1": Family(*_R1_MARKS, ("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"), R1),
}
THOUGHT = ("<think>", "</think>")  # tokens of the thinking families that are part of the text


def chat(family: str) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a chat model."""
    of = FAMILIES[family]
    bare = byte_level()
    bare.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in THOUGHT])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token=of.bos, eos_token=of.eos, additional_special_tokens=[*of.marks]
    )
    tokenizer.chat_template = of.template
    return tokenizer
