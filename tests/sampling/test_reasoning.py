"""Thinking models: what is drawn, what of it is judged, and what is learnt."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from transformers import AutoTokenizer

from restem.errors import EngineError, ParameterError, PromptError
from restem.filtering.selection import Sources, select_training_set
from restem.parameters import FilteringParameters, PromptParameters, ReasoningParameters, ScoringParameters
from restem.policies.policy import Policy
from restem.sampling.answers import answer_places
from restem.sampling.draws import evaluation_draws, greedy_decoding, training_draw
from restem.sampling.existing import existing_samples
from restem.sampling.prompts import render_prompts
from restem.sampling.room import refuse_what_does_not_fit
from restem.sampling.sampler import Decoding, Draw, EngineChoice, draw_samples
from restem.scoring.verdicts import score_samples, summarise_scoring
from restem.store.journal import Journal
from restem.store.tables import ShardedTable
from restem.training.batches import Batching, learnt_by_row
from restem.training.continuations import Continuations
from restem.training.gate import check_training_set
from restem.training.rows import encode_rows
from tests.builders import NO_POLICY, checked, questions, training_row
from tests.tiny_models import tiny_model
from tests.tiny_tokenizers import chat

THINKING = ReasoningParameters(budget=4)
DECODING = Decoding("sampled", 3, 1.0, 0, 1.0, 16, (), THINKING)
BUILT_IN = EngineChoice("transformers", {"dtype": "float32", "threads": 1}, False, questions_per_shard=2)
CHAT = PromptParameters(style="chat")


@pytest.fixture(scope="module")
def r1(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    folder = tmp_path_factory.mktemp("r1")
    tokenizer = chat("r1")
    tokenizer.save_pretrained(folder)
    tiny_model("llama", vocabulary=len(tokenizer)).save_pretrained(folder)
    return Policy(path=folder.as_posix(), fingerprint="r1", iteration=0, name="r1", base="r1")


def asked(*splits: str) -> pd.DataFrame:
    return questions(*splits).assign(reward="exact", level="", licence="", gold=json.dumps({"answer": "4"}))


def drawn(
    policy: Policy, folder: Path, *, decoding: Decoding = DECODING, prompt: PromptParameters = CHAT
) -> ShardedTable:
    prompts = render_prompts(asked("train", "train", "train"), policy, prompt).assign(suite="train")
    draw = Draw(prompts, decoding, purpose="train", iteration=1)
    return draw_samples([draw], policy, choice=BUILT_IN, journal=Journal(folder), experiment_seed=0)


def scripted(folder: Path, *answers: str, policy: Policy, n: int = 1) -> ShardedTable:
    """Return verdicts on what a script says, of which only the budget is drawn before it is asked again."""
    prompts = render_prompts(asked("train"), policy, CHAT).assign(suite="train")
    draw = Draw(prompts, DECODING._replace(n=n), purpose="train", iteration=1)
    options = {"answers": {f"{THINKING.close}": [" 4"]}, "default": list(answers)}
    choice = EngineChoice("scripted", options, False, questions_per_shard=6)
    samples = draw_samples([draw], NO_POLICY, choice=choice, journal=Journal(folder), experiment_seed=0)
    return score_samples(samples, asked("train"), parameters=ScoringParameters(), journal=Journal(folder))


def test_samples_say_where_the_answer_is_and_what_the_engine_wrote(r1: Policy, tmp_path: Path) -> None:
    table = drawn(r1, tmp_path).to_pandas()

    closed = table[table["closing"].notna()]
    assert len(closed) > 4
    for row in closed.to_dict("records"):
        start, end = row["closing"]
        assert row["completion"][start:end] == "</think>"
        assert row["answer_at"] >= end
        assert list(row["token_ids"][4:5]) == chat("r1").convert_tokens_to_ids(["</think>"])
        assert row["n_tokens"] == len(row["token_ids"]) <= 16


def test_a_lost_shard_is_drawn_again_with_the_same_bytes(r1: Policy, tmp_path: Path) -> None:
    first = drawn(r1, tmp_path)
    before = [file.read_bytes() for file in first.files]
    first.files[1].unlink()

    assert [file.read_bytes() for file in drawn(r1, tmp_path).files] == before
    assert len(before) == 2


def test_without_reasoning_nothing_is_named_otherwise_than_before() -> None:
    plain = DECODING._replace(reasoning=None)

    assert plain.deciding() == {
        "name": "sampled", "n": 3, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 16, "stop": [],
    }  # fmt: skip
    assert DECODING.deciding()["reasoning"] == {"open": "<think>", "close": "</think>", "budget": 4}
    assert Decoding.read(json.loads(json.dumps(DECODING.deciding()))) == DECODING


def test_every_draw_has_the_same_reasoning(r1: Policy) -> None:
    parameters = checked(sampling={"reasoning": {"budget": 4}}, prompt={"style": "chat"})
    table = asked("train", "test", "validation")
    prompts = render_prompts(table, r1, parameters.prompt)
    sampling = parameters.sampling

    of_evaluation = evaluation_draws(table, prompts, sampling, parameters.evaluation, iteration=0, seed=0)
    of_training = training_draw(table, prompts, sampling, iteration=1)

    decodings = [draw.decoding for draw in (*of_evaluation, of_training)] + [greedy_decoding(sampling)]
    assert {decoding.reasoning for decoding in decodings} == {ReasoningParameters(budget=4)}


def test_the_answer_alone_is_judged(r1: Policy, tmp_path: Path) -> None:
    (row,) = scripted(tmp_path, "it is 5 or so or not", policy=r1).to_pandas().to_dict("records")

    assert row["completion"] == "it is 5 or</think> 4"
    assert (row["reward"], row["answer"], list(row["closing"])) == (1.0, "4", [10, 18])


def test_reasoning_that_ends_without_an_answer_has_none(r1: Policy, tmp_path: Path) -> None:
    (row,) = scripted(tmp_path, "4", policy=r1).to_pandas().to_dict("records")

    assert (row["reward"], row["reason"], row["closing"]) == (0.0, "no_answer", None)
    summary = summarise_scoring(ShardedTable(scripted(tmp_path, "4", policy=r1).files), warn_above={})
    assert summary["reasoning"] == {"n_closed_by_engine": 0, "n_without_answer": 1}


def test_closed_reasoning_is_counted(r1: Policy, tmp_path: Path) -> None:
    table = scripted(tmp_path, "a b c d e", policy=r1, n=3)

    assert summarise_scoring(table, warn_above={})["reasoning"] == {"n_closed_by_engine": 3, "n_without_answer": 0}


@pytest.mark.parametrize(
    ("prefill", "said", "place"),
    [("", "hm</think>4", 10), ("Well", "hm</think>4", 14), ("no</think>", "4", 10), ("no</think>", "<think>4", 18)],
)
def test_a_prefill_may_open_and_close_reasoning(prefill: str, said: str, place: int, r1: Policy) -> None:
    prompts = render_prompts(asked("train"), r1, replace(CHAT, prefill=prefill))

    assert prompts["prompt"][0].endswith(f"<think>\n{prefill}")
    assert answer_places(prompts, [said], THINKING) == [place]


def test_a_mark_in_an_instruction_opens_nothing(r1: Policy) -> None:
    prompts = render_prompts(asked("train"), r1, PromptParameters(style="zero_shot", instruction="Use <think>."))

    assert answer_places(prompts, ["4"], THINKING) == [0]


def test_samples_in_files_are_judged_by_their_answer_too(r1: Policy, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"question_id": "q0", "completion": "5?</think>4"}))
    options = {"paths": str(file), "evaluate_with": "transformers"}
    sampling = checked(
        em={"iterations": 1}, sampling={"engine": "file", "engine_options": options, "reasoning": {"budget": 4}}
    ).sampling
    prompts = render_prompts(asked("train"), r1, CHAT)
    draw = training_draw(asked("train"), prompts, sampling, iteration=1)

    samples = existing_samples(draw, asked("train"), options, per_shard=2, journal=Journal(tmp_path / "journal"))
    scored = score_samples(samples, asked("train"), parameters=ScoringParameters(), journal=Journal(tmp_path))

    assert (scored["answer"][0], scored["reward"][0]) == ("4", 1.0)


def rows_of(folder: Path, policy: Policy) -> pd.DataFrame:
    """Return training rows of samples, half of which the engine closed."""
    samples = drawn(policy, folder)
    scored = score_samples(
        samples, asked("train", "train", "train"), parameters=ScoringParameters(), journal=Journal(folder)
    )
    prompts = render_prompts(asked("train", "train", "train"), policy, CHAT)
    parameters = FilteringParameters(min_reward=0.0, keep_truncated=True, weight="exponential")
    chosen = select_training_set(
        Sources(scored), prompts, parameters=parameters, seed=0, journal=Journal(folder / "filtering")
    )
    return chosen.to_pandas()


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("known", ["tokens", "text"])
def test_what_the_engine_wrote_is_read_and_not_learnt(packing: bool, known: str, r1: Policy, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, r1)
    rows = rows if known == "tokens" else rows.assign(token_ids=None)
    tokenizer = AutoTokenizer.from_pretrained(r1.folder)
    (mark,) = tokenizer.convert_tokens_to_ids(["</think>"])
    examples = encode_rows(rows, Continuations(tokenizer, add_special_tokens=False))

    batch = Batching(99, 99, 0, packing, share_prefix=not packing).batch(examples, range(len(examples)))

    learnt = learnt_by_row(batch)
    is_closed = list(rows["closing"].notna())
    assert any(is_closed)
    for index, (example, closed) in enumerate(zip(examples, is_closed, strict=True)):
        own = list(example.input_ids[example.n_prompt :])
        if closed:
            own.remove(mark)  # the first, which the engine wrote; the policy may have said it again
        assert learnt[index] == own
        assert example.n_trained == len(own)
        assert example.completion_ids(learnt[index]) == example.input_ids[example.n_prompt :]


def test_the_gate_sees_that_it_is_not_learnt(r1: Policy, tmp_path: Path) -> None:
    rows, table = rows_of(tmp_path, r1), asked("train", "train", "train")
    parameters = checked(training={"learn_after": None}).training
    prompts = render_prompts(table, r1, CHAT)

    found = check_training_set(rows, table, prompts, r1, parameters=parameters, add_special_tokens=False)

    outcomes = dict(zip(found["check"], found["outcome"], strict=True))
    assert outcomes["what the engine wrote to close reasoning is not learnt"] == "passed"
    assert outcomes["what is learnt reads as the completion, behind its prompt"] == "passed"
    assert dict(zip(found["check"], found["found"], strict=True))["rows whose reasoning the engine closed"] == str(
        rows["closing"].notna().sum()
    )


def test_beside_learn_after_only_the_answer_is_learnt(base: Policy) -> None:
    write = Continuations(AutoTokenizer.from_pretrained(base.folder))
    rows = pd.DataFrame([training_row("q", "q:", "hm</think> 4", closing=[2, 10])])

    (after,), (all_but,) = (encode_rows(rows, write, learn_after=mark) for mark in ("</think>", None))

    assert [write.tokenizer.decode(after.input_ids[start:end]) for start, end in after.learnt] == [" 4<eos>"]
    assert [write.tokenizer.decode(all_but.input_ids[start:end]) for start, end in all_but.learnt] == ["hm", " 4<eos>"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reasoning": {"budget": 64}}, r"budget must be less than sampling\.max_new_tokens = 64.*got 64"),
        ({"reasoning": {"budget": 0}}, r"sampling\.reasoning\.budget must be at least 1, got 0"),
        ({"reasoning": {"open": "", "budget": 4}}, r"sampling\.reasoning\.open must have characters"),
        ({"reasoning": {"close": "", "budget": 4}}, r"sampling\.reasoning\.close must have characters"),
        ({"reasoning": {"open": "#", "close": "#", "budget": 4}}, "two marks, neither of which holds the other"),
        ({"reasoning": {"open": "think", "close": "/think", "budget": 4}}, "two marks, neither of which"),
        ({"reasoning": {"budget": 4}, "stop": ["</"]}, r"sampling\.stop holds '</', which is in a mark"),
        (
            {"reasoning": {"budget": 4}, "engine": "openai", "engine_options": {"endpoint": "chat"}},
            r"endpoint=chat an answer is always begun anew",
        ),
        (
            {
                "reasoning": {"budget": 4},
                "engine": "file",
                "engine_options": {"paths": "a", "evaluate_with": "openai", "endpoint": "chat"},
            },
            r"endpoint=chat an answer is always begun anew",
        ),
        ({"reasoning": {"opening": "<think>"}}, r"sampling\.reasoning\.opening is not a parameter"),
    ],
)
def test_reasoning_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        checked(sampling={"max_new_tokens": 64, **changes}, em={"iterations": 1})


def test_a_suite_with_less_room_is_named() -> None:
    with pytest.raises(ParameterError, match=r"less than evaluation\.of_suite\.test\.max_new_tokens = 3"):
        checked(sampling={"reasoning": {"budget": 4}}, evaluation={"of_suite": {"test": {"max_new_tokens": 3}}})


@pytest.mark.parametrize(
    ("sampling", "error", "message"),
    [
        (
            {"reasoning": {"budget": 7}, "max_new_tokens": 8},
            PromptError,
            "budget = 7 tokens and the 1 of '</think>' leave",
        ),
        (
            {"reasoning": {"budget": 7, "close": "<|im_end|>"}},
            EngineError,
            r"close = '<.im_end.>' is a special",
        ),
    ],
)
def test_what_does_not_fit_the_policys_tokens_is_refused_before_anything_is_drawn(
    sampling: dict[str, Any], error: type[Exception], message: str, r1: Policy
) -> None:
    with pytest.raises(error, match=message):
        refuse_what_does_not_fit(r1, checked(sampling=sampling))
    with pytest.raises(PromptError, match=r"prompt\.prefill has 9 tokens .* training\.max_length = 8"):
        refuse_what_does_not_fit(r1, checked(prompt={"prefill": "123456789"}, training={"max_length": 8}))


def test_an_engine_that_knows_texts_alone_counts_a_mark_by_its_bytes(r1: Policy) -> None:
    for most, problem in ((15, "budget = 7 tokens and the 8 of '</think>' leave no room"), (16, "")):
        asked_ = checked(sampling={"reasoning": {"budget": 7}, "max_new_tokens": most, "engine": "scripted"})
        if problem:
            with pytest.raises(PromptError, match=problem):
                refuse_what_does_not_fit(r1, asked_)
        else:
            refuse_what_does_not_fit(r1, asked_)
