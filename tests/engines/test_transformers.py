import gc
import math
import re
import time
import weakref
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from restem.engines import Batched, Completion, deciding_engine_options, open_engine, resolve_arithmetic
from restem.errors import EngineError, PolicyError
from tests.conftest import Logged
from tests.engines.drawing import MANY_ENDS, RAGGED, draw, generated, plain_model

PolicyMaker = Callable[..., Path]

FEW_SHOT = [f"Q: 1 + 2?\nA: 3\n\nQ: {question}\nA:" for question in ("12 + 34?", "he?", "1 + 2?", "the end")]
ARCHITECTURES = ["llama", "qwen3", "gpt_neox", "gemma3_text", "mixtral", "gemma2"]


def logits_after(policy: Path, prompt: str) -> np.ndarray:
    import torch

    model, tokenizer = plain_model(policy)
    with torch.inference_mode():
        return model(tokenizer(prompt, return_tensors="pt")["input_ids"]).logits[0, -1].double().numpy()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_equals_generate_token_for_token(tiny_policy: PolicyMaker, architecture: str) -> None:
    policy = tiny_policy(architecture, eos_token_id=MANY_ENDS)

    with open_engine("transformers", policy, dtype="float32", max_batch=3) as engine:
        for prompts in (RAGGED, FEW_SHOT):
            drawn = list(engine.sample(prompts, n=2, temperature=0, max_new_tokens=24))

            for prompt, completions in zip(prompts, drawn, strict=True):
                tokens, text = generated(policy, prompt, 24)
                reason = "stop" if tokens[-1] in MANY_ENDS else "length"
                assert completions == [Completion(text, len(tokens), reason)] * 2


def test_greedy_samples_end_at_different_times(tiny_policy: PolicyMaker) -> None:
    drawn = draw(tiny_policy(eos_token_id=MANY_ENDS), RAGGED + FEW_SHOT, n=1, temperature=0, max_new_tokens=24)

    assert len({completions[0].n_tokens for completions in drawn}) > 3


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_closed_engine_leaves_no_weights_in_memory(tiny_policy: PolicyMaker, architecture: str) -> None:
    gc.collect()
    gc.disable()  # a cycle would keep the weights until it happens to run
    try:
        with open_engine("transformers", tiny_policy(architecture), dtype="float32") as engine:
            model = engine._policy.model
            weights = [weakref.ref(parameter) for parameter in model.parameters()]
            del model
            list(engine.sample(RAGGED, n=2, max_new_tokens=3, seed=0))
            assert all(weight() is not None for weight in weights)
        assert [weight() for weight in weights if weight() is not None] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "gemma2"])
def test_these_architectures_share_keys_and_values(tiny_policy: PolicyMaker, architecture: str, warned: Logged) -> None:
    draw(tiny_policy(architecture, eos_token_id=MANY_ENDS), max_new_tokens=2)

    assert not warned


@pytest.mark.parametrize(
    ("architecture", "overrides", "reason"),
    [("gemma2", {}, "caps its attention"), ("gemma3_text", {"sliding_window": 16}, "look back 16 tokens")],
)
def test_what_cannot_be_shared_goes_by_generate_with_one_notice(
    tiny_policy: PolicyMaker,
    architecture: str,
    overrides: dict[str, Any],
    reason: str,
    warned: Logged,
) -> None:
    policy = tiny_policy(architecture, **overrides)

    with open_engine("transformers", policy) as engine:
        for _ in range(2):
            list(engine.sample(RAGGED, n=1, max_new_tokens=4))

    assert [reason in record.getMessage() for record in warned] == [True]


def test_a_window_shorter_than_the_text_gives_what_generate_gives(tiny_policy: PolicyMaker) -> None:
    policy = tiny_policy("gemma3_text", sliding_window=16)

    drawn = draw(policy, n=1, temperature=0, max_new_tokens=24)

    assert [completions[0].text for completions in drawn] == [generated(policy, prompt, 24)[1] for prompt in RAGGED]


DECODINGS: list[dict[str, Any]] = [
    {"temperature": 1.0},
    {"temperature": 0.7, "top_k": 5},
    {"temperature": 2.0, "top_p": 0.6},
    {"temperature": 1.5, "top_k": 20, "top_p": 0.8},
    {"temperature": 1.5, "min_p": 0.2},
]


def exact_distribution(logits: np.ndarray, decoding: dict[str, Any]) -> np.ndarray:
    scaled = logits / decoding["temperature"]
    probability = np.exp(scaled - scaled.max())
    probability /= probability.sum()
    order = np.argsort(-probability)
    if decoding.get("top_k"):
        probability[order[decoding["top_k"] :]] = 0
        probability /= probability.sum()
    n_kept = int(np.searchsorted(np.cumsum(probability[order]), decoding.get("top_p", 1.0))) + 1
    probability[order[n_kept:]] = 0
    probability[probability < decoding.get("min_p", 0.0) * probability.max()] = 0
    return probability / probability.sum()


