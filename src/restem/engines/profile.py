"""Where the time of the built-in engine goes.

One clock runs, and belongs to one part at a time: entering a part stops the one around it. So the parts
add up to the whole. On a GPU every change of parts waits for the device, which makes the whole slower.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_logger = logging.getLogger(__name__)

LINEAR, ATTENTION, MODEL, SAMPLING, PYTHON = "linear layers", "attention", "rest of the model", "sampling", "python"
PARTS = (LINEAR, ATTENTION, MODEL, SAMPLING, PYTHON)
_OUTSIDE = "outside"  # while whoever asked for samples does something with them

_current: "ContextVar[Profile | None]" = ContextVar("profile", default=None)
_IDLE = nullcontext()


class Profile:
    """Seconds by part."""

    def __init__(self, *, on_gpu: bool) -> None:
        """Start outside.

        Args:
            on_gpu: Whether the device works on after its call has returned.
        """
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.n_tokens = 0
        self._on_gpu = on_gpu
        self._parts = [_OUTSIDE]
        self._since = time.perf_counter()

    def enter(self, part: str) -> None:
        """Let the clock run for this part."""
        self._charge()
        self._parts.append(part)

    def leave(self) -> None:
        """Let it run for the part around this one again."""
        self._charge()
        self._parts.pop()

    def watch(self, model: "PreTrainedModel") -> None:
        """Charge the model's forward passes, and its linear layers."""
        import torch

        def charge(module: "torch.nn.Module", part: str) -> None:
            module.register_forward_pre_hook(lambda *_: self.enter(part))
            module.register_forward_hook(lambda *_: self.leave(), always_call=True)

        charge(model, MODEL)
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                charge(module, LINEAR)

    def __str__(self) -> str:
        """Return shares and rate in one line."""
        total = sum(self.seconds[part] for part in PARTS)
        if not total:
            return "nothing was drawn"
        shares = ", ".join(f"{part} {self.seconds[part] / total:.0%}" for part in PARTS)
        return f"{self.n_tokens} tokens in {total:.1f} s ({self.n_tokens / total:.0f} tokens/s): {shares}"

    def _charge(self) -> None:
        if self._on_gpu:
            import torch

            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now


def part(name: str) -> AbstractContextManager[Any]:
    """Return a context whose time is this part's, if anyone keeps a profile."""
    profile = _current.get()
    return _IDLE if profile is None else _charged(profile, name)


def drawn(items: "Iterator[Any]", n_tokens: Any) -> "Iterator[Any]":
    """Yield the items; the time to make them is the engine's, the time between them is not.

    Args:
        items: What the engine makes.
        n_tokens: Tells an item's number of tokens.
    """
    profile = _current.get()
    while True:
        with part(PYTHON):
            item = next(items, None)
        if item is None:
            return
        if profile is not None:
            profile.n_tokens += n_tokens(item)
        yield item


@contextmanager
def profiling(model: "PreTrainedModel") -> Iterator[Profile]:
    """Return the profile of everything drawn in this context, and log it at the end."""
    profile = Profile(on_gpu=model.device.type == "cuda")
    profile.watch(model)
    del model  # its memory is to be free when the engine closes
    token = _current.set(profile)
    try:
        yield profile
    finally:
        _current.reset(token)
        _logger.info("where the time went: %s", profile)


@contextmanager
def _charged(profile: Profile, name: str) -> Iterator[None]:
    profile.enter(name)
    try:
        yield
    finally:
        profile.leave()
