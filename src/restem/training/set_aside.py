"""Room on a training's device for the engine that measures its weights.

The engine opens the weights a second time, on the same card if there is one, and vLLM takes most of a card for its
cache. So while the reward is measured, what the trainer keeps there (weights, both moments of Adam) waits in this
machine's memory. It comes back bit for bit, to the same tensors. Imports torch in the functions that need it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def is_scarce(device: "torch.device") -> bool:
    """Return whether a device has a memory of its own, so that room can be made there."""
    return device.type != "cpu"


def tensors_of(model: Any, optimizer: Any) -> "list[torch.Tensor]":
    """Return all that a training holds between two optimizer steps; of what is divided, this process's part.

    DeepSpeed keeps its own, which is not among them.
    """
    import torch

    states = optimizer.state.values() if optimizer is not None else ()
    of_steps = [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    tensors = [*model.parameters(), *model.buffers(), *gradients, *of_steps]
    return [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors]


@contextmanager
def set_aside(tensors: "Iterable[torch.Tensor]", device: "torch.device") -> Iterator[None]:
    """Free the memory that tensors take on a device, and give them back what they held.

    They must not be used meanwhile. Views and tied weights stay what they are, because memory is what is moved.
    """
    import torch

    storages = [tensor.untyped_storage() for tensor in tensors if tensor.device.type == device.type]
    memories = {storage.data_ptr(): storage for storage in storages if storage.nbytes()}
    waiting = []
    try:
        for memory in memories.values():
            content = torch.empty(memory.nbytes(), dtype=torch.uint8).untyped_storage()
            waiting.append((memory, content.copy_(memory)))
            memory.resize_(0)
        if device.type == "cuda":
            torch.cuda.empty_cache()  # other processes see only what is given back to the driver
        yield
    finally:
        for memory, content in waiting:
            memory.resize_(content.nbytes())
            memory.copy_(content)
