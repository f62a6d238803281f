"""Reasoning whose budget is spent is closed by the engine, and the answer follows."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from restem.engines import Completion, open_engine
from restem.engines.reasoning import Reasoning, answer_place, closing_tokens, is_open, sample_in_rounds
from restem.errors import EngineError
from tests.engines.conftest import make_policy, make_tokenizer
from tests.engines.faulty_server import serving

PROMPTS = ["12 + 34", "Q: the weather?\nA:", "x"]
OPEN, CLOSE = "<think>", "</think>"
BUDGET, LENGTH = 6, 24


def thinking(*opened: bool, budget: int = BUDGET) -> Reasoning:
    return Reasoning(OPEN, CLOSE, budget, opened)


def drawn(policy: Path, opened: bool | None, *, options: dict[str, Any] | None = None, **changed: Any) -> Any:
    """Return the completions of all prompts; of None without reasoning."""
    arguments: dict[str, Any] = {"n": 4, "max_new_tokens": LENGTH, "seed": 3, "token_ids": True, **changed}
    if opened is not None:
        arguments["reasoning"] = thinking(*[opened] * len(PROMPTS))
    with open_engine("transformers", policy, dtype="float32", **(options or {})) as engine:
        return list(engine.sample(PROMPTS, **arguments))  # type: ignore[arg-type] # of this engine


@pytest.mark.parametrize(
    ("text", "opened", "open_", "answer"),
    [
        ("", True, True, ""),
        ("", False, False, ""),
        ("hm</think> 4", True, False, " 4"),
        ("hm</think> 4", False, False, " 4"),
        ("<think>hm", False, True, ""),
        ("<think>hm</think>a</think>b", False, False, "b"),
        ("<think>a</think>b<think>c", False, True, ""),
        ("plain", False, False, "plain"),
        ("plain", True, True, ""),
    ],
)
def test_the_answer_begins_where_reasoning_ends(text: str, opened: bool, open_: bool, answer: str) -> None:
    assert is_open(text, OPEN, CLOSE, opened=opened) is open_
    assert text[answer_place(text, OPEN, CLOSE, opened=opened) :] == answer


@pytest.mark.parametrize("architecture", ["llama", "mamba"])  # drawn by the built-in sampler, and by generate
def test_open_reasoning_is_closed_after_its_budget(architecture: str, tiny_policy: Callable[..., Path]) -> None:
    policy, closing = tiny_policy(architecture), closing_tokens(make_tokenizer(), thinking())
    free, limited = drawn(policy, None), drawn(policy, True)

    n_closed = 0
    for before, after in zip(
        *([one for of_prompt in table for one in of_prompt] for table in (free, limited)), strict=True
    ):
        ids = after.token_ids
        assert ids[:BUDGET] == before.token_ids[:BUDGET]  # until then nothing is different
        assert after.n_tokens == len(ids) <= LENGTH
        assert after.finish_reason == ("length" if after.n_tokens == LENGTH and ids[-1] != 0 else "stop")
        if len(before.token_ids) <= BUDGET:
            assert after == before
            continue
        n_closed += 1
        start, end = after.closing
        assert (after.text[start:end], list(ids[BUDGET : BUDGET + len(closing)])) == (CLOSE, closing)
        assert len(ids) > BUDGET + len(closing)
    assert n_closed > 6


@pytest.mark.parametrize("architecture", ["llama", "mamba"])
def test_the_policy_goes_on_behind_the_mark_as_if_it_had_said_it(
    architecture: str, tiny_policy: Callable[..., Path]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    policy, tokenizer = tiny_policy(architecture), make_tokenizer()
    model = AutoModelForCausalLM.from_pretrained(policy).eval()
    written = range(BUDGET, BUDGET + len(closing_tokens(tokenizer, thinking())))

    for prompt, (completion, *_) in zip(PROMPTS, drawn(policy, True, temperature=0.0, logprobs=True), strict=True):
        before, ids = tokenizer(prompt)["input_ids"], list(completion.token_ids)
        with torch.inference_mode():
            logits = model(torch.tensor([before + ids])).logits[0, len(before) - 1 : -1]
        own = [place for place in range(len(ids)) if place not in written or completion.closing is None]
        assert [int(logits[place].argmax()) for place in own] == [ids[place] for place in own]
        said = logits.log_softmax(-1)
        assert completion.logprob == pytest.approx(sum(float(said[place, ids[place]]) for place in own), abs=1e-3)


def test_what_is_not_reasoning_is_drawn_as_ever(tiny_policy: Callable[..., Path]) -> None:
    assert drawn(tiny_policy(), False) == drawn(tiny_policy(), None)


def test_rows_at_once_change_nothing(tiny_policy: Callable[..., Path]) -> None:
    assert drawn(tiny_policy(), True, options={"max_batch": 2}) == drawn(tiny_policy(), True)


def test_it_stays_open_where_the_window_has_no_room_for_an_answer(tiny_policy: Callable[..., Path]) -> None:
    prompt = "x" * (128 - BUDGET - 4)  # of a window of 128

    with open_engine("transformers", tiny_policy(), dtype="float32") as engine:
        drawn_: Any = engine.sample([prompt], n=2, max_new_tokens=LENGTH, reasoning=thinking(True))  # type: ignore[call-arg]
        completions = next(drawn_)

    assert all(completion.closing is None for completion in completions)
    assert {completion.finish_reason for completion in completions} <= {"length", "stop"}


@pytest.mark.parametrize(
    ("reasoning", "message"),
    [
        (Reasoning(OPEN, "[/THINK]", BUDGET, (True,)), r"close = '\[/THINK\]' is a special token"),
        (Reasoning("[/THINK]", CLOSE, BUDGET, (True,)), r"open = '\[/THINK\]' is a special token"),
        (Reasoning(OPEN, "\u6f22", BUDGET, (True,)), "close = '\u6f22' cannot be written with the tokenizer"),
        (thinking(True, budget=20), "budget = 20 tokens and the 6 of its closing mark leave no room .* = 24"),
        (thinking(True, budget=0), "budget of reasoning must be at least 1, got 0"),
        (thinking(), "of every prompt"),
    ],
)
def test_marks_and_budgets_that_cannot_be_are_refused(reasoning: Reasoning, message: str, tmp_path: Path) -> None:
    policy = make_policy(tmp_path, "llama", special=("[/THINK]",))

    with (
        open_engine("transformers", policy, dtype="float32") as engine,
        pytest.raises(EngineError, match=message),
    ):
        engine.sample(["x"], n=1, max_new_tokens=LENGTH, reasoning=reasoning)  # type: ignore[call-arg]


def rounds(engine: Any, *opened: bool, budget: int = 3, **changed: Any) -> list[list[Completion]]:
    prompts = [f"question {index}" for index in range(len(opened))]
    asked = {"n": 2, "max_new_tokens": 20, "seed": [*range(len(opened))], **changed}
    return list(sample_in_rounds(engine, prompts, thinking(*opened, budget=budget), **asked))


def test_an_engine_that_knows_of_no_reasoning_is_asked_again_behind_the_mark() -> None:
    script = {"answers": {CLOSE: ["it is 4"]}, "default": ["one two three four five"]}

    with open_engine("scripted", "", **script) as engine:
        (closed,), (short,) = rounds(engine, True, n=1), rounds(engine, True, n=1, budget=9)

    assert closed == [Completion("one two three</think>it is 4", 7, "stop", closing=(13, 21))]
    assert short == [Completion("one two three four five", 6, "stop")]


def test_what_is_longer_than_the_budget_and_no_reasoning_goes_on_behind_its_own_text() -> None:
    script = {"answers": {"two three": [" and more"]}, "default": ["one two three four five"]}

    with open_engine("scripted", "", **script) as engine:
        (completions,) = rounds(engine, False)

    assert completions == [Completion("one two three and more", 7, "stop")] * 2


def test_a_server_is_asked_within_what_is_left() -> None:
    def answer(body: dict[str, Any]) -> dict[str, Any]:
        is_second = CLOSE in body["prompt"]
        text = f" 4 #{body['seed']}" if is_second else "let me see"
        end = "stop" if is_second else "length"
        choices = [{"index": index, "text": text, "finish_reason": end} for index in range(body.get("n", 1))]
        return {"choices": choices, "usage": {"completion_tokens": 3 * len(choices)}}

    with serving() as server:
        server.answer = answer
        with open_engine("openai", "unused", base_url=server.url, model="echo") as engine:
            first, again = rounds(engine, True, True), rounds(engine, True, True)
        bodies = server.bodies[: len(server.bodies) // 2]

    assert first == again
    assert {completion.text.partition(" #")[0] for of_prompt in first for completion in of_prompt} == {
        "let me see</think> 4"
    }
    assert len({completion.text for of_prompt in first for completion in of_prompt}) == 4  # a seed for each
    assert sorted((body["prompt"], body["max_tokens"]) for body in bodies) == [
        *[("question 0", 3)],
        *[("question 0let me see</think>", 20 - 3 - len(CLOSE))] * 2,
        *[("question 1", 3)],
        *[("question 1let me see</think>", 20 - 3 - len(CLOSE))] * 2,
    ]


class Remembering:
    """What the worker sees of vLLM: it says "ab", and behind a closing mark "4", within what is asked for."""

    def __init__(self) -> None:
        self.tokenizer = make_tokenizer()
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=128))
        self.asked: list[Any] = []

    def get_tokenizer(self) -> Any:
        return self.tokenizer

    def generate(self, prompts: list[Any], sampling: list[Any], *, use_tqdm: bool) -> list[Any]:
        self.asked.append((prompts, sampling))
        return [
            SimpleNamespace(outputs=[self._said(p, s, k) for k in range(s["n"])])
            for p, s in zip(prompts, sampling, strict=True)
        ]

    def _said(self, prompt: Any, sampling: Any, index: int) -> Any:
        is_answer = CLOSE in self.tokenizer.decode(prompt["prompt_token_ids"])
        ids = self.tokenizer("4")["input_ids"] if is_answer else self.tokenizer("wxyz" * 9)["input_ids"]
        kept = ids[: sampling["max_tokens"]]
        return SimpleNamespace(
            index=index, text=self.tokenizer.decode(kept), token_ids=kept, cumulative_logprob=-1.0,
            finish_reason="length" if len(kept) == sampling["max_tokens"] else "stop",
        )  # fmt: skip


def test_vllm_goes_on_behind_its_own_tokens_and_those_of_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    from restem.engines import vllm_worker

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=dict))
    model, closing = Remembering(), closing_tokens(make_tokenizer(), thinking())
    order = {
        "prompts": ["x", "y"], "seeds": [1, 2], "n": 2, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
        "max_new_tokens": LENGTH, "stop": [], "add_special_tokens": True, "logprobs": True, "token_ids": True,
        "reasoning": {**thinking(True, False)._asdict(), "closing": closing},
    }  # fmt: skip

    closed, open_ended = vllm_worker._draw(model, order)["completions"]

    assert [one["text"] for one in closed] == ["wxyzwx</think>4"] * 2
    assert closed[0]["closing"] == [6, 14]
    assert closed[0]["token_ids"] == [
        *model.tokenizer("wxyzwx4")["input_ids"][:6],
        *closing,
        *model.tokenizer("4")["input_ids"],
    ]
    assert (closed[0]["n_tokens"], closed[0]["finish_reason"], closed[0]["logprob"]) == (13, "stop", -2.0)
    assert [(one["n_tokens"], one["finish_reason"], one["closing"]) for one in open_ended] == [(24, "length", None)] * 2
    (_, first), (_, second) = model.asked
    assert [(asked["max_tokens"], asked["n"]) for asked in (*first, *second)] == [(6, 2)] * 2 + [(12, 1)] * 2 + [
        (18, 1)
    ] * 2
    assert len({asked["seed"] for asked in (*first, *second)}) == 6
