"""Which sample is drawn when: the batch stays full until the work runs out.

Prompts are read a few at a time, when enough rows are free; a finished row's place is taken by the last
row, so that only rows with work are computed.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from restem.engines.arguments import Work
from restem.engines.decoding import choose, log_probabilities
from restem.engines.forward import RowState, SharedForward
from restem.engines.profile import SAMPLING, part
from restem.engines.randomness import uniforms
from restem.engines.reasoning import Closer, add_token
from restem.engines.texts import Draft, Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel

_PROMPT_TOKENS_AT_ONCE = 2048  # bounds the memory of reading prompts
# Prompts are read when this share of the rows is free: few large passes are cheaper than many small ones.
_REFILL_SHARE = 8


@dataclass
class _Prompt:
    index: int
    slot: int
    logits: "Tensor"  # (vocabulary,) after the prompt: every sample's first token is drawn from them
    drafts: list[Draft]
    n_started: int = 0
    n_ended: int = 0


@dataclass
class _Row:
    prompt: _Prompt
    draft: Draft
    uniforms: "NDArray[np.float64]"  # one per token; as many as the draft may have


class ContinuousSampler:
    """Draws all samples of a request, at most `width` at once."""

    def __init__(
        self, model: "PreTrainedModel", reader: Reader, work: Work, *, width: int, closer: Closer | None = None
    ) -> None:
        """Prepare.

        Args:
            model: The policy.
            reader: Knows when a completion ends.
            work: What to draw.
            width: Rows at once.
            closer: Of reasoning, if any is to be closed.
        """
        width = min(width, len(work.prompts) * work.request.n_drawn)  # each row has room for all its new tokens
        self._reader, self._request, self._width, self._closer = reader, work.request, width, closer
        self._prompts, self._limits = work.prompts, work.limits
        self._n_prefix = common_prefix(work.prompts)
        self._forward = SharedForward(
            model,
            n_rows=width,
            n_prompt_columns=max(map(len, work.prompts)) - self._n_prefix,
            max_new_tokens=max(work.limits),
        )
        self._rows: list[_Row] = []
        self._starting: deque[_Prompt] = deque()  # read, with samples that wait for a row
        self._n_read = 0
        # Stragglers hold on to their prompts; a few times as many slots as full prompts keep the batch full.
        self._slots = list(range(min(width, 4 * -(-width // work.request.n_drawn) + 4)))
        self._finished: dict[int, list[Draft]] = {}

    def run(self) -> Iterator[list[Draft]]:
        """Yield the drafts of each prompt, in order."""
        self._forward.read_prefix(self._prompts[0][: self._n_prefix])
        for index in range(len(self._prompts)):
            while index not in self._finished:
                self._refill()
                if self._rows:
                    self._advance()
            yield self._finished.pop(index)

    def _refill(self) -> None:
        """Start samples until the rows are full; one that ends with its first token leaves its row free."""
        if self._rows and self._width - len(self._rows) < max(1, self._width // _REFILL_SHARE):
            return
        while len(self._rows) < self._width:
            if not self._starting and not self._read_prompts():
                return
            self._start_samples()

    def _read_prompts(self) -> bool:
        """Return whether there were prompts to read and slots to keep them in."""
        free = self._width - len(self._rows)
        wanted = min(-(-free // self._request.n_drawn), len(self._slots), len(self._prompts) - self._n_read)
        batch: list[int] = []
        n_tokens = 0
        for index in range(self._n_read, self._n_read + wanted):
            n_tokens += len(self._prompts[index]) - self._n_prefix
            if batch and n_tokens > _PROMPT_TOKENS_AT_ONCE:
                break
            batch.append(index)
        if not batch:
            return False
        slots = [heapq.heappop(self._slots) for _ in batch]
        logits = self._forward.read_prompts([self._prompts[index][self._n_prefix :] for index in batch], slots)
        for place, (index, slot) in enumerate(zip(batch, slots, strict=True)):
            drafts = [Draft(index, sample_index) for sample_index in range(self._request.n_drawn)]
            self._starting.append(_Prompt(index, slot, logits[place], drafts))
        self._n_read += len(batch)
        return True

    def _start_samples(self) -> None:
        import torch

        rows: list[_Row] = []
        while self._starting and len(self._rows) + len(rows) < self._width:
            prompt = self._starting[0]
            draft = prompt.drafts[prompt.n_started]
            seed = self._request.seeds[prompt.index]
            numbers = uniforms(seed, draft.sample_index, self._limits[prompt.index])
            rows.append(_Row(prompt, draft, numbers))
            prompt.n_started += 1
            if prompt.n_started == len(prompt.drafts):
                self._starting.popleft()
        with torch.inference_mode():
            logits = torch.stack([row.prompt.logits for row in rows])
        self._draw(rows, logits)
        self._rows += [row for row in rows if not self._ended(row)]

    def _advance(self) -> None:
        """Draw one token for every row; finished rows give their places to the last ones."""
        states = [RowState(row.draft.tokens[-1], len(row.draft.tokens) - 1, row.prompt.slot) for row in self._rows]
        self._draw(self._rows, self._forward.read_rows(states))
        kept = [index for index, row in enumerate(self._rows) if not self._ended(row)]
        n_kept = len(kept)
        holes = sorted(set(range(n_kept)).difference(kept))
        movers = [index for index in kept if index >= n_kept]
        for source, target in zip(movers, holes, strict=True):
            self._rows[target] = self._rows[source]
        del self._rows[n_kept:]
        if movers:
            n_columns = max(state.n_before for state in states) + 1
            self._forward.move_rows(list(zip(movers, holes, strict=True)), n_columns)

    def _draw(self, rows: Sequence[_Row], logits: "Tensor") -> None:
        import torch

        numbers = torch.tensor(
            [row.uniforms[len(row.draft.tokens)] for row in rows], dtype=torch.float64, device=logits.device
        )
        with part(SAMPLING), torch.inference_mode():
            tokens = choose(logits, numbers, self._request)
            logprobs = log_probabilities(logits, tokens).tolist() if self._request.logprobs else [0.0] * len(rows)
        for row, token, logprob in zip(rows, tokens.tolist(), logprobs, strict=True):
            add_token(row.draft, token, logprob, self._closer)

    def _ended(self, row: _Row) -> bool:
        """Return whether the row's draft is finished, and if so hand it over."""
        prompt = row.prompt
        at_limit = len(row.draft.tokens) == self._limits[prompt.index]
        if not self._reader.ended(self._prompts[prompt.index], row.draft.tokens) and not at_limit:
            return False
        prompt.n_ended += 1
        if prompt.n_ended == len(prompt.drafts):
            self._finished[prompt.index] = prompt.drafts
            heapq.heappush(self._slots, prompt.slot)
        return True


def common_prefix(prompts: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all prompts begin with; every prompt has one more."""
    shortest = min(map(len, prompts)) - 1
    first = prompts[0]
    for index in range(shortest):
        if any(prompt[index] != first[index] for prompt in prompts):
            return index
    return shortest
