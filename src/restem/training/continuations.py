"""What a policy learns behind a prompt, in tokens: those that it sampled, or of a text alone, some that read so.

Tokenizers that mark where words begin (SentencePiece and its like: Llama 2, Mistral, Phi-3) encode a text alone in
other tokens than behind another text, so a completion is never encoded alone: a policy would learn another completion
than it gave, with a space more in every iteration.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from restem.engines.encoding import encode_prompts
from restem.engines.model_code import from_folder
from restem.engines.texts import Reader, end_tokens


class Continuations:
    """Writes completions as the tokens that follow their prompts."""

    def __init__(self, tokenizer: Any, *, ends: Iterable[int] = (), add_special_tokens: bool = True) -> None:
        """Write with the policy's tokenizer.

        Args:
            tokenizer: Of the policy.
            ends: Tokens by which the policy ends a completion, beside the tokenizer's end of sequence.
            add_special_tokens: As for sampling: how a prompt is encoded.
        """
        self.tokenizer, self._add_special_tokens = tokenizer, add_special_tokens
        self._read = Reader(tokenizer, frozenset(), ()).text
        self.ends = frozenset([tokenizer.eos_token_id, *ends])
        self._vocabulary = frozenset(tokenizer.get_vocab().values())
        # One prompt and its tokens: the rows of a question follow each other.
        self._last_prompt: tuple[str | None, list[int]] = (None, [])

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the prompt's tokens, as the policy was given them."""
        if prompt != self._last_prompt[0]:
            self._last_prompt = (prompt, self._as_prompt(prompt))
        return list(self._last_prompt[1])

    def ids(self, prompt: str, completion: str, *, finished: bool, sampled: Sequence[int] | None = None) -> list[int]:
        """Return the tokens to learn behind the prompt.

        A finished completion ends with the token by which the policy ended it, else with the end of sequence: behind
        text of people, behind a token that ended it but does not end this policy's completions (a stop string that is
        a special token, the end of a teacher's turn), and in place of other stop strings, before which what their
        first token holds is written out.

        Args:
            prompt: Exact text.
            completion: What followed it.
            finished: Whether it ended of itself.
            sampled: The tokens that were generated, if they are known; taken if they read as the completion does
                behind this prompt, which those of another tokenizer do not.
        """
        before = self.prompt_ids(prompt)
        end = [self.tokenizer.eos_token_id] if finished else []
        if sampled is not None and len(sampled):
            drawn = [int(token) for token in sampled]
            if drawn[-1] not in self._vocabulary:
                drawn.pop()  # the end of a teacher's turn, in a token that it has beside ours
            if drawn and self.reads(before, drawn, completion):
                return drawn if not finished or drawn[-1] in self.ends else [*drawn, *end]
            if finished:
                kept = self._before_stop(before, drawn, completion)
                if kept is not None:
                    return [*kept, *end]
        return [*self._encoded(before, prompt, completion), *end]

    def reads(self, before: Sequence[int], ids: Sequence[int], completion: str) -> bool:
        """Return whether these tokens behind a prompt's are the completion; decoding passes over unknown ones."""
        return self._vocabulary.issuperset(ids) and self._read(before, ids) == completion

    def said(self, before: Sequence[int], ids: Sequence[int]) -> str:
        """Return what these tokens say behind others."""
        return self._read(before, ids)

    def n_that_say(self, before: Sequence[int], ids: Sequence[int], text: str) -> int:
        """Return how many of these tokens it takes to say a text with which they begin, behind others."""
        return bisect.bisect_left(range(len(ids)), True, key=lambda n: self._read(before, ids[:n]).startswith(text))

    def can_write(self, text: str) -> bool:
        """Return whether the tokenizer has tokens for this very text; one that changes letters or spaces has not."""
        return self._read([], self._alone(f"\n{text}")).endswith(text)

    def _before_stop(self, before: list[int], drawn: list[int], completion: str) -> list[int] | None:
        """Return the sampled tokens up to a stop string; one that begins within a token is cut there.

        None if the completion is no beginning of what the tokens say.
        """
        if not self._vocabulary.issuperset(drawn) or not self._read(before, drawn).startswith(completion):
            return None
        for n in range(len(drawn) - 1, -1, -1):
            text = self._read(before, drawn[:n])
            if completion.startswith(text):
                rest = completion[len(text) :]
                so_far = [*before, *drawn[:n]]
                return [*drawn[:n], *(self._encoded(so_far, "", rest) if rest else [])]
        return None

    def _encoded(self, before: list[int], prompt: str, completion: str) -> list[int]:
        """Return tokens that read as the completion behind these; the nearest to it that the tokenizer has."""
        if not completion:
            return []
        encodings = list(self._candidates(before, prompt, completion))
        return next((ids for ids in encodings if self.reads(before, ids, completion)), encodings[0])

    def _candidates(self, before: list[int], prompt: str, completion: str) -> Iterator[list[int]]:
        if prompt:
            whole = self._as_prompt(prompt + completion)
            if whole[: len(before)] == before:
                yield whole[len(before) :]
        # Where a token would straddle the boundary: behind something that it cannot merge with.
        for lead in (self._read([], before[-1:]), "\n", "a", "1", "."):
            alone, together = self._alone(lead), self._alone(lead + completion)
            if lead and together[: len(alone)] == alone:
                yield together[len(alone) :]
        yield self._alone(completion)

    def _as_prompt(self, text: str) -> list[int]:
        (ids,) = encode_prompts(self.tokenizer, [text], add_special_tokens=self._add_special_tokens)
        return ids

    def _alone(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def writer_of(folder: Path, *, add_special_tokens: bool) -> Continuations:
    """Return what writes completions for the policy in a folder.

    Args:
        folder: Of the policy.
        add_special_tokens: As for sampling.
    """
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(folder, **from_folder())
    configs = [AutoConfig.from_pretrained(folder, **from_folder()).get_text_config()]
    if (folder / "generation_config.json").is_file():
        configs.append(GenerationConfig.from_pretrained(folder, local_files_only=True))
    return Continuations(tokenizer, ends=end_tokens(tokenizer, *configs), add_special_tokens=add_special_tokens)
