"""Whole folders, versioned: a version is there entirely, with its manifest, or not at all."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from restem.journal import link_or_copy


def publish(folder: Path, files: dict[str, Path], manifest: str, content: dict[str, Any]) -> None:
    """Make the folder from existing files, in one rename.

    Files are hard-linked where the file system can, so a journal and a version share their bytes.

    Args:
        folder: The version's folder; must not exist.
        files: Relative name in the folder -> existing file.
        manifest: File name for `content` as JSON.
        content: What the folder says about itself.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, source in files.items():
        target = partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(source.resolve(), target)
    with (partial / manifest).open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(folder)


def whole_when(manifest: str) -> Callable[[str], bool]:
    """Return the test for a published folder: its manifest is there."""
    return lambda folder: (Path(folder) / manifest).is_file()
