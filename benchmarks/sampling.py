"""How fast the built-in engine draws n completions of each question, against others and against the roof.

    python benchmarks/sampling.py [--policy FOLDER] [--questions 8] [--n 32] [--new-tokens 48] [--vllm-python PYTHON]
    python benchmarks/sampling.py --only multi_head
    python benchmarks/sampling.py --only scaling --scale-questions 50,200,800 --scale-n 4,16,64 --scale-new-tokens 256

Everything is measured in one run, on the same prompts. The contenders that are several times slower draw the
first of these prompts only (--slow-questions): `generate` works through batches of a size that is tried out first,
so that more of them take longer and are not faster. `ragged` lets completions end by themselves, `fixed`
forbids it. Rates are tokens of completions per second. The roof is the time of the model's linear layers
alone at the engine's batch width: no attention, no norms, no reading of prompts.
"""

import argparse
import json
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from contenders import (
    MODES,
    TEMPERATURE,
    TOP_K,
    Load,
    measure_generate,
    measure_generate_batch,
    measure_roof,
    measure_vllm,
    timed,
)

SHARD = 64  # questions that are drawn together, as in `sampling.questions_per_shard`
PARTS = ("engine", "roof", "generate", "generate_batch", "vllm_cpu", "multi_head", "scaling")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def main() -> None:
    """Measure, print a table, and the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--policy", default="builtin:smollm2-135m-instruct", help="a folder, or one of the built-in ones"
    )
    parser.add_argument("--questions", type=int, default=8)
    parser.add_argument("--n", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--slow-questions", type=int, default=4, help="drawn by all but the engine")
    parser.add_argument("--scale-questions", type=numbers, default=[], help="as 50,200,800: by the engine, in shards")
    parser.add_argument("--scale-n", type=numbers, default=[], help="as 4,16,64: by the engine, all questions")
    parser.add_argument("--scale-new-tokens", type=numbers, default=[], help="as 256: by the engine, all questions")
    parser.add_argument("--only", default="", help="comma-separated part of " + ", ".join(PARTS))
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu, with --threads 1, on a busy machine")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--vllm-python", help="interpreter of an environment that has vllm")
    asked = parser.parse_args()
    timed.clock = CLOCKS[asked.clock]
    if asked.threads:
        import torch

        torch.set_num_threads(asked.threads)
    with policy_folder(asked.policy) as policy:
        load = Load(policy, make_prompts(policy, asked.questions), asked.n, asked.new_tokens, asked.dtype)
        figures = measure(load, asked)
    report(load, figures)


def numbers(text: str) -> list[int]:
    """Return "4,16" as numbers."""
    return [int(part) for part in text.split(",") if part]


@contextmanager
def policy_folder(named: str) -> Iterator[str]:
    """Return the folder of a policy that is named as in `policy.model`."""
    from restem.policies.base_models import prepare_base_model
    from restem.store.journal import Journal

    if not named.startswith("builtin:"):
        yield named
        return
    with tempfile.TemporaryDirectory() as folder:
        yield prepare_base_model(named, store=Journal(folder)).path


def measure(load: Load, asked: argparse.Namespace) -> dict[str, float]:
    """Return tokens per second by engine and mode."""
    slow = load._replace(prompts=load.prompts[: asked.slow_questions])
    measures: dict[str, Callable[[], dict[str, float]]] = {
        "engine": lambda: measure_engine(load),
        "roof": lambda: measure_roof(load),
        "generate": lambda: measure_generate(slow),
        "generate_batch": lambda: measure_generate_batch(slow),
        "vllm_cpu": lambda: measure_vllm(slow, asked.vllm_python) if asked.vllm_python else {},
        "multi_head": lambda: measure_multi_head(load, slow),
        "scaling": lambda: measure_scaling(load, asked),
    }
    only = [name for name in asked.only.split(",") if name] or [name for name in PARTS if name != "multi_head"]
    figures = {"slow_questions": float(len(slow.prompts))}
    for name, measured in measures.items():
        if name in only:
            started = time.perf_counter()
            found = measured()
            figures |= found
            print(f"{name}: {time.perf_counter() - started:.0f} s, {found}", file=sys.stderr, flush=True)
    return figures


def measure_multi_head(load: Load, slow: Load) -> dict[str, float]:
    """Return the rates for random weights of the same shape, but no heads share keys; so of fixed length only."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        config = AutoConfig.from_pretrained(load.policy)
        config.num_key_value_heads = config.num_attention_heads
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(load.policy).save_pretrained(folder)
        rates = measure_engine(load._replace(policy=folder)) | measure_generate(slow._replace(policy=folder))
    return {f"multi_head_{name}": rates[name] for name in ("engine_fixed", "generate_fixed")}