@pytest.mark.parametrize("decoding", DECODINGS, ids=str)
@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_frequencies_match_the_exact_filtered_distribution(
    tiny_policy: PolicyMaker, architecture: str, decoding: dict[str, Any]
) -> None:
    policy, prompt, n = tiny_policy(architecture, initializer_range=0.15), "Q: he?\nA:", 4000
    chance: Counter[str] = Counter()  # of a text: both special tokens read as the empty one
    for token, share in enumerate(exact_distribution(logits_after(policy, prompt), decoding)):
        chance[plain_model(policy)[1].decode([token], skip_special_tokens=True)] += share

    (drawn,) = draw(policy, [prompt], n=n, max_new_tokens=1, seed=3, **decoding)

    counts = Counter(completion.text for completion in drawn)
    assert not [text for text in counts if chance[text] == 0]
    common = [text for text in chance if n * chance[text] >= 5]
    found = [counts[text] for text in common]
    expected = [n * chance[text] for text in common]
    if n * (rest := 1 - sum(chance[text] for text in common)) > 1e-6:
        found.append(n - sum(found))
        expected.append(n * rest)
    assert len(expected) > 2
    assert chisquare(found, expected, sum_check=False).pvalue > 0.001


@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_log_probabilities_match_a_full_forward_pass(tiny_policy: PolicyMaker, architecture: str) -> None:
    import torch

    policy = tiny_policy(architecture)
    model, tokenizer = plain_model(policy)

    drawn = draw(policy, temperature=1.0, top_k=3, max_new_tokens=10, logprobs=True)

    for prompt, completions in zip(RAGGED, drawn, strict=True):
        before = tokenizer(prompt)["input_ids"]
        for completion in completions:
            new = tokenizer(completion.text)["input_ids"] + [0] * (completion.finish_reason == "stop")
            if len(new) != completion.n_tokens:
                continue  # another way to write the same text
            with torch.inference_mode():
                logits = model(torch.tensor([before + new])).logits[0, len(before) - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, torch.tensor(new)[:, None]).sum().item()
            assert completion.logprob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_in_float32_a_sample_does_not_depend_on_its_batch(tiny_policy: PolicyMaker, architecture: str) -> None:
    policy = tiny_policy(architecture, eos_token_id=MANY_ENDS)
    seeds = [11, 22, 33, 44, 55]

    arguments: dict[str, Any] = {"max_new_tokens": 12, "temperature": 1.0}

    with open_engine("transformers", policy, dtype="float32") as engine:
        together = list(engine.sample(RAGGED, n=6, seed=seeds, **arguments))
        pairs = zip(RAGGED, seeds, strict=True)
        alone = [next(engine.sample([prompt], n=6, seed=[seed], **arguments)) for prompt, seed in pairs]
        fewer = list(engine.sample(RAGGED, n=2, seed=seeds, **arguments))
    with open_engine("transformers", policy, dtype="float32", max_batch=4) as engine:
        narrow = list(engine.sample(RAGGED, n=6, seed=seeds, **arguments))

    assert together == narrow == alone
    assert fewer == [completions[:2] for completions in together]
    assert len({completion.n_tokens for completions in together for completion in completions}) > 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_the_same_call_of_the_same_width_gives_the_same_text_and_another_seed_another(
    tiny_policy: PolicyMaker, architecture: str, dtype: str
) -> None:
    policy = tiny_policy(architecture, eos_token_id=MANY_ENDS)

    first, again, other = (
        draw(policy, n=6, max_new_tokens=16, seed=seed, dtype=dtype, batch_width=7) for seed in (5, 5, 6)
    )

    assert first == again
    assert first != other


@pytest.mark.auto_dtype
@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_auto_is_one_arithmetic_and_gives_the_same_text_again(tiny_policy: PolicyMaker, architecture: str) -> None:
    policy = tiny_policy(architecture, eos_token_id=MANY_ENDS)
    resolved = resolve_arithmetic("transformers", {})
    assert resolved is not None

    by_auto, again, by_name = (
        draw(policy, n=6, max_new_tokens=16, dtype=dtype, batch_width=7) for dtype in ("auto", "auto", resolved.dtype)
    )

    assert by_auto == again == by_name


def test_what_the_width_is_asked_for_is_what_is_drawn_with(tiny_policy: PolicyMaker) -> None:
    policy = tiny_policy(eos_token_id=MANY_ENDS)

    with open_engine("transformers", policy, max_batch=5) as engine:
        assert isinstance(engine, Batched)
        width = engine.batch_width(RAGGED, n=3, max_new_tokens=4)
        assert width == 5
        assert list(engine.sample(RAGGED, n=3, max_new_tokens=4, batch_width=width)) == list(
            engine.sample(RAGGED, n=3, max_new_tokens=4)
        )


