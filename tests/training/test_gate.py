import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from transformers import AutoTokenizer

from restem.errors import TrainingError
from restem.parameters import TrainingParameters
from restem.policies.policy import Policy
from restem.training import batches
from restem.training.continuations import Continuations
from restem.training.gate import check_training_set, refuse_unless_passed
from restem.training.launch import launch_of
from restem.training.request import TrainingRequest
from restem.training.rows import encode_rows
from restem.training.setup import set_up
from restem.training.workplace import Workplace
from tests.tiny_tokenizers import made

ASKED = {f"q{n}": f"{n} + {n}" for n in range(4)}
SPLITS = {"q0": "train", "q1": "train", "q2": "test", "q3": "exemplar"}
PROMPTS = {name: f"q: {text}\na:" for name, text in ASKED.items()}


def row(question_id: str, completion: str = " 2", **changed: Any) -> dict[str, Any]:
    usual = {"policy_id": "p", "sample_index": 0, "finish_reason": "stop", "weight": 1.0, "rank": 1}
    return {**usual, "question_id": question_id, "prompt": PROMPTS[question_id], "completion": completion, **changed}


def questions(**texts: str) -> pd.DataFrame:
    names = list(ASKED)
    return pd.DataFrame(
        {
            "question_id": names,
            "text": [texts.get(name, ASKED[name]) for name in names],
            "level": ["1", "2", "1", "1"],
            "split": [SPLITS[name] for name in names],
        }
    )


def checked(base: Policy, *rows: dict[str, Any], asked: pd.DataFrame | None = None, **changed: Any) -> pd.DataFrame:
    return check_training_set(
        pd.DataFrame(rows),
        questions() if asked is None else asked,
        pd.DataFrame({"question_id": list(PROMPTS), "prompt": list(PROMPTS.values())}),
        base,
        parameters=TrainingParameters(**changed),
        add_special_tokens=True,
    )


def failed(gate: pd.DataFrame) -> list[str]:
    return list(gate.loc[gate["outcome"] == "failed", "check"])


def found(gate: pd.DataFrame, check: str) -> str:
    (text,) = gate.loc[gate["check"] == check, "found"]
    return str(text)


def test_a_sound_training_set_passes_and_its_numbers_are_noted(base: Policy) -> None:
    gate = checked(base, row("q0"), row("q0", sample_index=1), row("q1", " 13", finish_reason="length"))

    refuse_unless_passed(gate)
    assert failed(gate) == []
    assert found(gate, "rows of level 1") == "2 (66.7%)"
    assert found(gate, "rows of level 2") == "1 (33.3%)"
    assert found(gate, "largest share of one question") == "66.7% (q0)"
    assert found(gate, "rows that repeat a completion of their question") == "1 (33.3%)"
    assert found(gate, "tokens learnt per row") == "3 to 3, median 3, 9 in all"


def test_the_texts_shown_are_what_the_tokens_say(base: Policy) -> None:
    gate = checked(base, row("q0", " 7"), row("q1", " 13", finish_reason="length"))

    assert found(gate, "text of q0 sample 0: read").endswith(PROMPTS["q0"])
    assert found(gate, "text of q0 sample 0: learnt") == " 7<eos>"
    assert found(gate, "text of q1 sample 0: learnt") == " 13"


@pytest.mark.parametrize("question_id", ["q2", "q3"])
def test_a_row_of_a_question_that_is_not_for_training_fails(base: Policy, question_id: str) -> None:
    assert "every row's question is a training question" in failed(checked(base, row("q0"), row(question_id)))


def test_a_training_question_that_is_asked_in_test_under_another_name_fails(base: Policy) -> None:
    gate = checked(base, row("q0"), row("q1"), asked=questions(q2=ASKED["q1"]))

    assert failed(gate) == ["no row's question is asked in validation, test or exemplars"]
    with pytest.raises(TrainingError, match=r"not so for 1 of 2 rows: q1 sample 0"):
        refuse_unless_passed(gate)


