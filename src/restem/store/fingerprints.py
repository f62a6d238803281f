"""Names for content: the same content has the same name everywhere, and another content another.

Every id in restem that is not (question_id, sample_index) is one of these.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DIGEST_CHARACTERS = 16  # 64 bits: a clash among a billion names has a chance of about 3 %

POLICY_MANIFEST = "policy.json"  # of a version of a policy
EXPORT_MANIFEST = "restem.json"  # of a policy that was handed on, with its card
CARD = "README.md"
# Files that say something about a policy without being part of it.
NOT_THE_MODEL = {POLICY_MANIFEST, EXPORT_MANIFEST, CARD, ".gitattributes"}

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_CONFIGURATION = (  # what transformers reads besides weights, at the top of the folder
    "config.json",
    "generation_config.json",
    "adapter_config.json",  # an adapter beside a whole model is loaded into it
    "adapter_model.*",
    "chat_template*",
    "additional_chat_templates/*.jinja",
    "*token*.json",  # tokenizer.json, tokenizer_config.json, special_tokens_map.json, added_tokens.json
    "vocab*",
    "merges*",
    "*.model",  # SentencePiece
    "*.spm",
    "*.tiktoken",
    "tekken.json",
    "normalizer.json",
    "dict*.txt",
    "*.codes",
    "*.py",  # code of the model's own, where it may run
)
_CLOCK_TICK_NS = 100_000_000  # more than the coarsest clock that file systems stamp files with on Linux
_known: dict[tuple[Any, ...], str] = {}  # fingerprints of files, by what would change with their content


def fingerprint(value: Any) -> str:
    """Return the 16 hexadecimal characters that name a JSON-like value.

    Args:
        value: Nested dicts, lists, numpy's arrays as lists, strings, numbers, booleans and None.

    Raises:
        TypeError: If the value holds anything else.
    """
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_as_list)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]


def _as_list(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        raise TypeError(f"{type(value).__name__} has no fingerprint")
    return value.tolist()


def question_seed(experiment_seed: int, *parts: object) -> int:
    """Return the 63-bit seed that all samples of one question draw from.

    A sample's random numbers depend on this seed, its index and the token position only: not on
    batch order, worker count or restarts.

    Args:
        experiment_seed: `em.seed`.
        parts: What else separates one draw from another: purpose, iteration, question_id.
    """
    named = "\x1f".join([str(experiment_seed), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(named.encode()).digest()[:8], "big") >> 1


def file_fingerprints(files: Iterable[Path]) -> list[str]:
    """Return the fingerprints of files, in order."""
    return [file_fingerprint(file) for file in files]


def file_fingerprint(file: Path) -> str:
    """Return the name of a file's content; a file that did not change is read once in a process."""
    identity = _identity(file)
    known = _known.get(identity)
    if known is not None:
        return known
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:DIGEST_CHARACTERS]
    # A file written anew within a tick of the file system's clock could look the same.
    if time.time_ns() - identity[-1] > _CLOCK_TICK_NS:
        _known[identity] = digest
    return digest


def _identity(file: Path) -> tuple[Any, ...]:
    """Return what another content of the file would change, the time of the change last; hard links share it.

    A tool can set the time of modification back (rsync, cp -p, an image that is restored), but not that of the inode.
    """
    state = file.stat()
    if isinstance(file, Path):
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
    return str(file), state.st_size, int(state.st_mtime * 1e9)  # in an object store


def folder_fingerprint(folder: Path) -> str:
    """Return the name of what a policy is made of; see `model_files`. Reads every byte once (about 1 GB/s)."""
    digest = hashlib.sha256()
    for file in model_files(folder):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file_fingerprint(file)}\n".encode())
    return digest.hexdigest()[:DIGEST_CHARACTERS]


def model_files(folder: Path) -> list[Path]:
    """Return the files that loading a policy reads: the weights, the configurations, the tokenizer, its templates.

    Cards, licences, other formats of the same weights and what tools keep in the folder do not count, so that a
    fuller download of the same model is the same model.
    """
    texts = {
        file for pattern in _CONFIGURATION for file in folder.glob(pattern) if file.is_file() and not _is_hidden(file)
    }
    return sorted({*texts, *_weight_files(folder)})


def _is_hidden(file: Path) -> bool:
    return file.name.startswith(".")


def _weight_files(folder: Path) -> list[Path]:
    """Return the weights that are loaded: safetensors before pickles, one file before many, as transformers does."""
    for single in _WEIGHTS:
        index = folder / f"{single}.index.json"
        if (folder / single).is_file():
            return [folder / single]
        if index.is_file():
            return [index, *(file for file in _indexed(index) if file.is_file())]
    return []


def _indexed(index: Path) -> set[Path]:
    """Return the files that an index names; none if it is damaged, which its own fingerprint tells."""
    try:
        return {index.parent / name for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
    except (ValueError, KeyError, AttributeError, TypeError):
        return set()