def measure_scaling(load: Load, asked: argparse.Namespace) -> dict[str, float]:
    """Return the engine's rates for other numbers of questions, samples and tokens, with the memory they took."""
    from restem.engines import open_engine

    variants = {
        **{
            f"questions_{size}": load._replace(prompts=make_prompts(load.policy, size))
            for size in asked.scale_questions
        },
        **{f"n_{n}": load._replace(n=n) for n in asked.scale_n},
        **{f"new_tokens_{length}": load._replace(new_tokens=length) for length in asked.scale_new_tokens},
    }
    rates: dict[str, float] = {}
    if not variants:
        return rates
    with open_engine("transformers", load.policy, dtype=load.dtype) as engine:
        for name, variant in variants.items():
            shards = [variant.prompts[start : start + SHARD] for start in range(0, len(variant.prompts), SHARD)]
            rate = timed(lambda: sum(draw(engine, variant._replace(prompts=shard)) for shard in shards))  # noqa: B023
            rates[f"engine_ragged_{name}"] = rate.per_second
            # Of the process so far, so the order is from few questions to many.
            rates[f"peak_memory_mb_{name}"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return rates


def make_prompts(policy: str, n_questions: int) -> list[str]:
    """Return chat prompts of about 100 tokens: a few solved sums, then one to solve."""
    import reasoning_gym
    from transformers import AutoTokenizer

    data = reasoning_gym.create_dataset(
        "chain_sum", seed=1, size=n_questions + 4, min_terms=2, max_terms=4, min_digits=1, max_digits=2
    )
    entries = [(entry["question"], entry["answer"]) for entry in data]
    shown = "\n\n".join(f"Question: {question}\nAnswer: {answer}" for question, answer in entries[:2])
    tokenizer = AutoTokenizer.from_pretrained(policy)
    texts = [f"{shown}\n\nQuestion: {question}\nThink in one sentence, then answer." for question, _ in entries[4:]]
    if not tokenizer.chat_template:
        return [f"{text}\nAnswer:" for text in texts]
    return [
        tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        for text in texts
    ]


def measure_engine(load: Load) -> dict[str, float]:
    """Return the built-in engine's rates."""
    from restem.engines import open_engine

    rates = {}
    with open_engine("transformers", load.policy, dtype=load.dtype) as engine:
        policy: Any = engine._policy  # type: ignore[attr-defined]
        for mode in MODES:
            engine._policy = policy if mode == "ragged" else policy._replace(eos=frozenset({-1}))  # type: ignore[attr-defined]
            list(engine.sample(load.prompts[:1], n=4, max_new_tokens=4, add_special_tokens=False))
            rates[f"engine_{mode}"] = timed(lambda: draw(engine, load)).per_second
    return rates


def draw(engine: Any, load: Load) -> int:
    """Return how many tokens the engine drew."""
    drawn = engine.sample(
        load.prompts,
        n=load.n,
        temperature=TEMPERATURE,
        top_k=TOP_K,
        max_new_tokens=load.new_tokens,
        seed=0,
        add_special_tokens=False,
    )
    return sum(completion.n_tokens for completions in drawn for completion in completions)


def report(load: Load, figures: dict[str, float]) -> None:
    """Print the table, and as the last line the JSON object."""
    ratios = {}
    for other in ("generate", "generate_batch", "vllm_cpu"):
        compared = [
            figures[f"engine_{mode}"] / figures[f"{other}_{mode}"] for mode in MODES if f"{other}_{mode}" in figures
        ]
        if compared and "engine_fixed" in figures:
            ratios[other] = round(min(compared), 3)
    if "multi_head_engine_fixed" in figures:
        ratios["generate_multi_head"] = round(
            figures["multi_head_engine_fixed"] / figures["multi_head_generate_fixed"], 3
        )
    if "roof" in figures and "engine_fixed" in figures:
        ratios["roof"] = round(figures["engine_fixed"] / figures["roof"], 3)
    lines = [f"{'tokens per second':24}{'ragged':>10}{'fixed':>10}"]
    for name in ("engine", "generate", "generate_batch", "vllm_cpu"):
        if f"{name}_fixed" in figures:
            lines.append(f"{name:24}{figures[f'{name}_ragged']:10.1f}{figures[f'{name}_fixed']:10.1f}")
        if f"multi_head_{name}_fixed" in figures:
            lines.append(f"{f'{name}, multi-head':24}{'':10}{figures[f'multi_head_{name}_fixed']:10.1f}")
    lines.append(f"{'roof (linear layers)':24}{'':10}{figures.get('roof', float('nan')):10.1f}")
    lines += [
        f"{name:40}{value:10.1f}" for name, value in figures.items() if name.startswith(("engine_ragged_", "peak"))
    ]
    result = {
        "benchmark": "sampling",
        "ratios": ratios,
        "figures": {name: round(value, 2) for name, value in figures.items()}
        | {"questions": len(load.prompts), "n": load.n, "new_tokens": load.new_tokens},
        "versions": {name: version(name) for name in ("torch", "transformers")}
        | {"python": platform.python_version(), "machine": platform.machine()},
    }
    lines.append(json.dumps(result))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