def test_the_same_words_after_other_turns_of_a_chat_are_another_question(base: Policy) -> None:
    turns = [json.dumps([{"role": "user", "content": f"Think of {n}."}]) for n in (0, 1, 2, 3)]
    same = questions(**dict.fromkeys(ASKED, "Double it."))

    assert failed(checked(base, row("q0"), asked=same.assign(context=turns))) == []
    repeated = same.assign(context=[turns[2], *turns[1:]])
    assert failed(checked(base, row("q0"), asked=repeated)) == [
        "no row's question is asked in validation, test or exemplars"
    ]


def test_a_prompt_that_was_not_sampled_with_fails(base: Policy) -> None:
    gate = checked(base, row("q0", prompt="Q: 0 + 0\nA:"))

    assert failed(gate) == ["every prompt is the one that was sampled with"]


def test_the_same_sample_twice_fails(base: Policy) -> None:
    assert failed(checked(base, row("q0"), row("q0"))) == ["no sample is there twice"]


def test_a_row_that_is_too_long_fails_unless_truncation_is_allowed(base: Policy) -> None:
    rows = row("q0"), row("q1", "1" * 60)

    assert failed(checked(base, *rows, max_length=40)) == ["no row is longer than 40 tokens"]
    allowed = checked(base, *rows, max_length=40, allow_truncation=True)
    assert found(allowed, "no row is longer than 40 tokens") == "1 of 2 rows are truncated, as allowed"


