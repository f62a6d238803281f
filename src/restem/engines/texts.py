"""Tokens -> text, and where a completion ends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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


class Reader:
    """Decodes completions and knows when they end."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", eos: frozenset[int], stop: Sequence[str]) -> None:
        """Read for these ends.

        Args:
            tokenizer: The policy's.
            eos: Tokens that end a completion.
            stop: Strings that end a completion; one that is a single special token counts as that token.
        """
        special = {
            text: token for text, token in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
        }
        self._tokenizer = tokenizer
        self.eos = eos | {special[text] for text in stop if text in special}
        self._stop = tuple(text for text in stop if text not in special)
        # A token holds at least one byte, so a stop string lies within this many last tokens; a few more
        # because the first ones may be the rest of a character that cannot be decoded alone.
        self._stop_tokens = max((len(text.encode()) for text in self._stop), default=0) + _PROMPT_TAIL

    def ended(self, prompt_tail: Sequence[int], tokens: Sequence[int]) -> bool:
        """Return whether the last token ends the completion, other than by its length."""
        if tokens[-1] in self.eos:
            return True
        if not self._stop:
            return False
        recent = self._decode(tokens[-self._stop_tokens :])
        if not any(text in recent for text in self._stop):
            return False
        return stop_place(self.text(prompt_tail, tokens), self._stop) is not None

    def completion(self, prompt_tail: Sequence[int], draft: Draft, *, logprob: bool) -> Completion:
        """Return the finished completion."""
        text = self.text(prompt_tail, draft.tokens)
        end = stop_place(text, self._stop)
        stopped = end is not None or draft.tokens[-1] in self.eos
        return Completion(
            text if end is None else text[:end],
            len(draft.tokens),
            "stop" if stopped else "length",
            draft.logprob if logprob else None,
        )

    def text(self, prompt_tail: Sequence[int], tokens: Sequence[int]) -> str:
        """Return the text that the tokens add to their prompt."""
        tail = list(prompt_tail[-_PROMPT_TAIL:])
        before, together = self._decode(tail), self._decode([*tail, *tokens])
        return together[len(before) :] if together.startswith(before) else self._decode(tokens)

    def _decode(self, tokens: Sequence[int]) -> str:
        decoded = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(decoded)


def stop_place(text: str, stop: Sequence[str]) -> int | None:
    """Return where the first stop string in the text begins, or None if it holds none."""
    return min((text.find(end) for end in stop if end in text), default=None)
