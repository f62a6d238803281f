"""Whether the code that some model folders bring along may run: never, unless `policy.run_code_from_model_folder`.

The answer is in an environment variable, so that the processes that a run starts know it too. A run sets it either way
from its parameters; what stood in the variable before counts only where there is no run.
"""

import os
import re
from pathlib import Path
from typing import Any

from restem import suggestions
from restem.errors import PolicyError

PARAMETER = "policy.run_code_from_model_folder"
_VARIABLE = "RESTEM_RUN_CODE_FROM_MODEL_FOLDER"
# Pickles, and what transformers and PEFT read in their place if it is there.
_PICKLES = {
    "pytorch_model*.bin": ("model.safetensors", "model.safetensors.index.json"),
    "adapter_model*.bin": ("adapter_model.safetensors",),
}


def allow_model_code(allowed: bool) -> None:
    """Say for this process, and those that it starts, whether code of model folders may run."""
    os.environ[_VARIABLE] = "1" if allowed else "0"


def from_folder() -> dict[str, Any]:
    """Return how every from_pretrained of a policy is called: it fetches nothing, asks nothing, runs nothing unsaid."""
    return {"local_files_only": True, "trust_remote_code": may_run_model_code()}


def may_run_model_code() -> bool:
    """Return whether it was allowed."""
    return os.environ.get(_VARIABLE) == "1"


def wants_code(error: Exception) -> bool:
    """Return whether loading failed because the folder's own code was not run."""
    return "trust_remote_code" in str(error)


def refusal(subject: str) -> PolicyError:
    """Return the error about a folder whose code would have to run.

    Args:
        subject: What names the folder, as the beginning of a sentence.
    """
    return PolicyError(
        f"{subject} needs Python code of its own to be loaded, which would run with your rights and see your keys. "
        f"Read the .py files there; if you trust whoever wrote them: {suggestions.same_run({PARAMETER: True})}"
    )


def refuse_code_in_pickles(folder: Path, subject: str) -> None:
    """Raise if weights that would be read are pickles that hold more than tensors; safetensors cannot.

    Args:
        folder: Of the model.
        subject: What names the folder, as the beginning of a sentence.

    Raises:
        PolicyError: With the file.
    """
    files = [
        file
        for pattern, instead in _PICKLES.items()
        if not any((folder / name).is_file() for name in instead)
        for file in sorted(folder.glob(pattern))
    ]
    if not files:
        return
    import pickle

    import torch

    for file in files:
        try:
            torch.load(file, map_location="meta", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise PolicyError(
                f"{subject} has weights in {file.name} that are no plain tensors ({_reason(error)}): "
                "such a file can run code when it is read. Use a folder with model.safetensors"
            ) from error


def _reason(error: Exception) -> str:
    """Return why a pickle is refused; torch's own words go on to say how to run it all the same."""
    called = re.search(r"GLOBAL (\S+)", str(error))
    return f"it calls {called[1]}" if called else type(error).__name__
