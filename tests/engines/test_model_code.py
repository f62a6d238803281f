"""Model folders that bring Python code along: it runs where a parameter says so, and nowhere else."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from restem.engines import open_engine
from restem.engines.model_code import allow_model_code, may_run_model_code
from restem.errors import EngineError, PolicyError
from restem.parameters import PromptParameters
from restem.planning.cost import count_prompt_tokens
from restem.policies.base_models import prepare_base_model
from restem.policies.policy import Policy
from restem.policies.tiny_model import write_tiny_model
from restem.sampling.prompts import render_prompts
from restem.store.journal import Journal
from tests.builders import questions

CODE = """
import pathlib
pathlib.Path({marker!r}).touch()
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class OwnConfig(LlamaConfig):
    model_type = "own_model"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESTEM_RUN_CODE_FROM_MODEL_FOLDER", "")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    write_tiny_model(made)
    return made


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def changed(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def code_of_the_model(folder: Path, marker: Path) -> None:
    (folder / "own_code.py").write_text(CODE.format(marker=str(marker)))
    classes = {"AutoConfig": "own_code.OwnConfig", "AutoModelForCausalLM": "own_code.OwnModel"}
    changed(folder / "config.json", model_type="own_model", architectures=["OwnModel"], auto_map=classes)


def code_of_the_tokenizer(folder: Path, marker: Path) -> None:
    (folder / "own_code.py").write_text(CODE.format(marker=str(marker)))
    classes = {"AutoTokenizer": [None, "own_code.OwnTokenizer"]}
    changed(folder / "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map=classes)


def sampled(folder: Path) -> None:
    with open_engine("transformers", folder, dtype="float32", device="cpu") as engine:
        list(engine.sample(["1 + 1 ="], n=1, max_new_tokens=1))


def policy_of(folder: Path) -> Policy:
    return Policy(path=folder.as_posix(), fingerprint="p", iteration=0, name="own", base="p")


ZERO_SHOT = PromptParameters(style="zero_shot")
USES: dict[str, Callable[[Path], object]] = {
    "prepare": lambda folder: prepare_base_model(str(folder), store=Journal(folder.parent / "store")),
    "sample": sampled,
    "prompts": lambda folder: render_prompts(
        questions("train"), policy_of(folder), PromptParameters(style="zero_shot")
    ),
    "cost": lambda folder: count_prompt_tokens(["1"], policy_of(folder), add_special_tokens=True),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("bring", [code_of_the_model, code_of_the_tokenizer])
def test_code_of_a_model_folder_does_not_run(
    use: str, bring: Callable[[Path, Path], None], folder: Path, marker: Path
) -> None:
    bring(folder, marker)
    try:
        USES[use](folder)
    except PolicyError as error:
        assert "policy.run_code_from_model_folder=true" in str(error)
    except ValueError as error:
        assert use not in {"prepare", "sample"}
        assert "trust_remote_code" in str(error)
    else:
        assert (use, bring) == ("cost", code_of_the_model)  # which reads the tokenizer alone

    assert not marker.exists()


@pytest.mark.slow
def test_nobody_is_asked_and_yes_is_no_answer(folder: Path, marker: Path) -> None:
    code_of_the_model(folder, marker)
    program = (
        "import sys; from pathlib import Path; from restem.policies.base_models import prepare_base_model; "
        "from restem.store.journal import Journal; prepare_base_model(sys.argv[1], store=Journal(Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", program, str(folder), str(folder.parent / "store")]
    done = subprocess.run(command, input="y\n" * 99, capture_output=True, text=True, check=False, env=dict(os.environ))

    assert "[y/N]" not in done.stdout + done.stderr
    assert "policy.run_code_from_model_folder=true" in done.stderr
    assert not marker.exists()


@pytest.mark.parametrize("bring", [code_of_the_model, code_of_the_tokenizer])
def test_code_of_a_model_folder_runs_where_the_parameter_says_so(
    bring: Callable[[Path, Path], None], folder: Path, marker: Path
) -> None:
    bring(folder, marker)
    allow_model_code(True)
    prepare_base_model(str(folder), store=Journal(folder.parent / "store"))
    sampled(folder)

    assert marker.exists()


def test_code_that_a_folder_names_and_nothing_needs_is_no_obstacle(folder: Path, marker: Path) -> None:
    (folder / "own_code.py").write_text(CODE.format(marker=str(marker)))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(CODE.format(marker=str(marker)))
    changed(folder / "config.json", auto_map={"AutoModelForCausalLM": "own_code.OwnModel"})
    sampled(folder)

    assert not marker.exists()


class Malice:
    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> object:
        return os.system, (f"touch {self._marker}",)


def hostile(file: Path, marker: Path) -> None:
    file.write_bytes(pickle.dumps({"lm_head.weight": Malice(marker)}, protocol=2))


@pytest.mark.parametrize("beside", ["", "adapter_model.safetensors", "other.safetensors"])
def test_weights_that_are_a_program_are_refused_unread(beside: str, folder: Path, marker: Path) -> None:
    weights = folder / "model.safetensors"
    weights.rename(folder / beside) if beside else weights.unlink()
    hostile(folder / "pytorch_model.bin", marker)

    with pytest.raises(
        PolicyError, match=r"pytorch_model\.bin that are no plain tensors \(it calls .*system\).*safetensors"
    ):
        USES["prepare"](folder)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"no weights at all", pickle.dumps([])])
def test_weights_that_cannot_be_read_are_named(content: bytes, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)

    with pytest.raises(PolicyError, match=r"pytorch_model\.bin that are no plain tensors"):
        USES["prepare"](folder)


def test_adapter_that_is_a_program_is_refused_unread(folder: Path, marker: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    hostile(folder / "adapter_model.bin", marker)

    with pytest.raises(PolicyError, match=r"adapter_model\.bin that are no plain tensors"):
        USES["prepare"](folder)
    assert not marker.exists()


# What lies about in folders that trainers wrote.
LEFT_BY_TRAINERS = (
    "pytorch_model.bin",
    "training_args.bin",
    "optimizer.pt",
    "scheduler.pt",
    "rng_state.pth",
    "data.pkl",
)


@pytest.mark.parametrize("use", USES)
def test_pickles_that_nothing_needs_are_not_read(use: str, folder: Path, marker: Path) -> None:
    for name in LEFT_BY_TRAINERS:
        hostile(folder / name, marker)
    USES[use](folder)

    assert not marker.exists()


def test_a_hostile_pickle_does_what_it_says_where_it_is_read(marker: Path, tmp_path: Path) -> None:
    hostile(tmp_path / "weights.bin", marker)
    pickle.loads((tmp_path / "weights.bin").read_bytes())

    assert marker.exists()


def test_pickled_tensors_are_weights_like_others(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")

    USES["prepare"](folder)
    sampled(folder)


def test_vllm_takes_the_same_parameter_and_no_other(folder: Path) -> None:
    asked = open_engine("vllm", folder, args={"trust_remote_code": True})
    with pytest.raises(EngineError, match=r"set policy\.run_code_from_model_folder"), asked:
        pass


def test_a_run_says_either_way_whatever_stood_in_the_environment() -> None:
    allow_model_code(True)
    assert may_run_model_code()
    allow_model_code(False)
    assert not may_run_model_code()
