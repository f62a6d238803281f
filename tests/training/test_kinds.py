"""Models of many kinds: each learns what it is to learn, however rows are batched, or says that it cannot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from restem.errors import PolicyError, TrainingError
from restem.parameters import TrainingParameters
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, write_shard
from restem.training.gate import PASSED
from restem.training.m_step import MStep, train_policy
from restem.training.probe import refuse_unless_trainable, why_no_prefixes_are_shared
from restem.training.request import TrainingResult
from restem.training.rows import IGNORED, Example, collate, pack
from restem.training.run import train
from restem.training.weighted_sft import learnt_logits
from tests.tiny_models import config_of, tiny_model, write_tiny_policy

pytestmark = pytest.mark.usefixtures("one_thread")

KINDS = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "cohere", "granite", "phi", "olmo2"]
OTHERS = ["gpt2", "gpt_neox", "opt", "bloom", "falcon", "mpt", "mamba", "lfm2", "rwkv"]
EXPERTS = ["mixtral", "qwen3_moe", "olmoe"]
READ_ON = ["falcon", "bloom", "mpt", "opt", "lfm2", "mamba", "rwkv", "qwen3_next", "gpt_oss"]
ALIKE = list(range(5, 17))
ROWS = [
    Example([*ALIKE, 20, 21, 22], 12, 1.0),
    Example([*ALIKE[:10], 30, 31, 32, 33], 11, 0.5),
    Example([*ALIKE, 40], 12, 1.0),
]


def of_each_alone(model: Any) -> torch.Tensor:
    """Return the model's own logits where something is learnt, a row at a time."""
    found = [model(torch.tensor([row.input_ids])).logits[0, row.n_prompt - 1 : -1] for row in ROWS]
    return torch.cat(found)


@pytest.mark.parametrize("kind", [*KINDS, *OTHERS, *EXPERTS, "qwen3_next", "gpt_oss"])
def test_what_is_learnt_from_is_the_models_own_logits(kind: str) -> None:
    model = tiny_model(kind)
    ways = {"padded": collate(ROWS, share_prefix=False)}
    if not why_no_prefixes_are_shared(model):
        ways["shared"] = collate(ROWS, share_prefix=True)
    if kind not in READ_ON:
        ways["packed"] = pack(ROWS)

    with torch.no_grad():
        expected = of_each_alone(model)
        for name, batch in ways.items():
            found = learnt_logits(model, batch, batch["targets"] != IGNORED, base=model)
            torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("kind", READ_ON)
def test_packing_is_refused_where_a_row_reads_the_one_before(kind: str) -> None:
    model = tiny_model(kind)

    refuse_unless_trainable(model, packing=False, micro_batch_size=4)
    refuse_unless_trainable(model, packing=True, micro_batch_size=1)  # one row has none before it
    with pytest.raises(TrainingError, match=r"training\.packing = true .* training\.packing=false"):
        refuse_unless_trainable(model, packing=True, micro_batch_size=4)


@pytest.mark.parametrize("kind", sorted({*KINDS, *OTHERS, *EXPERTS} - {*READ_ON}))
def test_packing_is_had_where_rows_are_kept_apart(kind: str) -> None:
    refuse_unless_trainable(tiny_model(kind), packing=True, micro_batch_size=4)


def test_prefixes_are_shared_by_what_a_model_does_and_not_by_what_it_declares() -> None:
    shared = [kind for kind in [*KINDS, *OTHERS, *EXPERTS] if not why_no_prefixes_are_shared(tiny_model(kind))]

    # Windows and states forget; RWKV declares a memory of keys and values, and has none.
    assert {*KINDS, *OTHERS, *EXPERTS} - {*shared} == {"mistral", "gemma2", "gemma3_text", "mamba", "lfm2", "rwkv"}
    assert "gives other logits" in str(why_no_prefixes_are_shared(tiny_model("rwkv")))


def test_a_model_that_reads_what_it_is_to_predict_is_refused() -> None:
    with pytest.raises(TrainingError, match="BertLMHeadModel reads the tokens that it is to predict"):
        refuse_unless_trainable(tiny_model("bert"), packing=False, micro_batch_size=1)