def test_in_float32_both_ways_of_sampling_draw_the_same(tiny_policy: PolicyMaker) -> None:
    policy = tiny_policy(eos_token_id=MANY_ENDS)

    with open_engine("transformers", policy, dtype="float32") as engine:
        shared = list(engine.sample(RAGGED, n=4, max_new_tokens=12))
        engine._sharing = engine._sharing._replace(obstacle="we want to compare")
        by_generate = list(engine.sample(RAGGED, n=4, max_new_tokens=12))

    assert shared == by_generate


@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_a_stop_string_across_tokens_ends_the_text_before_it(tiny_policy: PolicyMaker, architecture: str) -> None:
    policy = tiny_policy(architecture)
    ((drawn,),) = draw(policy, ["12 + 34"], n=1, seed=1, max_new_tokens=30)
    assert (drawn.finish_reason, drawn.n_tokens) == ("length", 30)
    text, stop = drawn.text, drawn.text[7:10]

    ((stopped,),) = draw(policy, ["12 + 34"], n=1, seed=1, max_new_tokens=30, stop=["never said", stop])

    assert stopped.text == text[: text.find(stop)]
    assert stopped.finish_reason == "stop"
    assert stopped.n_tokens <= text.find(stop) + 3


def test_a_stop_string_that_is_a_special_token_ends_the_text(tiny_policy: PolicyMaker) -> None:
    policy = tiny_policy(initializer_range=0.05)

    drawn = draw(policy, ["x"], n=50, max_new_tokens=100, stop=["<pad>"])

    reasons = Counter(completion.finish_reason for completion in drawn[0])
    unstopped = Counter(completion.finish_reason for completion in draw(policy, ["x"], n=50, max_new_tokens=100)[0])
    assert reasons["stop"] > unstopped["stop"]


def test_new_tokens_are_capped_by_the_context_window(tiny_policy: PolicyMaker) -> None:
    prompt = "x" * 120

    ((completion,),) = draw(tiny_policy(), [prompt], n=1, temperature=0, max_new_tokens=50)

    assert (completion.n_tokens, completion.finish_reason) == (8, "length")


def test_a_prompt_that_fills_the_context_window_is_named(tiny_policy: PolicyMaker) -> None:
    with pytest.raises(EngineError, match="prompt 1 has 128 tokens, the context window of the policy is 128"):
        draw(tiny_policy(), ["x", "x" * 128])


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_a_model_gets_what_it_has_read_by_the_name_that_its_forward_has(
    tiny_policy: PolicyMaker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from transformers import LlamaForCausalLM

    from restem.engines.forward import name_of_cache

    policy, forward, here = tiny_policy(), LlamaForCausalLM.forward, name_of_cache(plain_model(tiny_policy())[0])
    expected, called = draw(policy), Counter[str]()

    def by_new_name(self: Any, cache: Any = None, **named: Any) -> Any:
        called.update(named.keys() & {"past_key_values"})
        return forward(self, **{here: cache}, **named)

    def by_old_name(self: Any, past_key_values: Any = None, **named: Any) -> Any:
        called.update(named.keys() & {"cache"})
        return forward(self, **{here: past_key_values}, **named)

    monkeypatch.setattr(LlamaForCausalLM, "forward", {"cache": by_new_name, "past_key_values": by_old_name}[name])

    assert draw(policy) == expected
    assert not called


def test_no_prompts_give_no_completions(tiny_policy: PolicyMaker) -> None:
    assert draw(tiny_policy(), []) == []


def test_running_out_of_memory_halves_the_batch_and_changes_nothing(
    tiny_policy: PolicyMaker, monkeypatch: pytest.MonkeyPatch, warned: Logged
) -> None:
    from restem.engines.forward import SharedForward

    policy = tiny_policy(eos_token_id=MANY_ENDS)
    expected = draw(policy, n=6)
    read_rows = SharedForward.read_rows

    def small(self: SharedForward, rows: Any) -> Any:
        if len(rows) > 5:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return read_rows(self, rows)

    monkeypatch.setattr(SharedForward, "read_rows", small)

    assert draw(policy, n=6, max_batch=16) == expected
    assert [record.args for record in warned] == [(16, 8), (8, 4)]


def test_there_is_no_room_for_more_rows_than_samples(tiny_policy: PolicyMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    from restem.engines.shared_cache import SharedLayer

    stored = []
    store_rows = SharedLayer._store_rows

    def watched(self: SharedLayer, *arguments: Any) -> None:
        store_rows(self, *arguments)
        stored.append(self.rows[0].shape[0])

    monkeypatch.setattr(SharedLayer, "_store_rows", watched)

    draw(tiny_policy(), ["x", "y"], n=3, max_batch=256)

    assert max(stored) == 6


def test_a_closed_engine_says_so(tiny_policy: PolicyMaker) -> None:
    with open_engine("transformers", tiny_policy()) as engine:
        pass

    with pytest.raises(EngineError, match="closed"):
        engine.sample(["x"], n=1, max_new_tokens=1)


def test_a_folder_without_a_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"no config\.json"):
        draw(tmp_path / "nothing")


def test_a_policy_without_a_tokenizer_is_refused(policy_copy: Path) -> None:
    for file in policy_copy.glob("tokenizer*"):
        file.unlink()

    with pytest.raises(PolicyError, match="has no tokenizer"):
        draw(policy_copy)


def test_a_corrupt_weights_file_is_refused(policy_copy: Path) -> None:
    weights = policy_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])

    with pytest.raises(PolicyError, match=r"the model in .* cannot be read"):
        draw(policy_copy)


