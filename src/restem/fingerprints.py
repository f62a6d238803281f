"""Names for content: the same content has the same name everywhere, and another content another.

Every id in restem that is not (question_id, sample_index) is one of these.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DIGEST_CHARACTERS = 16  # 64 bits: a clash among a billion names has a chance of about 3 %

# Files that say something about a policy without being part of it.
NOT_THE_MODEL = {"policy.json", "restem.json", "README.md", ".gitattributes"}


def fingerprint(value: Any) -> str:
    """Return the 16 hexadecimal characters that name a JSON-like value.

    Args:
        value: Nested dicts, lists, strings, numbers, booleans and None.

    Raises:
        TypeError: If the value holds anything else.
    """
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST_CHARACTERS]


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
    """Return the name of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGEST_CHARACTERS]


def folder_fingerprint(folder: Path) -> str:
    """Return the name of what a model folder holds: weights, configuration and tokenizer.

    Cards and manifests do not count. Reads every byte once (about 1 GB/s).
    """
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.name in NOT_THE_MODEL:
            continue
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file_fingerprint(file)}\n".encode())
    return digest.hexdigest()[:DIGEST_CHARACTERS]
