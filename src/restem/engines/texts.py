"""Tokens -> text, and where a completion ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from restem.engines import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Some tokenizers drop the space before the first token of a text, so a completion is decoded behind
# the end of its prompt, which is then taken off again.
_PROMPT_TAIL = 4


@dataclass
class Draft:
    """A completion under way."""

    prompt_index: int
    sample_index: int
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    closing: tuple[int, int] | None = None  # from and up to which of the tokens are the engine's own


class Reader:
    """Decodes completions and knows when they end."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", eos: frozenset[int], stop: Sequence[str]) -> None:
        """Read for these ends.

        Args:
            tokenizer: The policy's.
            eos: Tokens that end a completion.
            stop: Strings that end a completion; one that is a special token counts as that token.
        """
        special = special_tokens(tokenizer)
        self._tokenizer = tokenizer
        self._special = frozenset(special.values())
        self.eos = eos | {special[text] for text in stop if text in special}
        left = [text for text in stop if text not in special]
        # Special tokens are no part of a text: a stop string that holds one is looked for where they are written out.
        self._with_special = tuple(text for text in left if any(name in text for name in special))
        self._stop = tuple(text for text in left if text not in self._with_special)
        # A token that is not special holds at least one byte, so a stop string lies within this many last tokens; a
        # few more because the first ones may be the rest of a character that cannot be decoded alone.
        self._stop_tokens = max((len(text.encode()) for text in left), default=0) + _PROMPT_TAIL

    def ended(self, prompt_tail: Sequence[int], tokens: Sequence[int]) -> bool:
        """Return whether the last token ends the completion, other than by its length."""
        if tokens[-1] in self.eos:
            return True
        return self._may_have_stopped(tokens) and self._before_stop(prompt_tail, tokens) is not None

    def completion(
        self, prompt_tail: Sequence[int], draft: Draft, *, logprob: bool, token_ids: bool = False
    ) -> Completion:
        """Return the finished completion, with what is asked for of it."""
        before_stop = self._before_stop(prompt_tail, draft.tokens)
        stopped = before_stop is not None or draft.tokens[-1] in self.eos
        text = self.text(prompt_tail, draft.tokens) if before_stop is None else before_stop
        return Completion(
            text,
            len(draft.tokens),
            "stop" if stopped else "length",
            draft.logprob if logprob else None,
            tuple(draft.tokens) if token_ids else None,
            self._closing(prompt_tail, draft, len(text)),
        )

    def _closing(self, prompt_tail: Sequence[int], draft: Draft, length: int) -> tuple[int, int] | None:
        """Return which characters of the text the engine wrote itself."""
        if draft.closing is None:
            return None
        start, end = (min(length, len(self.text(prompt_tail, draft.tokens[:n]))) for n in draft.closing)
        return start, end

    def text(self, prompt_tail: Sequence[int], tokens: Sequence[int], *, with_special: bool = False) -> str:
        """Return the text that the tokens add to their prompt, special tokens written out or left out."""
        tail = list(prompt_tail[-_PROMPT_TAIL:])
        before, together = self._decode(tail, with_special), self._decode([*tail, *tokens], with_special)
        return together[len(before) :] if together.startswith(before) else self._decode(tokens, with_special)

    def _may_have_stopped(self, tokens: Sequence[int]) -> bool:
        """Return whether a stop string may end with the last token, from the last few."""
        recent = tokens[-self._stop_tokens :]
        if self._with_special and _holds_any(self._decode(recent, with_special=True), self._with_special):
            return True
        if not self._stop:
            return False
        if not self._special.isdisjoint(recent):
            recent = [token for token in tokens if token not in self._special][-self._stop_tokens :]
        return _holds_any(self._decode(recent), self._stop)

    def _before_stop(self, prompt_tail: Sequence[int], tokens: Sequence[int]) -> str | None:
        """Return the text before the first stop string; None if there is none."""
        text = self.text(prompt_tail, tokens)
        ends = [text[: stop_place(text, self._stop)]] if _holds_any(text, self._stop) else []
        if self._with_special:
            written = self.text(prompt_tail, tokens, with_special=True)
            place = stop_place(written, self._with_special)
            ends += [] if place is None else [self._without_special(prompt_tail, tokens, written[:place])]
        return min(ends, key=len, default=None)

    def _without_special(self, prompt_tail: Sequence[int], tokens: Sequence[int], written: str) -> str:
        """Return the beginning of a text that is given with its special tokens written out, without them."""
        n_whole = next(
            n
            for n in range(len(tokens), -1, -1)
            if written.startswith(self.text(prompt_tail, tokens[:n], with_special=True))
        )
        whole = self.text(prompt_tail, tokens[:n_whole], with_special=True)
        return self.text(prompt_tail, tokens[:n_whole]) + written[len(whole) :]

    def _decode(self, tokens: Sequence[int], with_special: bool = False) -> str:
        decoded = self._tokenizer.decode(
            list(tokens), skip_special_tokens=not with_special, clean_up_tokenization_spaces=False
        )
        return str(decoded)


def special_tokens(tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """Return the tokens that are no part of a text, with or without a role: what decoding leaves out."""
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    added = {token.content: index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    return added | named


def end_tokens(tokenizer: "PreTrainedTokenizerBase", *configs: Any) -> frozenset[int]:
    """Return the tokens that end a completion, by what names them: the tokenizer, a model's configurations."""
    named = [tokenizer.eos_token_id, *(getattr(config, "eos_token_id", None) for config in configs)]
    return frozenset(token for value in named for token in ([value] if isinstance(value, int) else value or []))


def _holds_any(text: str, parts: Sequence[str]) -> bool:
    return any(part in text for part in parts)


def stop_place(text: str, stop: Sequence[str]) -> int | None:
    """Return where the first stop string in the text begins, or None if it holds none."""
    return min((text.find(end) for end in stop if end in text), default=None)
