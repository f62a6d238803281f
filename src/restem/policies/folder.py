"""Trained weights -> a policy folder, and what to say when the disk has no room for it.

Imports torch in the functions that need it.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restem import suggestions
from restem.engines.model_code import from_folder
from restem.errors import TrainingError
from restem.store.fingerprints import NOT_THE_MODEL

if TYPE_CHECKING:
    import torch

_WEIGHTS = (".safetensors", ".bin", ".index.json")


def holds_weights(file: Path) -> bool:
    """Return whether a file of a model folder is weights, or says which file holds which."""
    return file.name.endswith(_WEIGHTS)


def save_policy(model: Any, weights: "Mapping[str, torch.Tensor]", base: Path, output: Path) -> None:
    """Write trained weights in the base policy's type; all other files are the base policy's own.

    The trainer changes configurations to its taste (cache, special tokens); none of that is learnt.

    Args:
        model: The Hugging Face model that the weights are of, without wrappers.
        weights: By name; any floating-point type.
        base: Folder of the base policy.
        output: The new folder.

    Raises:
        TrainingError: If it cannot be written.
    """
    import torch
    from transformers import AutoConfig

    dtype = AutoConfig.from_pretrained(base, **from_folder()).dtype or torch.float32
    others = [
        file for file in base.iterdir() if file.is_file() and file.name not in NOT_THE_MODEL and not holds_weights(file)
    ]
    n_bytes = sum(tensor.numel() for tensor in weights.values()) * dtype.itemsize
    with saving(output, n_bytes=n_bytes):
        model.save_pretrained(output, state_dict=_as_type(weights, dtype))
        for file in others:
            shutil.copyfile(file, output / file.name)


@contextmanager
def saving(folder: Path, *, n_bytes: int) -> Iterator[None]:
    """Say in one sentence that a save failed, and why; a full disk is noticed before anything is written.

    Args:
        folder: That is written.
        n_bytes: That it will take, about.

    Raises:
        TrainingError: If it cannot be written.
    """
    from safetensors import SafetensorError

    free = shutil.disk_usage(_existing(folder)).free
    if free < n_bytes:
        raise TrainingError(
            f"{folder} takes about {n_bytes / 1e6:,.0f} MB, and the disk has {free / 1e6:,.0f} MB left; make room "
            f"({suggestions.restem('journal', of='project')} shows what can go), "
            "then run again: training goes on from its last checkpoint"
        )
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:  # torch raises RuntimeError for a failed write
        raise TrainingError(
            f"{folder} could not be written: {error}; nothing unfinished is ever used. Mend that, then run again: "
            "training goes on from its last checkpoint"
        ) from error


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.absolute().parents] if path.exists())


def _as_type(weights: "Mapping[str, torch.Tensor]", dtype: "torch.dtype") -> "dict[str, torch.Tensor]":
    """Return the weights in another type; tensors that were one stay one, so that tied weights are saved once."""
    converted: dict[Any, torch.Tensor] = {}
    result = {}
    for name, tensor in weights.items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride())
        if place not in converted:
            converted[place] = tensor.detach().to(dtype) if tensor.is_floating_point() else tensor
        result[name] = converted[place]
    return result
