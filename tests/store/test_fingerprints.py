"""A policy is what loading it reads: nothing else changes its name, and all of that does."""

import json
import shutil
from pathlib import Path

import pytest

from restem.policies.tiny_model import write_tiny_model
from restem.store.fingerprints import folder_fingerprint


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


@pytest.mark.parametrize(
    "file",
    ["LICENSE", "README.md", "onnx/model.onnx", "original/consolidated.00.pth", "pytorch_model.bin", ".cache/lock",
     ".gitattributes", "figures/curve.png", "USE_POLICY.txt"],
)  # fmt: skip
def test_a_fuller_download_of_the_same_model_is_the_same_model(model: Path, copy: Path, file: str) -> None:
    (copy / file).parent.mkdir(parents=True, exist_ok=True)
    (copy / file).write_bytes(b"what a snapshot of the hub holds besides")

    assert folder_fingerprint(copy) == folder_fingerprint(model)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors", "tokenizer_config.json"])
def test_what_loading_reads_makes_it_another_model(model: Path, copy: Path, file: str) -> None:
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)

    assert folder_fingerprint(copy) != folder_fingerprint(model)


@pytest.mark.parametrize("file", ["generation_config.json", "chat_template.jinja", "modeling_own.py"])
def test_what_loading_would_read_makes_it_another_model(model: Path, copy: Path, file: str) -> None:
    (copy / file).write_text(json.dumps({"temperature": 0.5}), encoding="utf-8")

    assert folder_fingerprint(copy) != folder_fingerprint(model)
