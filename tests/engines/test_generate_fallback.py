"""Models that transformers' `generate` samples: the same distribution, and never past the context window."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restem.engines import Completion, open_engine
from restem.engines.context import context_window, context_window_of
from tests.conftest import Logged
from tests.engines.drawing import MANY_ENDS, RAGGED, draw, generated

PolicyMaker = Callable[..., Path]


@pytest.mark.parametrize("architecture", ["deepseek_v2", "deepseek_v3", "glm4_moe_lite"])
def test_keys_and_values_of_unlike_sizes_go_by_generate(
    tiny_policy: PolicyMaker, architecture: str, warned: Logged
) -> None:
    policy = tiny_policy(architecture, eos_token_id=MANY_ENDS)

    drawn = draw(policy, RAGGED[:3], n=1, temperature=0, max_new_tokens=8)

    assert [completions[0].text for completions in drawn] == [generated(policy, one, 8)[1] for one in RAGGED[:3]]
    assert len(warned) == 1


@pytest.mark.parametrize("error", [RuntimeError, AssertionError, ArithmeticError, OSError])
def test_whatever_a_model_makes_of_a_shared_cache_it_goes_by_generate(
    tiny_policy: PolicyMaker, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    from transformers import LlamaForCausalLM

    policy, forward = tiny_policy(eos_token_id=MANY_ENDS), LlamaForCausalLM.forward
    expected = draw(policy, RAGGED[:2])

    def particular(self: Any, *arguments: Any, **named: Any) -> Any:
        if type(named.get("past_key_values")).__name__ == "Cache":
            raise error("only my own cache")
        return forward(self, *arguments, **named)

    monkeypatch.setattr(LlamaForCausalLM, "forward", particular)

    assert draw(policy, RAGGED[:2]) == expected


def test_running_out_of_memory_while_trying_is_no_reason_to_go_by_generate(
    tiny_policy: PolicyMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restem.engines.forward import SharedForward

    def full(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(SharedForward, "read_prefix", full)

    with pytest.raises(RuntimeError, match="allocate memory"), open_engine("transformers", tiny_policy()):
        pass


@pytest.mark.parametrize("architecture", ["gpt_neo", "gptj", "mpt"])
def test_a_short_prompt_beside_a_long_one_does_not_run_past_the_window(
    tiny_policy: PolicyMaker, architecture: str
) -> None:
    policy = tiny_policy(architecture)
    prompts = ["x" * 120, "12 + 3", "x" * 100, "he?"]

    drawn = draw(policy, prompts, n=1, temperature=0, max_new_tokens=30)

    for prompt, (completion,) in zip(prompts, drawn, strict=True):
        tokens, text = generated(policy, prompt, min(30, 128 - len(prompt)))
        assert completion == Completion(text, len(tokens), "stop" if tokens[-1] == 0 else "length")


def test_a_model_without_a_limit_draws_past_any_length(tiny_policy: PolicyMaker) -> None:
    policy = tiny_policy("mamba", eos_token_id=[0])

    ((completion,),) = draw(policy, ["x" * 150], n=1, temperature=0, max_new_tokens=4)

    assert completion.n_tokens == 4
    assert context_window_of(policy) is None


# A value of each that changes what `generate` draws, or how much.
_OF_DECODING: dict[str, Any] = {
    "bad_words_ids": [[token] for token in range(20, 60)],
    "begin_suppress_tokens": list(range(2, 80)),
    "cache_implementation": "static",
    "diversity_penalty": 0.5,
    "do_sample": True,
    "early_stopping": True,
    "encoder_no_repeat_ngram_size": 1,
    "encoder_repetition_penalty": 5.0,
    "epsilon_cutoff": 0.2,
    "eta_cutoff": 0.2,
    "exponential_decay_length_penalty": [1, 5.0],
    "forced_bos_token_id": 7,
    "forced_eos_token_id": 7,
    "guidance_scale": 3.0,
    "length_penalty": 3.0,
    "max_length": 5,
    "max_new_tokens": 2,
    "max_time": 1e-9,
    "min_length": 100,
    "min_new_tokens": 12,
    "min_p": 0.9,
    "no_repeat_ngram_size": 1,
    "num_beam_groups": 2,
    "num_beams": 2,
    "num_return_sequences": 2,
    "output_attentions": True,
    "output_hidden_states": True,
    "output_logits": True,
    "output_scores": True,
    "penalty_alpha": 0.6,
    "prompt_lookup_num_tokens": 2,
    "remove_invalid_values": True,
    "renormalize_logits": True,
    "repetition_penalty": 5.0,
    "return_dict_in_generate": True,
    "sequence_bias": [[[9], 50.0]],
    "stop_strings": ["e", "a", "1"],
    "suppress_tokens": list(range(2, 80)),
    "temperature": 0.01,
    "token_healing": True,
    "top_h": 0.1,
    "top_k": 1,
    "top_p": 0.01,
    "typical_p": 0.05,
    "use_cache": False,
    "watermarking_config": {"bias": 20.0, "seeding_scheme": "lefthash"},
}
# What is used (the ends), what says nothing about a single policy's completions, or what only says how it is computed.
_OTHERWISE = {
    "eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id", "transformers_version", "is_assistant",
    "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold", "assistant_early_exit",
    "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight", "speculation_type", "use_mtp",
    "max_matching_ngram_size", "cache_config", "max_cache_len", "compile_config", "disable_compile", "low_memory",
    "continuous_batching_config", "prefill_chunk_size", "dola_layers", "constraints", "force_words_ids",
}  # fmt: skip


_BESIDE = {"num_return_sequences": {"num_beams": 2}}  # without which transformers takes it for a mistake


@pytest.fixture(scope="module")
def expected(tiny_policy: PolicyMaker) -> list[list[Completion]]:
    return draw(tiny_policy("gemma2", eos_token_id=MANY_ENDS), temperature=1.0, top_k=20)


@pytest.mark.parametrize("field", sorted(_OF_DECODING))
def test_what_the_model_says_about_decoding_does_not_count(
    tiny_policy: PolicyMaker, tmp_path: Path, expected: list[list[Completion]], field: str
) -> None:
    policy = Path(shutil.copytree(tiny_policy("gemma2", eos_token_id=MANY_ENDS), tmp_path / "policy"))
    file = policy / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: _OF_DECODING[field]} | _BESIDE.get(field, {})))

    assert draw(policy, temperature=1.0, top_k=20) == expected


def test_every_field_of_the_generation_config_is_tried_or_known() -> None:
    from transformers import GenerationConfig

    fields = {name for name in vars(GenerationConfig()) if not name.startswith("_")}

    assert fields - _OTHERWISE == set(_OF_DECODING)


def test_the_ends_of_the_generation_config_count(tiny_policy: PolicyMaker, tmp_path: Path) -> None:
    policy = Path(shutil.copytree(tiny_policy("gemma2"), tmp_path / "policy"))
    file = policy / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token_id": MANY_ENDS}))

    assert draw(policy) == draw(tiny_policy("gemma2", eos_token_id=MANY_ENDS))


@pytest.mark.parametrize(
    ("model_type", "settings", "expected"),
    [
        ("llama", {"max_position_embeddings": 77}, 77),
        ("gpt2", {"n_positions": 77}, 77),
        ("gptj", {"n_positions": 77}, 77),
        ("mpt", {"max_seq_len": 77}, 77),
        ("bloom", {}, None),
        ("bloom", {"seq_length": 77}, 77),  # as published configurations of it say
        ("mamba", {}, None),
        ("gemma3", {"text_config": {"max_position_embeddings": 77}}, 77),
        ("llama4", {"text_config": {"max_position_embeddings": 77}}, 77),
        ("mllama", {"text_config": {"max_position_embeddings": 77}}, 77),
        ("qwen2_5_vl", {"text_config": {"max_position_embeddings": 77}}, 77),
        ("fuyu", {"text_config": {"model_type": "persimmon", "max_position_embeddings": 77}}, 77),
    ],
)
def test_the_context_window_is_found_where_configurations_say_it(
    model_type: str, settings: dict[str, Any], expected: int | None
) -> None:
    from transformers import AutoConfig

    assert context_window(AutoConfig.for_model(model_type, **settings)) == expected