def test_weights_that_lack_a_layer_are_refused(policy_copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = policy_copy / "model.safetensors"
    tensors = load_file(weights)
    del tensors["model.layers.1.mlp.down_proj.weight"]
    save_file(tensors, weights, {"format": "pt"})

    with pytest.raises(PolicyError, match=r"lacks model.layers.1.mlp.down_proj.weight"):
        draw(policy_copy)


def test_a_policy_without_an_end_is_refused(policy_copy: Path) -> None:
    import json

    for name, key in (
        ("config.json", "eos_token_id"),
        ("generation_config.json", "eos_token_id"),
        ("tokenizer_config.json", "eos_token"),
    ):
        file = policy_copy / name
        settings = json.loads(file.read_text())
        settings[key] = None
        file.write_text(json.dumps(settings))

    with pytest.raises(PolicyError, match="no end-of-sequence token"):
        draw(policy_copy)


@pytest.fixture
def policy_copy(tiny_policy: PolicyMaker, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(tiny_policy(), tmp_path / "policy"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype must be one of auto, float32, bfloat16"),
        ({"device": "toaster"}, "device 'toaster' cannot be used"),
        ({"max_batch": 0}, "max_batch must be at least 1, got 0"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"batch": 2}, "batch is not an option of the engine 'transformers'; it has dtype, device"),
    ],
)
def test_a_bad_option_is_named(tiny_policy: PolicyMaker, options: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message), open_engine("transformers", tiny_policy(), **options):
        pass


def test_threads_are_set_while_the_engine_is_open(tiny_policy: PolicyMaker) -> None:
    import torch

    before = torch.get_num_threads()
    with open_engine("transformers", tiny_policy(), threads=before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_log_probabilities_are_left_out_unless_asked_for(tiny_policy: PolicyMaker) -> None:
    ((completion,),) = draw(tiny_policy(), ["x"], n=1)

    assert completion.logprob is None
    assert math.isfinite(draw(tiny_policy(), ["x"], n=1, logprobs=True)[0][0].logprob or math.nan)


@pytest.mark.parametrize("architecture", ["llama", "gemma2"], ids=["shared", "generate"])
def test_a_profile_adds_up_to_the_time_that_drawing_took(
    tiny_policy: PolicyMaker, architecture: str, logged: Logged
) -> None:
    folder = tiny_policy(architecture)
    with open_engine("transformers", folder, dtype="float32", profile=True) as engine:
        started = time.perf_counter()
        n_tokens = 0
        outside = 0.0
        for completions in engine.sample(RAGGED, n=8, max_new_tokens=20):
            n_tokens += sum(completion.n_tokens for completion in completions)
            paused = time.perf_counter()
            time.sleep(0.05)
            outside += time.perf_counter() - paused
        took = time.perf_counter() - started - outside

    (line,) = [record.getMessage() for record in logged if "where the time went" in record.getMessage()]
    found = re.search(r"(\d+) tokens in ([\d.]+) s", line)
    shares = [int(share) for share in re.findall(r"(\d+)%", line)]
    assert found is not None
    assert int(found[1]) == n_tokens
    assert float(found[2]) == pytest.approx(took, abs=0.1 + 0.2 * took)
    assert sum(shares) == pytest.approx(100, abs=3)
    assert min(shares[:1] + shares[2:]) > 0  # attention too, unless `generate` does it


def test_a_profile_changes_no_sample(tiny_policy: PolicyMaker) -> None:
    drawn = []
    for profile in (False, True):
        with open_engine("transformers", tiny_policy(), dtype="float32", profile=profile) as engine:
            drawn.append(list(engine.sample(RAGGED, n=4, max_new_tokens=12, seed=2)))

    assert drawn[0] == drawn[1]
    on_a_cpu = {"profile": True, "dtype": "float32", "device": "cpu"}
    assert deciding_engine_options("transformers", on_a_cpu) == {"dtype": "float32", "device": "cpu"}
