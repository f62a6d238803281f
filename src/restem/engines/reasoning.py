"""Reasoning before an answer, which an engine closes when its budget is spent.

A thinking model reasons between two marks, as <think> and </think>, and answers behind the second. Where the reasoning
is still open after `budget` tokens of a completion, the engine writes the closing mark in the policy's place, and the
policy goes on behind it with what is left of `max_new_tokens`. The marks are part of the text of a completion; what the
engine wrote is said by `Completion.closing`.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.engines import Completion, Engine
from restem.errors import EngineError
from restem.store.fingerprints import question_seed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from restem.engines.texts import Draft

_PARAMETERS = "sampling.reasoning"
# Behind these a mark is tokenized as behind any other text: not as at the beginning of one.
_LEADS = ("a", "\n", "1", ".")


class Reasoning(NamedTuple):
    """How the completions of some prompts reason."""

    open: str  # mark that begins it
    close: str  # mark that ends it
    budget: int  # tokens of a completion after which it is closed
    opened: tuple[bool, ...]  # per prompt: whether it ends within the reasoning

    def after(self, n_done: int) -> "Reasoning":
        """Return that of the prompts that are left when the first ones are done."""
        return self._replace(opened=self.opened[n_done:])

    def is_open(self, index: int, text: str) -> bool:
        """Return whether a completion of a prompt ends within its reasoning."""
        return is_open(text, self.open, self.close, opened=self.opened[index])


def is_open(text: str, open_mark: str, close_mark: str, *, opened: bool) -> bool:
    """Return whether a text ends within reasoning, into which it may have been begun."""
    last_open, last_close = text.rfind(open_mark), text.rfind(close_mark)
    return opened if last_open == last_close == -1 else last_open > last_close


def answer_place(text: str, open_mark: str, close_mark: str, *, opened: bool) -> int:
    """Return where in a text the answer begins: behind the last closing mark, or nowhere while reasoning is open."""
    if is_open(text, open_mark, close_mark, opened=opened):
        return len(text)
    place = text.rfind(close_mark)
    return 0 if place == -1 else place + len(close_mark)


def mark_tokens(tokenizer: "PreTrainedTokenizerBase", mark: str, *, name: str) -> list[int]:
    """Return the tokens by which a mark is written within a text.

    Args:
        tokenizer: Of the policy.
        mark: The text.
        name: Of the mark: open or close.

    Raises:
        EngineError: If the tokenizer has no tokens that read as the mark, or leaves it out of texts.
    """
    from restem.engines.texts import Reader, special_tokens

    if mark in special_tokens(tokenizer):
        raise EngineError(
            f"{_PARAMETERS}.{name} = {mark!r} is a special token of the tokenizer, which texts leave out, so that an "
            "answer could not be told from the reasoning before it; name a mark that is part of the text"
        )
    read = Reader(tokenizer, frozenset(), ()).text
    for lead in _LEADS:
        alone, together = (list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (lead, lead + mark))
        ids = together[len(alone) :]
        if together[: len(alone)] == alone and ids and read(alone, ids) == mark:
            return ids
    raise EngineError(
        f"{_PARAMETERS}.{name} = {mark!r} cannot be written with the tokenizer of the policy: its tokens for that read "
        "as something else, or as nothing; name a mark that the policy was trained with"
    )


def closing_tokens(tokenizer: "PreTrainedTokenizerBase", reasoning: Reasoning) -> list[int]:
    """Return the tokens of the closing mark.

    Raises:
        EngineError: If one of the marks cannot be written.
    """
    mark_tokens(tokenizer, reasoning.open, name="open")
    return mark_tokens(tokenizer, reasoning.close, name="close")


def add_token(draft: "Draft", token: int, logprob: float, closer: "Closer | None") -> None:
    """Append the token that was drawn, or the one that the engine writes in its place, which has no probability."""
    written = None if closer is None else closer.written(draft)
    draft.tokens.append(token if written is None else written)
    draft.logprob += logprob if written is None else 0.0


class Closer:
    """Says which tokens the engine writes in place of the policy."""

    def __init__(
        self,
        reasoning: Reasoning,
        tokenizer: "PreTrainedTokenizerBase",
        *,
        read: Callable[[int, Sequence[int]], str],
        limits: Sequence[int],
    ) -> None:
        """Prepare.

        Args:
            reasoning: Of the prompts.
            tokenizer: Of the policy.
            read: Returns what tokens say behind a prompt, by its index.
            limits: New tokens at most, per prompt.
        """
        self._reasoning, self._read, self._limits = reasoning, read, limits
        self._tokens = closing_tokens(tokenizer, reasoning)

    def written(self, draft: "Draft") -> int | None:
        """Return the token that comes next if the engine writes it; None where the policy draws it."""
        n = len(draft.tokens)
        if n == self._reasoning.budget and self._is_to_close(draft):
            draft.closing = (n, n + len(self._tokens))
        if draft.closing is None or n >= draft.closing[1]:
            return None
        return self._tokens[n - draft.closing[0]]

    def _is_to_close(self, draft: "Draft") -> bool:
        """Return whether the reasoning is open, and there is room for its end and at least a token of an answer."""
        room = self._limits[draft.prompt_index] - len(draft.tokens)
        index = draft.prompt_index
        return room > len(self._tokens) and self._reasoning.is_open(index, self._read(index, draft.tokens))


def closes_reasoning(engine: Engine) -> bool:
    """Return whether an engine closes reasoning itself, to the token; others are asked again behind what they said."""
    return "reasoning" in inspect.signature(engine.sample).parameters


def sample_in_rounds(
    engine: Engine, prompts: Sequence[str], reasoning: Reasoning, *, n: int, max_new_tokens: int, **arguments: Any
) -> Iterator[list[Completion]]:
    """Yield n completions per prompt, drawn by an engine that knows of no reasoning.

    What has not ended within the budget is drawn on, in a second round, behind its own text and, where the reasoning is
    open, its closing mark. There is no telling how many tokens that is: it is counted by its bytes, which are no fewer,
    so that no completion is longer than `max_new_tokens`. Tokens of completions that were drawn on are not known.

    Args:
        engine: Any.
        prompts: Exact texts.
        reasoning: Of these prompts.
        n: Completions per prompt.
        max_new_tokens: Per completion, the closing mark among them.
        arguments: Others of `Engine.sample`, with a seed for every prompt.
    """
    budget = reasoning.budget
    drawn = list(engine.sample(prompts, n=n, max_new_tokens=budget, **arguments))
    for is_to_close in (True, False):
        closing = reasoning.close if is_to_close else ""
        places = list(_unfinished(drawn, reasoning, is_open=is_to_close))
        left = max_new_tokens - budget - len(closing.encode())
        if not places or left < 1:
            continue
        again = engine.sample(
            [prompts[index] + drawn[index][number].text + closing for index, number in places],
            n=1,
            max_new_tokens=left,
            **{**arguments, "seed": [question_seed(arguments["seed"][i], "answer", k) for i, k in places]},
        )
        for (index, number), (rest,) in zip(places, again, strict=True):
            drawn[index][number] = _joined(drawn[index][number], rest, closing)
    yield from drawn


def _unfinished(
    drawn: Sequence[Sequence[Completion]], reasoning: Reasoning, *, is_open: bool
) -> Iterator[tuple[int, int]]:
    """Yield the places of completions that ran out of tokens, within their reasoning or behind it."""
    for index, completions in enumerate(drawn):
        for number, completion in enumerate(completions):
            is_cut_off = completion.finish_reason == "length" and completion.closing is None
            if is_cut_off and reasoning.is_open(index, completion.text) == is_open:
                yield index, number


def _joined(first: Completion, rest: Completion, closing: str) -> Completion:
    start = len(first.text)
    both = None if first.logprob is None or rest.logprob is None else first.logprob + rest.logprob
    return Completion(
        first.text + closing + rest.text,
        first.n_tokens + rest.n_tokens,
        rest.finish_reason,
        both,
        closing=(start, start + len(closing)) if closing else None,
    )