def test_a_model_whose_rows_depend_on_their_neighbours_trains_one_at_a_time() -> None:
    model = tiny_model("llama")
    model.get_input_embeddings().register_forward_hook(lambda _, __, found: found * (1 + 0.1 * (len(found) > 1)))

    refuse_unless_trainable(model, packing=False, micro_batch_size=1)
    with pytest.raises(TrainingError, match=r"Set training\.micro_batch_size=1"):
        refuse_unless_trainable(model, packing=False, micro_batch_size=2)


def sums() -> pd.DataFrame:
    usual = {"policy_id": "p", "sample_index": 0, "finish_reason": "stop", "weight": 1.0, "rank": 1}
    pairs = [(1, 2), (3, 4), (2, 2), (1, 6), (5, 3), (4, 5)]
    rows = [
        {"question_id": f"{a}+{b}", "prompt": f"q: 2 + 5\na: 7\n\nq: {a} + {b}\na:", "completion": f" {a + b}"}
        for a, b in pairs
    ]
    return pd.DataFrame([usual | row for row in rows])


def parameters(**changed: Any) -> TrainingParameters:
    usual = {"epochs": 3, "batch_size": 6, "micro_batch_size": 3, "learning_rate": 3e-3, "dtype": "float32"}
    return TrainingParameters(**usual | {"eval_every": None} | changed)


def trained(kind: str, folder: Path, *, of_model: dict[str, Any], **changed: Any) -> TrainingResult:
    base = write_tiny_policy(folder / "base", kind, **of_model)
    return train(sums(), base, parameters=parameters(**changed), output=folder / "policy")


def likelihood_of_sums(folder: Path) -> float:
    """Return the negative log-likelihood per learnt token, a row at a time."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    losses = []
    for row in sums().itertuples():
        prompt, completion = tokenizer(row.prompt)["input_ids"], tokenizer(row.completion, add_special_tokens=False)
        learnt = [*completion["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *learnt]])).logits[0, len(prompt) - 1 : -1]
        losses += torch.nn.functional.cross_entropy(logits, torch.tensor(learnt), reduction="none").tolist()
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("kind", "of_model", "changed"),
    [
        ("mixtral", {}, {}),
        ("qwen3_moe", {"output_router_logits": True}, {"gradient_checkpointing": True}),
        ("olmoe", {}, {"packing": True}),
        ("mixtral", {}, {"lora": {"rank": 4}, "learning_rate": 3e-2}),
    ],
)
def test_a_mixture_of_experts_learns(
    kind: str, of_model: dict[str, Any], changed: dict[str, Any], tmp_path: Path
) -> None:
    result = trained(kind, tmp_path, of_model=of_model, **changed)

    losses = [step["loss"] for step in result.log]
    assert losses[-1] < losses[0] - 0.1
    assert losses[0] == pytest.approx(likelihood_of_sums(tmp_path / "base"), abs=1e-4)  # nothing balances the experts
    before, after = (AutoModelForCausalLM.from_pretrained(tmp_path / name).state_dict() for name in ("base", "policy"))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before if "experts" in name)


def test_packing_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"training\.packing = true cannot be had for FalconForCausalLM"):
        trained("falcon", tmp_path, of_model={}, packing=True)

    assert not (tmp_path / "policy").exists()


def test_a_policys_record_says_why_no_prefix_was_shared(tmp_path: Path) -> None:
    base = write_tiny_policy(tmp_path / "base", "mistral")
    gate = pd.DataFrame([{"check": "any", "outcome": PASSED, "found": ""}])
    write_shard(sums(), tmp_path / "rows.parquet")
    rows = ShardedTable([tmp_path / "rows.parquet"])

    def made() -> Any:
        step = MStep(
            base_policy=base, parent=base, training=parameters(epochs=1), validation=None, add_special_tokens=True
        )
        return train_policy(rows, gate, step, journal=Journal(tmp_path / "journal"))[0].made_with

    first, from_the_journal = made(), made()
    assert [note.partition(": MistralForCausalLM ")[1:] for note in first["notes"]] != [("", "")]
    assert first == from_the_journal


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_an_encoder_with_a_decoder_is_refused(kind: str, tmp_path: Path) -> None:
    base = write_tiny_policy(tmp_path / "base", "llama")
    config_of(kind).save_pretrained(base.folder)
    base = replace(base, fingerprint=folder_fingerprint(base.folder))

    with pytest.raises(PolicyError, match="is an encoder with a decoder"):
        train(sums(), base, parameters=parameters(), output=tmp_path / "policy")