def test_a_tokenizer_without_the_policys_end_fails(base: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    import restem.training.gate as gate_module

    without_end = gate_module.encode_rows

    def forgets_the_end(*arguments: Any, **named: Any) -> Any:
        return [example._replace(input_ids=example.input_ids[:-1]) for example in without_end(*arguments, **named)]

    monkeypatch.setattr(gate_module, "encode_rows", forgets_the_end)

    assert "the end of a completion is learnt in every finished one" in failed(checked(base, row("q0")))


THOUGHT = " 1+1</think> 2"


def test_reasoning_is_learnt_as_it_was_sampled_unless_said_otherwise(base: Policy) -> None:
    rows = row("q0", THOUGHT), row("q1", " 13")

    usual, masked = checked(base, *rows), checked(base, *rows, learn_after="</think>")

    assert found(usual, "text of q0 sample 0: learnt") == f"{THOUGHT}<eos>"
    assert found(usual, "reasoning before an answer").startswith("learnt as it was sampled")
    assert failed(masked) == []
    assert found(masked, "text of q0 sample 0: read").endswith(f"{PROMPTS['q0']} 1+1</think>")
    assert found(masked, "text of q0 sample 0: learnt") == " 2<eos>"
    assert found(masked, "text of q1 sample 0: learnt") == " 13<eos>"
    assert found(masked, "reasoning before an answer") == "12 tokens of 1 rows are read, and not learnt"


@pytest.mark.parametrize("packing", [False, True])
def test_reasoning_that_is_learnt_against_the_parameter_fails(
    base: Policy, monkeypatch: pytest.MonkeyPatch, packing: bool
) -> None:
    import restem.training.gate as gate_module

    masked = gate_module.encode_rows

    def forgets_one(*arguments: Any, **named: Any) -> Any:
        return [example._replace(n_reasoning=example.n_reasoning - 1) for example in masked(*arguments, **named)]

    monkeypatch.setattr(gate_module, "encode_rows", forgets_one)
    gate = checked(base, row("q0", THOUGHT), row("q1", THOUGHT), learn_after="</think>", packing=packing)

    assert failed(gate) == ["nothing up to </think> is learnt"]


def test_a_row_that_is_nothing_but_reasoning_has_nothing_to_learn(base: Policy) -> None:
    gate = checked(base, row("q0", " 1+1</think>", finish_reason="length"), row("q1"), learn_after="</think>")

    assert failed(gate) == ["every row has something to learn"]


def test_completions_that_were_encoded_alone_fail(
    base: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(base.folder, tmp_path / "policy")
    made("llama_2").save_pretrained(tmp_path / "policy")
    spaced = replace(base, path=str(tmp_path / "policy"))
    rows = row("q0", "4 2"), row("q1", " 4 2")
    check = "what is learnt reads as the completion, behind its prompt"

    def alone(self: Continuations, _prompt: str, text: str, **_: Any) -> list[int]:
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]

    assert failed(checked(spaced, *rows)) == []
    monkeypatch.setattr(Continuations, "ids", alone)
    assert failed(checked(spaced, *rows)) == [check]


def test_the_tokens_that_were_sampled_are_what_is_learnt(base: Policy) -> None:
    gate = checked(base, row("q0", " 2", token_ids=[1, 2, 3]), row("q1", " 2"))

    assert (
        found(gate, "rows that are learnt in the very tokens that were sampled")
        == "0 of 1 whose tokens are known; 1 are known as text"
    )


def test_tokens_that_the_policy_does_not_have_fail(base: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base.folder)
    (digit,) = tokenizer("2", add_special_tokens=False)["input_ids"]
    check = "what is learnt reads as the completion, behind its prompt"

    def taken_on_trust(*_: Any, sampled: Any, **__: Any) -> list[int]:
        return list(sampled)

    ours, theirs = row("q0", "2", token_ids=[digit, len(tokenizer)]), row("q0", "2", token_ids=[len(tokenizer), digit])
    assert failed(checked(base, ours)) == failed(checked(base, theirs)) == []
    monkeypatch.setattr(Continuations, "ids", taken_on_trust)
    assert check in failed(checked(base, ours))
    assert check in failed(checked(base, theirs))


@pytest.mark.parametrize(
    ("way", "options"),
    [("collate", {}), ("collate", {"gradient_checkpointing": True}), ("pack", {"packing": True})],
)
def test_a_mask_that_lets_the_prompt_through_fails(
    base: Policy, monkeypatch: pytest.MonkeyPatch, way: str, options: dict[str, Any]
) -> None:
    proper = getattr(batches, way)

    def off_by_one(examples: Any, **how: Any) -> Any:
        return proper([example._replace(n_prompt=example.n_prompt - 1) for example in examples], **how)

    assert failed(checked(base, row("q0"), row("q1"), **options)) == []
    monkeypatch.setattr(batches, way, off_by_one)

    assert "nothing of the prompt is learnt" in failed(checked(base, row("q0"), row("q1"), **options))


def test_what_is_looked_at_are_the_batches_that_training_takes(base: Policy, tmp_path: Path) -> None:
    lengths = [5, 9, 3, 7, 6, 4]
    rows = [row("q0", "1" * length, sample_index=length, finish_reason="length") for length in lengths]
    parameters = TrainingParameters(batch_size=4, micro_batch_size=2, seed=3, dtype="float32", eval_every=None)
    write = Continuations(AutoTokenizer.from_pretrained(base.folder))
    examples = encode_rows(pd.DataFrame(rows), write)
    place = Workplace(tmp_path, checkpoint_every_s=0)
    request = TrainingRequest(
        rows=pd.DataFrame(rows),
        base_policy=base,
        parameters=parameters,
        output=tmp_path,
        add_special_tokens=True,
        validation=None,
        unfinished=None,
    )
    trainer = set_up(request, place)
    taken = [batch["rows"].tolist() for batch in trainer.get_train_dataloader()]

    looked_at = batches.batching(parameters, launch_of(parameters)).first_epoch(examples)

    assert [batch["rows"].tolist() for batch in looked_at] == taken


def test_a_rerun_finds_the_same(base: Policy, tmp_path: Path) -> None:
    for name in ("first", "again"):
        checked(base, row("q0"), row("q1")).to_parquet(tmp_path / name)

    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
