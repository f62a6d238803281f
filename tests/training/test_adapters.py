from typing import Any

import pytest
import torch

from restem.errors import TrainingError
from restem.parameters import LoraParameters
from restem.training.adapters import add_adapters, merged_weights
from tests.tiny_models import tiny_model

TOKENS = torch.arange(5, 25)[None]


def adapted(kind: str, targets: Any, **changed: Any) -> Any:
    """Return a model with adapters that have learnt something."""
    model = add_adapters(tiny_model(kind, **changed), LoraParameters(rank=2, targets=targets), seed=0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_" in name:
                weight.normal_(0.0, 0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("kind", "targets", "changed"),
    [
        ("llama", "all-linear", {}),
        ("llama", ["q_proj", "embed_tokens"], {"tie_word_embeddings": False}),
        ("llama", ["lm_head", "embed_tokens", "down_proj"], {"tie_word_embeddings": False}),
        ("llama", ["q_proj"], {"tie_word_embeddings": True, "attention_bias": True}),
        ("llama", r".*\.1\.mlp\..*_proj", {}),  # a regular expression, as peft takes it
        ("gpt2", "all-linear", {}),  # all layers turned, among them square ones
        ("gpt2", ["c_proj", "c_attn", "wpe"], {}),
        ("gpt2", ["lm_head", "c_fc"], {"tie_word_embeddings": False}),  # a turned layer beside one that is not
        ("gemma3_text", ["embed_tokens", "q_proj"], {"tie_word_embeddings": False}),  # scales what it embeds
        ("mixtral", "all-linear", {}),  # the experts and what chooses among them too
        ("mixtral", ["w1", "w2", "w3"], {}),  # as the experts' layers were once called
        ("olmoe", ["gate_proj", "up_proj", "down_proj", "q_proj"], {}),
        ("qwen3_next", "all-linear", {}),
        ("qwen3_moe", ["q_proj", "embed_tokens"], {"tie_word_embeddings": False}),
        ("bloom", "all-linear", {}),
        ("mamba", ["in_proj", "x_proj", "embeddings"], {"tie_word_embeddings": False}),
    ],
)
def test_the_merged_policy_answers_as_the_adapted_model_does(kind: str, targets: Any, changed: dict[str, Any]) -> None:
    model = adapted(kind, targets, **changed)
    plain = tiny_model(kind, **changed)
    with torch.no_grad():
        before, expected = plain(TOKENS).logits, model(input_ids=TOKENS).logits

    plain.load_state_dict(dict(merged_weights(model, model.state_dict())), strict=True)

    with torch.no_grad():
        found = plain(TOKENS).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (expected - before).abs().max() > 0.1  # there was something to merge


@pytest.mark.parametrize(
    ("kind", "targets", "place"),
    [
        ("llama", ["q_proj", "lm_head"], "lm_head, which shares its weights with model.embed_tokens"),
        ("llama", ["embed_tokens"], "model.embed_tokens, which shares its weights with lm_head"),
        ("gpt2", ["wte", "lm_head"], "which shares its weights with"),
    ],
)
def test_adapters_that_no_merged_policy_could_hold_are_refused(kind: str, targets: list[str], place: str) -> None:
    with pytest.raises(TrainingError) as raised:
        adapted(kind, targets, tie_word_embeddings=True)

    assert raised.value.message.startswith(f"training.lora.targets = {targets!r} takes ")
    assert place in raised.value.message
