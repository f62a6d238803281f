"""A policy folder -> a model that can be sampled from."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from restem.engines.arithmetic import arithmetic_of, fastest_device
from restem.engines.context import context_window
from restem.engines.model_code import from_folder, refusal, wants_code
from restem.engines.texts import end_tokens
from restem.errors import EngineError, PolicyError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class LoadedPolicy(NamedTuple):
    """A model in memory."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    eos: frozenset[int]
    context_window: int | None  # tokens; None if there is no limit


def load_policy(policy_path: str | Path, *, dtype: str, device: str) -> LoadedPolicy:
    """Return the policy, ready for inference. Nothing is fetched.

    Raises:
        PolicyError: If the folder lacks something, or what it holds cannot be read.
    """
    folder = Path(policy_path)
    if not (folder / "config.json").is_file():
        raise PolicyError(f"{folder} holds no policy: there is no config.json in it")
    tokenizer = load_tokenizer(folder)
    model = _load_model(folder, dtype, device)
    eos = end_tokens(tokenizer, model.generation_config, model.config.get_text_config())
    if not eos:
        raise PolicyError(
            f"the policy in {folder} has no end-of-sequence token, so no completion could end; "
            "set eos_token_id in its generation_config.json"
        )
    return LoadedPolicy(model, tokenizer, eos, context_window(model.config))


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """Return the tokenizer of a policy.

    Raises:
        PolicyError: If there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        raise PolicyError(f"the policy in {folder} has no tokenizer: there is no tokenizer.json in it")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **from_folder())
    except Exception as error:  # whatever a broken file makes the libraries raise
        if wants_code(error):
            raise refusal(f"the tokenizer in {folder}") from error
        raise PolicyError(f"the tokenizer in {folder} cannot be read: {error}") from error
    return tokenizer


def _load_model(folder: Path, dtype: str, device: str) -> "PreTrainedModel":
    import torch

    chosen = getattr(torch, arithmetic_of(dtype, device).dtype)
    return read_model(folder, chosen).to(device).eval().requires_grad_(False)


def read_model(folder: Path, dtype: "torch.dtype") -> "PreTrainedModel":
    """Return a policy's model, with all its weights in one type, in the memory of this machine.

    Raises:
        PolicyError: If it is no causal language model, or cannot be read whole.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with quiet():
            config = AutoConfig.from_pretrained(folder, **from_folder())
            if config.is_encoder_decoder:
                # transformers would read the decoder alone of some, which makes no sense by itself
                raise PolicyError(
                    f"the model in {folder} is an encoder with a decoder ({config.model_type}); restem samples from "
                    "and trains causal language models: take a decoder-only policy.model"
                )
            model, report = AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype, **from_folder(), output_loading_info=True
            )
    except (PolicyError, torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # whatever a broken file makes the libraries raise
        if wants_code(error):
            raise refusal(f"the model in {folder}") from error
        raise PolicyError(f"the model in {folder} cannot be read: {error}") from error
    if report["missing_keys"]:
        # transformers would go on with random numbers in their place
        raise PolicyError(f"the model in {folder} lacks {', '.join(sorted(report['missing_keys']))}")
    result: PreTrainedModel = model
    return result


def choose_device(device: str | None) -> str:
    """Return the device to run on: the one asked for, or the fastest there is."""
    import torch

    if device is None:
        return fastest_device()
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"the device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back transformers' progress bars and load reports, which are no news to a user of restem."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with without_progress_bars():
            yield
    finally:
        logging.set_verbosity(verbosity)


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Hold back transformers' progress bars of loading and saving weights, which take a second."""
    from transformers.utils import logging

    were_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            logging.enable_progress_bar()
