"""What the built-in engine draws, and what the model gives without it."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from restem.engines import Completion, open_engine

RAGGED = [
    "12 + 34",
    "Q: the weather in an inn?\nA:",
    "Q: he?\nA:",
    "x",
    "Q: the 1234 abba. Another one, quite a bit longer\nA:",
]
MANY_ENDS = [0, *range(5, 105, 9)]  # so that a random policy ends soon, and at different times


def draw(policy: Path, prompts: Sequence[str] = RAGGED, /, **arguments: Any) -> list[list[Completion]]:
    options = {name: arguments.pop(name) for name in ("max_batch", "dtype") if name in arguments}
    with open_engine("transformers", policy, **{"dtype": "float32", **options}) as engine:
        return list(engine.sample(prompts, **{"n": 3, "max_new_tokens": 12, "seed": 0, **arguments}))


@lru_cache
def plain_model(policy: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(policy, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(policy)


def generated(policy: Path, prompt: str, max_new_tokens: int) -> tuple[list[int], str]:
    model, tokenizer = plain_model(policy)
    inputs = tokenizer(prompt, return_tensors="pt")["input_ids"]
    output = model.generate(inputs, do_sample=False, max_new_tokens=max_new_tokens)
    tokens = output[0, inputs.shape[1] :].tolist()
    return tokens, tokenizer.decode(tokens, skip_special_tokens=True)
