"""The built-in engine: any Hugging Face causal language model, many samples of each prompt.

Every prompt is read once and its keys and values are shared by its samples; what all prompts begin with
is read once for all; finished rows are replaced at once. Models whose attention is more than causal
softmax (see `restem.engines.probe`) are sampled by `generate`, with one notice in the log.

With the same arguments, on the same machine with the same number of threads, it gives the same text.
A sample's neighbours in the batch change it by no more than floating-point rounding.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from restem.engines import Completion
from restem.engines.arguments import Request, Work, check_reasoning, check_request
from restem.engines.arithmetic import Arithmetic, arithmetic_of
from restem.engines.encoding import encode_prompts
from restem.engines.memory import is_out_of_memory
from restem.engines.reasoning import Closer, Reasoning, closing_tokens
from restem.errors import EngineError
from restem.parameters.decides import Decides, Harmless
from restem.parameters.ranges import Positive
from restem.spending import spending

if TYPE_CHECKING:
    from restem.engines.loading import LoadedPolicy
    from restem.engines.texts import Draft, Reader

_logger = logging.getLogger(__name__)


class TransformersEngine:
    """Samples from a policy in memory."""

    def __init__(self, policy: "LoadedPolicy", *, max_batch: int | None) -> None:
        """Use the policy.

        Args:
            policy: Loaded.
            max_batch: Rows at once; None for as many as fit and help.
        """
        from restem.engines.probe import probe

        self._policy: LoadedPolicy | None = policy
        self._max_batch = max_batch
        self._most_that_fit: int | None = None  # rows, once memory has run out
        self._own_attention = policy.model.config._attn_implementation
        self._sharing = probe(policy.model)
        self._noticed = False

    def sample(
        self,
        prompts: Sequence[str],
        *,
        batch_width: int | None = None,
        narrowed: Callable[[int], None] | None = None,
        reasoning: Reasoning | None = None,
        **arguments: Any,
    ) -> Iterator[list[Completion]]:
        """Return an iterator over n completions per prompt; see `restem.engines.Engine.sample`.

        Args:
            prompts: Exact texts.
            batch_width: Rows to draw at once; as many as fit and help if not given. See `restem.engines.Batched`.
            narrowed: Told how many are drawn at once, if memory does not allow so many.
            reasoning: To be closed when its budget is spent; the tokens are drawn on in place.
            arguments: As of every engine.

        Raises:
            EngineError: If an argument is out of range, or a prompt leaves no room in the context window.
        """
        request = check_request(prompts, **arguments)
        if not request.prompts:
            return iter(())
        if reasoning is not None:
            n_closing = len(closing_tokens(self._loaded.tokenizer, reasoning))
            request = check_reasoning(request, reasoning, n_closing=n_closing)
        return self._sample(self._work(request), batch_width, narrowed or _nobody)

    def batch_width(self, prompts: Sequence[str], **arguments: Any) -> int:
        """Return how many rows `sample` would draw at once now; prompts are not empty."""
        return self._fitting(self._work(check_request(prompts, **arguments)))

    def close(self) -> None:
        """Give the memory back."""
        import torch

        self._policy = None  # nothing refers back to it, so that it goes without the collector's looking at everything
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _loaded(self) -> "LoadedPolicy":
        if self._policy is None:
            raise EngineError("the engine is closed; sample inside its `with` block")
        return self._policy

    def _work(self, request: Request) -> Work:
        window, tokens = self._loaded.context_window, self._tokens(request)
        most = request.max_new_tokens
        return Work(request, tokens, [most if window is None else min(most, window - len(prompt)) for prompt in tokens])

    def _tokens(self, request: Request) -> list[list[int]]:
        policy = self._loaded
        encoded = encode_prompts(policy.tokenizer, request.prompts, add_special_tokens=request.add_special_tokens)
        for index, tokens in enumerate(encoded):
            if not tokens:
                raise EngineError(f"prompt {index} has no tokens: {request.prompts[index]!r}")
            if policy.context_window is not None and len(tokens) >= policy.context_window:
                raise EngineError(
                    f"prompt {index} has {len(tokens)} tokens, the context window of the policy is "
                    f"{policy.context_window}; a completion needs at least one"
                )
        return encoded

    def _sample(self, work: Work, width: int | None, narrowed: Callable[[int], None]) -> Iterator[list[Completion]]:
        from restem.engines.profile import drawn
        from restem.engines.texts import Reader

        request, policy = work.request, self._loaded
        spending.take("sampling", prompt_tokens=sum(map(len, work.prompts)))  # each is read once for all its samples
        reader = Reader(policy.tokenizer, policy.eos, request.stop)
        repeats = request.n // request.n_drawn
        completions = (
            [
                reader.completion(prompt, draft, logprob=request.logprobs, token_ids=request.token_ids)
                for draft in drafts
            ]
            for prompt, drafts in zip(work.prompts, self._drafts(work, reader, width, narrowed), strict=True)
        )
        for of_prompt in drawn(completions, _n_tokens):
            yield of_prompt * repeats

    def _drafts(
        self, work: Work, reader: "Reader", width: int | None, narrowed: Callable[[int], None]
    ) -> "Iterator[list[Draft]]":
        """Yield the drafts of each prompt; after running out of memory go on with half the rows."""
        n_done = 0
        while n_done < len(work.prompts):
            left = work.after(n_done)
            rows = self._fitting(left) if width is None else self._still_fitting(left, width, narrowed)
            try:
                for drafts in self._draw(left, reader, rows):
                    n_done += 1
                    yield drafts
            except (RuntimeError, MemoryError) as error:
                rows = min(rows, work.after(n_done).n_rows)
                if not is_out_of_memory(error) or rows == 1:
                    raise
                self._most_that_fit = rows // 2
                _logger.warning("out of memory with %d rows at once: going on with %d", rows, self._most_that_fit)

    def _draw(self, work: Work, reader: "Reader", width: int) -> "Iterator[list[Draft]]":
        from restem.engines.continuous import ContinuousSampler
        from restem.engines.forward import use_attention
        from restem.engines.generate_fallback import generate_samples

        model, closer = self._loaded.model, self._closer(work, reader)
        if not self._obstacle(work):
            return ContinuousSampler(model, reader, work, width=width, closer=closer).run()
        use_attention(model, self._own_attention)
        window = self._loaded.context_window
        return generate_samples(model, reader, work, width=width, window=window, closer=closer)

    def _closer(self, work: Work, reader: "Reader") -> Closer | None:
        if work.request.reasoning is None:
            return None
        return Closer(
            work.request.reasoning,
            self._loaded.tokenizer,
            read=lambda index, tokens: reader.text(work.prompts[index], tokens),
            limits=work.limits,
        )

    def _obstacle(self, work: Work) -> str | None:
        """Return why keys and values cannot be shared in this call, and say it once."""
        obstacle, window = self._sharing.obstacle, self._sharing.window
        if not obstacle and window and work.longest > window:
            obstacle = f"its layers look back {window} tokens and texts may have {work.longest}"
        if obstacle and not self._noticed:
            self._noticed = True
            _logger.warning("this policy is sampled by transformers' generate, which is slower: %s", obstacle)
        return obstacle

    def _fitting(self, work: Work) -> int:
        """Return as many rows as fit and help, or as many as were asked for when the engine was opened."""
        from restem.engines.memory import batch_width

        rows = self._max_batch or batch_width(self._loaded.model.device, bytes_per_row=self._bytes_per_row(work))
        return min(rows, self._most_that_fit or rows)

    def _still_fitting(self, work: Work, width: int, narrowed: Callable[[int], None]) -> int:
        """Return the width that is to be held, or what fits instead, which is said."""
        from restem.engines.memory import still_fits

        needed = min(width, work.n_rows)
        rows = min(width, self._most_that_fit or width)
        device, size = self._loaded.model.device, self._bytes_per_row(work)
        if not self._max_batch and not still_fits(device, bytes_per_row=size, n_rows=min(rows, needed)):
            rows = min(rows, self._fitting(work))
        if rows < needed:
            narrowed(rows)
        return rows

    def _bytes_per_row(self, work: Work) -> int:
        model = self._loaded.model
        config = model.config.get_text_config()
        size = self._sharing.bytes_per_token or _bytes_per_token(config, model.dtype.itemsize)
        # A prompt's keys and values are shared, by a few samples at least even when most have ended.
        sharing = 1 if self._sharing.obstacle else min(work.request.n_drawn, 4)
        # Those of the new tokens count twice, because they are copied when they grow; then a few rows of logits.
        return size * (2 * max(work.limits) + -(-work.longest // sharing)) + 16 * int(config.vocab_size)


@contextmanager
def open_transformers(  # noqa: PLR0913 - one argument per option
    policy_path: str | Path,
    dtype: Annotated[str, Decides("samples")] = "auto",
    device: Annotated[str | None, Decides("samples")] = None,
    max_batch: Annotated[Positive | None, Decides("samples")] = None,
    threads: Annotated[Positive | None, Decides("samples")] = None,
    profile: Annotated[bool, Harmless] = False,
) -> Iterator[TransformersEngine]:
    """Return the engine in a context.

    Args:
        policy_path: A folder that AutoModelForCausalLM and AutoTokenizer load.
        dtype: auto, float32 or bfloat16; auto is bfloat16 where the hardware multiplies it natively.
        device: As torch names it; the GPU if there is one.
        max_batch: Rows at once; as many as fit and help if not given.
        threads: Of the CPU; torch's choice if not given.
        profile: Log at the end where the time went. Costs a few per cent, more on a GPU.
    """
    import torch

    from restem.engines.loading import choose_device, load_policy
    from restem.engines.profile import profiling

    for name, value in (("max_batch", max_batch), ("threads", threads)):
        if value is not None and value < 1:
            raise EngineError(f"{name} must be at least 1, got {value}")
    threads_before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        policy = load_policy(policy_path, dtype=dtype, device=choose_device(device))
        engine = TransformersEngine(policy, max_batch=max_batch)
        with profiling(policy.model) if profile else nullcontext():
            del policy  # so that the engine alone holds the model
            try:
                yield engine
            finally:
                engine.close()
    finally:
        torch.set_num_threads(threads_before)


def arithmetic(options: Mapping[str, Any]) -> Arithmetic:
    """Return what the options make policies be computed in here."""
    return arithmetic_of(options.get("dtype", "auto"), options.get("device"))


def _nobody(_rows: int) -> None:
    """Where nobody wants to know."""


def _n_tokens(completions: Sequence[Completion]) -> int:
    return sum(completion.n_tokens for completion in completions)


def _bytes_per_token(config: Any, itemsize: int) -> int:
    """Return the size of a token's keys and values where no cache was seen, as if all layers were attention."""
    n_heads = getattr(config, "num_attention_heads", None) or 1
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    n_kept = getattr(config, "num_key_value_heads", None) or n_heads
    return int(2 * config.num_hidden_layers * n_kept * head_dim * itemsize)
