"""Whether rows that are batched in some way teach a model what they would teach it alone, found out by trying it.

Padding, sharing prefixes and packing rest on what a model makes of masks, positions and its memory of past tokens, and
no declaration of a model says so reliably: some read on into the next packed row, some forget where a row begins. A few
tokens are read both ways with the very weights that will be trained, in float32, which shows far smaller faults than
the arithmetic of training could. Imports torch in the functions that need it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from restem.errors import TrainingError
from restem.training.rows import IGNORED, Example, collate, pack

if TYPE_CHECKING:
    import torch

    _MakeBatch = Callable[[Sequence[Example]], dict[str, torch.Tensor]]

_TOLERANCE = 1e-3  # of the largest distance of a logit from the mean; rounding stays below 1e-4
_LENGTHS = (13, 9, 16)  # of the rows, in tokens: longer than the kernels of convolutions
_N_ALIKE = 6  # tokens with which all of them begin
_UNABLE = (AttributeError, LookupError, NotImplementedError, RuntimeError, TypeError, ValueError)


def refuse_unless_trainable(model: Any, *, packing: bool, micro_batch_size: int) -> None:
    """Raise unless the batches that training will make teach the model what their rows would teach it alone.

    Args:
        model: A Hugging Face model.
        packing: `training.packing`.
        micro_batch_size: Rows per batch.

    Raises:
        TrainingError: With what to set instead.
    """
    name = type(model).__name__
    if _reads_ahead(model):
        raise TrainingError(
            f"{name} reads the tokens that it is to predict, so it is no causal language model and cannot be trained "
            "as one; take another policy.model"
        )
    if micro_batch_size == 1:
        return
    fault = fault_of(pack if packing else partial(collate, share_prefix=False), model, n_prompt=1)
    if fault and packing:
        raise TrainingError(
            f"training.packing = true cannot be had for {name}: {fault}. Set training.packing=false, which pads the "
            "rows of a micro batch instead"
        )
    if fault:
        raise TrainingError(
            f"{name} cannot be trained on several rows at once: padded ones do not give what each gives alone "
            f"({fault}). Set training.micro_batch_size=1"
        )


def why_no_prefixes_are_shared(model: Any) -> str | None:
    """Return why what rows begin with cannot be computed once for all of them; None if it can."""
    from restem.training.weighted_sft import can_share_prefixes

    if not can_share_prefixes(model):
        return f"{type(model).__name__} remembers past tokens otherwise than by keys and values of all of them"
    fault = fault_of(partial(collate, share_prefix=True), model, n_prompt=_N_ALIKE + 1)
    return fault and f"{type(model).__name__} gives other logits behind a shared prefix ({fault})"


def fault_of(
    make: Callable[[Sequence[Example]], "dict[str, torch.Tensor]"], model: Any, *, n_prompt: int
) -> str | None:
    """Return what is wrong with batches made so; None if every row has the logits that it has alone.

    Rounding alone may once send a token to another expert, so a fault is one that other tokens show too.

    Args:
        make: Rows -> batch, as for training.
        model: A Hugging Face model.
        n_prompt: First tokens of each row whose logits are not looked at, but for the last of them.
    """
    return _fault(make, model, _rows(model, n_prompt)) and _fault(make, model, _rows(model, n_prompt, shift=1))


def _fault(make: "_MakeBatch", model: Any, rows: Sequence[Example]) -> str | None:
    import torch

    alone = torch.cat([_logits(model, collate([row], share_prefix=False)) for row in rows])
    try:
        together = _logits(model, make(rows))
    except _UNABLE as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'it cannot read them'}"
    off = _distance(together, alone)
    return None if off <= _TOLERANCE else f"its logits are off by {off:.1%} of their range"


def _rows(model: Any, n_prompt: int, *, shift: int = 0) -> list[Example]:
    """Return rows that begin alike and go on differently; other ones by the shift."""
    n_tokens = model.config.get_text_config().vocab_size
    alike = [(7 * place + 3 + shift) % n_tokens for place in range(_N_ALIKE)]
    return [
        Example([*alike, *((11 * place + 5 * length) % n_tokens for place in range(length - _N_ALIKE))], n_prompt, 1.0)
        for length in _LENGTHS
    ]


def _reads_ahead(model: Any) -> bool:
    """Return whether what comes later changes the logits before it."""
    row = _rows(model, 1)[0]
    whole = _logits(model, collate([row], share_prefix=False))
    cut = _logits(model, collate([row._replace(input_ids=row.input_ids[:-2])], share_prefix=False))
    return not _distance(whole[: len(cut)], cut) <= _TOLERANCE


def _logits(model: Any, batch: "dict[str, torch.Tensor]") -> "torch.Tensor":
    """Return the logits of all learnt positions, row by row."""
    import torch

    from restem.training.weighted_sft import learnt_logits

    was_training = model.training
    on_device = {name: tensor.to(model.device) for name, tensor in batch.items()}
    model.eval()  # nothing is dropped at random
    try:
        with torch.no_grad():
            return learnt_logits(model, on_device, on_device["targets"] != IGNORED, base=model).float()
    finally:
        model.train(was_training)


def _distance(actual: "torch.Tensor", expected: "torch.Tensor") -> float:
    """Return how far logits are off, as a share of the largest distance of one from the mean of its position."""
    largest = (expected - expected.mean(-1, keepdim=True)).abs().max()
    return float((actual - expected).abs().max() / largest)
