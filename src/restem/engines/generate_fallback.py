"""Sampling by transformers' `generate`, for models whose keys and values cannot be shared.

Batches of rows, each a prompt of its own. The same random numbers choose from the same filtered
distribution, by a logits processor that draws: `generate` then finds one token left and takes it. What the
model's generation_config says about decoding (penalties, suppressed tokens, beams) does not count: the policy is the
model, and every way of sampling draws from the same distribution.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from restem.engines.arguments import Work
from restem.engines.decoding import choose, log_probabilities
from restem.engines.profile import SAMPLING, part
from restem.engines.randomness import uniforms
from restem.engines.reasoning import Closer, add_token
from restem.engines.texts import Draft, Reader

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


def generate_samples(  # noqa: PLR0913 - all that decides what is drawn
    model: "PreTrainedModel",
    reader: Reader,
    work: Work,
    *,
    width: int,
    window: int | None,
    closer: Closer | None = None,
) -> Iterator[list[Draft]]:
    """Yield the drafts of each prompt, in order.

    Args:
        model: The policy.
        reader: Knows when a completion ends.
        work: What to draw.
        width: Rows at once, at most.
        window: Tokens that the model can read; None if there is no limit.
        closer: Of reasoning, if any is to be closed.
    """
    n = work.request.n_drawn
    finished: list[Draft] = []
    for batch in _batches(work, width=width, window=window):
        with _undecided(model):
            _Batch(reader, work, batch, closer).run(model)
        finished += batch
        while len(finished) >= n:
            yield finished[:n]
            finished = finished[n:]


def _batches(work: Work, *, width: int, window: int | None) -> Iterator[list[Draft]]:
    """Yield the drafts in order, as many at once as have the rows and the window for them.

    Prompts are padded to the longest of their batch, and some models count the padding: beside a prompt that nearly
    fills the window, a short one with a long completion would run past it.
    """
    batch: list[Draft] = []
    longest = most = 0
    for index, (prompt, limit) in enumerate(zip(work.prompts, work.limits, strict=True)):
        if batch and window is not None and max(longest, len(prompt)) + max(most, limit) > window:
            yield batch
            batch, longest, most = [], 0, 0
        longest, most = max(longest, len(prompt)), max(most, limit)
        for sample in range(work.request.n_drawn):
            if len(batch) == width:
                yield batch
                batch, longest, most = [], len(prompt), limit
            batch.append(Draft(index, sample))
    if batch:
        yield batch


@contextmanager
def _undecided(model: "PreTrainedModel") -> Iterator[None]:
    """Keep what the model says about decoding from `generate`, which takes from there what it is not told."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


class _Batch:
    """Drafts that are drawn together; it is both the processor and the stopping criterion of a `generate`."""

    def __init__(self, reader: Reader, work: Work, drafts: Sequence[Draft], closer: Closer | None) -> None:
        self._reader, self._request, self._drafts, self._closer = reader, work.request, drafts, closer
        self._prompts = [work.prompts[draft.prompt_index] for draft in drafts]
        self._limits = [work.limits[draft.prompt_index] for draft in drafts]
        self._done = [False] * len(drafts)
        self._uniforms = [
            uniforms(work.request.seeds[draft.prompt_index], draft.sample_index, limit)
            for draft, limit in zip(drafts, self._limits, strict=True)
        ]

    def run(self, model: "PreTrainedModel") -> None:
        """Complete the drafts."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        longest = max(map(len, self._prompts))
        pad = min(self._reader.eos)
        padded = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in self._prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in self._prompts]
        config = GenerationConfig(
            max_new_tokens=max(self._limits), do_sample=False, pad_token_id=pad, eos_token_id=None, use_cache=True
        )
        with torch.inference_mode():
            model.generate(
                input_ids=torch.tensor(padded, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                generation_config=config,
                logits_processor=LogitsProcessorList([self._choose]),
                stopping_criteria=StoppingCriteriaList([self._stop]),
            )

    def _choose(self, input_ids: "Tensor", logits: "Tensor") -> "Tensor":
        """Return logits that leave the drawn token alone, and note the token."""
        import torch

        numbers = [
            0.0 if done else float(row[len(draft.tokens)])
            for row, draft, done in zip(self._uniforms, self._drafts, self._done, strict=True)
        ]
        with part(SAMPLING):
            tokens = choose(logits, torch.tensor(numbers, dtype=torch.float64, device=logits.device), self._request)
        n_rows = len(self._drafts)
        logprobs = log_probabilities(logits, tokens).tolist() if self._request.logprobs else [0.0] * n_rows
        for row, (token, logprob) in enumerate(zip(tokens.tolist(), logprobs, strict=True)):
            if not self._done[row]:
                self._note(row, token, logprob)
                tokens[row] = self._drafts[row].tokens[-1]
        return torch.full_like(logits, float("-inf")).scatter(1, tokens[:, None], 0.0)

    def _note(self, row: int, token: int, logprob: float) -> None:
        draft = self._drafts[row]
        add_token(draft, token, logprob, self._closer)
        at_limit = len(draft.tokens) == self._limits[row]
        self._done[row] = at_limit or self._reader.ended(self._prompts[row], draft.tokens)

    def _stop(self, input_ids: "Tensor", scores: Any, **_: Any) -> "Tensor":
        import torch

        return torch.tensor(self._done, device=input_ids.device)
