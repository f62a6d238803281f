from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from restem.engines.arithmetic import arithmetic_of
from restem.errors import EmptyTrainingSetError, ParameterError, PolicyError, TrainingError
from restem.parameters import TrainingParameters
from restem.policies.base_models import prepare_base_model
from restem.policies.policy import Policy
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal
from restem.training.continuations import Continuations
from restem.training.request import TrainingResult
from restem.training.rows import IGNORED, collate, encode_example, epoch_order, shared_prefix_length
from restem.training.run import train
from restem.training.weighted_sft import WeightedSFTTrainer, learning_rate_share
from tests.builders import EXEMPLAR, SUMS, sums, training_row, weights

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tokenizer(base: Policy) -> Any:
    return AutoTokenizer.from_pretrained(base.path)


def trained(table: pd.DataFrame, base: Policy, output: Path, **changed: Any) -> TrainingResult:
    return train(
        table, base, parameters=TrainingParameters(**{"epochs": 1, "dtype": "float32", **changed}), output=output
    )


def loss_by_hand(table: pd.DataFrame, base: Policy, tokenizer: Any) -> float:
    """Return the weighted cross entropy per learnt token, one unpadded row at a time."""
    model = AutoModelForCausalLM.from_pretrained(base.path)
    total, n_learnt = 0.0, 0
    for example in table.itertuples():
        prompt = tokenizer(example.prompt)["input_ids"]
        completion = tokenizer(example.completion, add_special_tokens=False)["input_ids"]
        completion += [tokenizer.eos_token_id] if example.finish_reason == "stop" else []
        with torch.no_grad():
            log_p = model(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        for place, token in enumerate(completion):
            total -= example.weight * log_p[len(prompt) - 1 + place, token].item()
        n_learnt += len(completion)
    return total / n_learnt


@pytest.mark.parametrize("share_prefix", [False, True])
def test_learns_every_token_of_the_completion_and_none_of_the_prompt(tokenizer: Any, share_prefix: bool) -> None:
    examples = [
        encode_example(Continuations(tokenizer), "q: 1 + 2\na:", " 3", finished=True),
        encode_example(Continuations(tokenizer), "q: 11 + 2\na:", " 1", finished=False),
    ]

    batch = collate(examples, share_prefix=share_prefix)

    learnt = [targets[targets != IGNORED].tolist() for targets in batch["targets"]]
    space, one, three = (tokenizer(c, add_special_tokens=False)["input_ids"][0] for c in " 13")
    assert learnt == [[space, three, tokenizer.eos_token_id], [space, one]]
    n_shared = batch["prefix_ids"].shape[1]
    for example, targets in zip(examples, batch["targets"], strict=True):
        first = int((targets != IGNORED).nonzero()[0]) + n_shared
        assert first == example.n_prompt - 1  # the prompt's last token predicts the first of the completion


def test_a_prompt_is_encoded_with_special_tokens_unless_it_holds_its_own(tokenizer: Any) -> None:
    adds = encode_example(Continuations(tokenizer), "1", "2", finished=True)
    holds = encode_example(Continuations(tokenizer, add_special_tokens=False), "1", "2", finished=True)

    assert adds.input_ids == [tokenizer.bos_token_id, *holds.input_ids]
    assert adds.n_trained == holds.n_trained == 2  # "2" and the end


def test_the_last_token_of_a_prompt_is_never_shared(tokenizer: Any) -> None:
    write = Continuations(tokenizer)
    alike = [encode_example(write, "q: 1 + 2\na:", answer, finished=True) for answer in (" 3", " 3", " 4")]

    assert shared_prefix_length(alike) == alike[0].n_prompt - 1


def test_every_epoch_has_every_row_once_in_another_order_and_batches_are_sorted_by_length() -> None:
    lengths = [5, 9, 7, 3, 8, 6, 4]

    first, second = (epoch_order(lengths, batch_size=4, seed=0, epoch=epoch) for epoch in (0, 1))

    assert sorted(first) == sorted(second) == list(range(7))
    assert first != second
    assert [lengths[index] for index in first[:4]] == sorted((lengths[index] for index in first[:4]), reverse=True)


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_learning_rate_reaches_its_peak_and_is_never_zero(schedule: str) -> None:
    shares = [learning_rate_share(step, n_steps=20, n_warmup=2, schedule=schedule) for step in range(20)]

    assert max(shares) == shares[2] == 1.0
    assert min(shares) > 0.0


@pytest.mark.parametrize("micro_batch_size", [1, 2, 6])
def test_the_loss_is_the_weighted_cross_entropy_per_learnt_token(
    base: Policy, tokenizer: Any, tmp_path: Path, micro_batch_size: int
) -> None:
    table = sums()
    table["weight"] = [1.0, 0.5, 0.25, 1.0, 2.0, 1.0]
    table.loc[1, "finish_reason"] = "length"
    table.loc[2, "completion"] = " 4, as two and two make four"

    log = trained(table, base, tmp_path / "policy", batch_size=6, micro_batch_size=micro_batch_size).log

    assert [step["step"] for step in log] == [1]
    assert log[0]["loss"] == pytest.approx(loss_by_hand(table, base, tokenizer), abs=1e-5)


def test_accumulated_micro_batches_equal_one_batch(base: Policy, tmp_path: Path) -> None:
    table = sums()
    table.loc[2, "completion"] = " 4, as two and two make four"
    options = {"epochs": 2, "batch_size": 6, "learning_rate": 1e-3}

    whole = trained(table, base, tmp_path / "whole", micro_batch_size=6, **options)
    single = trained(table, base, tmp_path / "single", micro_batch_size=1, **options)  # shares no prefix, pads nothing

    for ours, theirs in zip(whole.log, single.log, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
    other = weights(single.folder)
    for name, tensor in weights(whole.folder).items():
        torch.testing.assert_close(tensor, other[name], atol=1e-4, rtol=0)


def test_a_last_batch_that_is_not_full_counts_its_own_tokens(base: Policy, tokenizer: Any, tmp_path: Path) -> None:
    log = trained(sums(), base, tmp_path / "policy", batch_size=4, micro_batch_size=4, learning_rate=1e-9).log

    n_learnt = [step["n_tokens_trained"] for step in log]
    mean = sum(step["loss"] * n for step, n in zip(log, n_learnt, strict=True)) / sum(n_learnt)
    assert n_learnt == [12, 6]
    assert mean == pytest.approx(loss_by_hand(sums(), base, tokenizer), abs=1e-4)


def test_packed_rows_equal_padded_ones(base: Policy, tokenizer: Any, tmp_path: Path) -> None:
    table = sums()
    table["weight"] = [1.0, 0.5, 0.25, 1.0, 2.0, 1.0]
    table.loc[2, "completion"] = " 4, as two and two make four"
    options = {"epochs": 2, "batch_size": 6, "micro_batch_size": 6, "learning_rate": 1e-3}

    packed = trained(table, base, tmp_path / "packed", packing=True, **options)
    padded = trained(table, base, tmp_path / "padded", **options)

    assert packed.log[0]["loss"] == pytest.approx(loss_by_hand(table, base, tokenizer), abs=1e-5)
    for ours, theirs in zip(packed.log, padded.log, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)
    assert packed.log[0]["n_tokens_total"] == padded.log[0]["n_tokens_total"]


def test_out_of_memory_halves_the_micro_batch_and_leaves_the_optimizer_step(
    base: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"epochs": 2, "batch_size": 6, "learning_rate": 1e-3}
    expected = trained(sums(), base, tmp_path / "expected", micro_batch_size=2, **options)
    plain_loss, widths = WeightedSFTTrainer.compute_loss, []

    def loss_in_little_memory(self: Any, model: Any, inputs: Any, **others: Any) -> torch.Tensor:
        widths.append(len(inputs["rows"]))
        if widths == [3, 3]:  # the first three rows have left their gradient
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain_loss(self, model, inputs, **others)

    monkeypatch.setattr(WeightedSFTTrainer, "compute_loss", loss_in_little_memory)
    result = trained(sums(), base, tmp_path / "policy", micro_batch_size=3, **options)

    assert widths == [3, 3, *[1] * 6, *[1] * 6]
    for ours, theirs in zip(result.log, expected.log, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-4)


def test_adapters_are_merged_into_a_plain_policy(base: Policy, tmp_path: Path) -> None:
    result = trained(sums(), base, tmp_path / "policy", epochs=3, learning_rate=1e-2, lora={"rank": 4, "alpha": 8})

    before, after = weights(base.folder), weights(result.folder)
    assert before.keys() == after.keys()
    changed = {name.split(".")[-2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    change = after["model.layers.0.mlp.up_proj.weight"] - before["model.layers.0.mlp.up_proj.weight"]
    assert torch.linalg.matrix_rank(change, rtol=1e-4) == 4
    assert result.log[-1]["loss"] < result.log[0]["loss"]


def test_adapters_for_layers_that_do_not_exist_name_those_that_do(base: Policy, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"training\.lora\.targets = \['c_attn'\] .* q_proj"):
        trained(sums(), base, tmp_path / "policy", lora={"targets": ["c_attn"]})


def test_rows_are_cut_where_that_is_allowed(base: Policy, tmp_path: Path) -> None:
    table = sums()
    table.loc[2, "completion"] = "4" * 60

    log = trained(table, base, tmp_path / "policy", max_length=40, allow_truncation=True).log

    assert log[0]["n_tokens_total"] == 40 + 5 * log_length(base)


def log_length(base: Policy) -> int:
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    return len(encode_example(Continuations(tokenizer), f"{EXEMPLAR}q: 1 + 2\na:", " 3", finished=True).input_ids)


def test_checkpointed_activations_give_the_same_loss_and_gradient(base: Policy, tmp_path: Path) -> None:
    plain = trained(sums(), base, tmp_path / "plain").log[0]
    checkpointed = trained(sums(), base, tmp_path / "checkpointed", gradient_checkpointing=True).log[0]

    assert checkpointed["loss"] == pytest.approx(plain["loss"], abs=1e-5)
    assert checkpointed["grad_norm"] == pytest.approx(plain["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_same_training_gives_the_same_bytes_whatever_was_trained_before(
    base: Policy, tmp_path: Path, dtype: str
) -> None:
    options = {"epochs": 3, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-2, "dtype": dtype}

    first = trained(sums(), base, tmp_path / "first", **options)
    torch.rand(7)
    trained(sums(), base, tmp_path / "other", seed=1, **options)
    again = trained(sums(), base, tmp_path / "again", **options)

    assert folder_fingerprint(first.folder) == folder_fingerprint(again.folder)
    assert first.log == again.log
    assert folder_fingerprint(first.folder) != folder_fingerprint(tmp_path / "other")


@pytest.mark.auto_dtype
def test_auto_is_one_arithmetic_and_gives_the_same_policy_again(base: Policy, tmp_path: Path) -> None:
    first, again = (trained(sums(), base, tmp_path / name, dtype="auto") for name in ("first", "again"))
    named = trained(sums(), base, tmp_path / "named", dtype=arithmetic_of("auto").dtype)

    assert first.dtype == again.dtype == arithmetic_of("auto").dtype
    assert folder_fingerprint(first.folder) == folder_fingerprint(again.folder) == folder_fingerprint(named.folder)


def test_bfloat16_arithmetic_leaves_float32_weights(base: Policy, tmp_path: Path) -> None:
    result = trained(sums(), base, tmp_path / "policy", dtype="bfloat16")

    assert result.dtype == "bfloat16"
    assert {tensor.dtype for tensor in weights(result.folder).values()} == {torch.float32}


def test_a_policy_has_the_files_of_its_base_and_other_weights(base: Policy, tmp_path: Path) -> None:
    folder = trained(sums(), base, tmp_path / "policy").folder

    different = {file.name for file in base.folder.iterdir() if file.read_bytes() != (folder / file.name).read_bytes()}
    assert different == {"model.safetensors"}
    assert {file.name for file in folder.iterdir()} == {file.name for file in base.folder.iterdir()}


def test_the_policy_answers_what_it_has_memorised(base: Policy, tokenizer: Any, tmp_path: Path) -> None:
    table = pd.DataFrame([training_row(f"{a}+{b}", f"{a}+{b}=", str(a + b)) for a, b in SUMS])

    folder = trained(table, base, tmp_path / "policy", epochs=60, learning_rate=1e-2).folder

    model = AutoModelForCausalLM.from_pretrained(folder)
    answers = []
    for prompt in table["prompt"]:
        ids = tokenizer(prompt, return_tensors="pt")
        answers.append(
            tokenizer.decode(model.generate(**ids, max_new_tokens=3, do_sample=False)[0, ids.input_ids.shape[1] :])
        )
    assert answers == [f"{completion}<eos>" for completion in table["completion"]]


def test_rows_that_are_too_long_stop_the_training_and_are_counted(base: Policy, tmp_path: Path) -> None:
    table = sums()
    table.loc[2, "completion"] = "4" * 60

    with pytest.raises(
        TrainingError, match=r"1 of 6 rows are longer than training.max_length = 64 .* 88 \(2\+2 sample 0"
    ):
        trained(table, base, tmp_path / "policy", max_length=64)
    assert not (tmp_path / "policy").exists()


def test_rows_longer_than_the_policys_context_stop_the_training(base: Policy, tmp_path: Path) -> None:
    table = sums()
    table.loc[0, "completion"] = "3" * 600

    with pytest.raises(TrainingError, match="the policy's context of 512 tokens"):
        trained(table, base, tmp_path / "policy")


def test_rows_with_nothing_to_learn_stop_the_training(base: Policy, tmp_path: Path) -> None:
    table = sums()
    table.loc[0, ["completion", "finish_reason"]] = ["", "length"]

    with pytest.raises(TrainingError, match=r"1 of 6 rows hold no token to learn .* 1\+2 sample 0"):
        trained(table, base, tmp_path / "policy")


def test_an_empty_training_set_is_refused(base: Policy, tmp_path: Path) -> None:
    with pytest.raises(EmptyTrainingSetError, match="no sample was good enough"):
        trained(sums().head(0), base, tmp_path / "policy")


def test_a_batch_that_micro_batches_do_not_fill_is_refused(base: Policy, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"training.batch_size must be a multiple of .* = 16, got 8"):
        trained(sums(), base, tmp_path / "policy", batch_size=8)


def test_a_base_policy_that_changed_is_refused(tmp_path: Path) -> None:
    policy = prepare_base_model("builtin:tiny", store=Journal(tmp_path / "store"))
    weights_file = policy.folder / "model.safetensors"
    content = bytearray(weights_file.read_bytes())
    content[-1] ^= 1
    weights_file.write_bytes(content)

    with pytest.raises(PolicyError, match="has changed since the experiment began"):
        trained(sums(), policy, tmp_path / "policy")


def test_an_output_that_holds_something_is_refused(base: Policy, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(TrainingError, match="holds something already"):
        trained(sums(), base, tmp_path)


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_step_and_its_rows(
    base: Policy, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"at optimizer step 2 of 3 .* 4\+5 sample 0"):
        trained(sums(), base, tmp_path / "policy", epochs=3, learning_rate=1e30)
    assert not (tmp_path / "policy").exists()
