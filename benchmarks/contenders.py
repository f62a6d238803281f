"""What the built-in engine is measured against, and the clock for all of them."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

TEMPERATURE, TOP_K = 0.7, 40
GENERATE_BATCHES = (16, 32, 64, 128)  # rows; the fastest counts
MODES = ("ragged", "fixed")
PAGE = 32  # tokens per page of generate_batch's cache


class Load(NamedTuple):
    """What is drawn."""

    policy: str
    prompts: list[str]
    n: int
    new_tokens: int
    dtype: str


class Plain(NamedTuple):
    """The policy as a user would load it."""

    model: Any
    tokenizer: Any


class Rate(NamedTuple):
    """What came out."""

    n_tokens: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Return tokens per second."""
        return self.n_tokens / self.seconds


class _Timed:
    """A stopwatch."""

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    def __call__(self, run: Callable[[], int]) -> Rate:
        """Return what a run drew, and how long it took."""
        start = self.clock()
        n_tokens = run()
        return Rate(n_tokens, self.clock() - start)


timed = _Timed()


def load_plain(load: Load) -> Plain:
    """Return the model and the tokenizer as a user would load them, in the engine's dtype."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from restem.engines.arithmetic import arithmetic_of, fastest_device

    device = fastest_device()
    dtype = getattr(torch, arithmetic_of(load.dtype, device).dtype)
    tokenizer = AutoTokenizer.from_pretrained(load.policy, padding_side="left")
    return Plain(AutoModelForCausalLM.from_pretrained(load.policy, dtype=dtype).to(device).eval(), tokenizer)


def measure_roof(load: Load) -> dict[str, float]:
    """Return the rate of the linear layers alone, at the engine's batch width."""
    import torch

    model, _ = load_plain(load)
    width = min(256, len(load.prompts) * load.n)
    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    inputs = {
        size: torch.randn(width, size, dtype=model.dtype, device=model.device)
        for size in {layer.in_features for layer in layers}
    }

    def run() -> int:
        for layer in layers:
            layer(inputs[layer.in_features])
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        return width

    with torch.inference_mode():
        run()
        return {"roof": statistics.median(timed(run).per_second for _ in range(9))}


def measure_generate(load: Load) -> dict[str, float]:
    """Return the rates of `generate`, at the batch size that is fastest on one batch of fixed length."""
    plain = load_plain(load)
    rows = [prompt for prompt in load.prompts for _ in range(load.n)]
    trials = {
        size: timed(lambda size=size: generate(plain, rows[:size], size, 16, "fixed")).per_second
        for size in GENERATE_BATCHES
        if size <= len(rows)
    }
    best = max(trials, key=lambda size: trials[size], default=len(rows))
    rates = {"generate_best_batch": float(best)}
    for mode in MODES:
        rates[f"generate_{mode}"] = timed(
            lambda mode=mode: generate(plain, rows, best, load.new_tokens, mode)
        ).per_second
    return rates


def generate(plain: Plain, rows: list[str], batch_size: int, new_tokens: int, mode: str) -> int:
    """Return how many tokens `generate` drew for these prompts, one completion each."""
    import torch

    model, tokenizer = plain
    n_tokens = 0
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                do_sample=True,
                temperature=TEMPERATURE,
                top_k=TOP_K,
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens if mode == "fixed" else None,
            )
        for tokens in output[:, inputs["input_ids"].shape[1] :].tolist():
            ends = [index for index, token in enumerate(tokens) if token == tokenizer.eos_token_id]
            n_tokens += ends[0] + 1 if ends else len(tokens)
    return n_tokens


def measure_generate_batch(load: Load) -> dict[str, float]:
    """Return the rate of transformers' continuous batching."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    model, tokenizer = load_plain(load)
    inputs = [
        tokenizer(prompt, add_special_tokens=False)["input_ids"] for prompt in load.prompts for _ in range(load.n)
    ]

    # Left to itself it takes most of the machine's memory and then attends over all of it, at a few tokens per second.
    pages = sum(-(-(len(tokens) + load.new_tokens) // PAGE) for tokens in inputs)
    sizes = ContinuousBatchingConfig(num_blocks=pages, page_size=PAGE, max_batch_tokens=max(256, len(inputs)))

    def run(mode: str) -> int:
        config = GenerationConfig(
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=TOP_K,
            max_new_tokens=load.new_tokens,
            eos_token_id=tokenizer.eos_token_id if mode == "ragged" else -1,
            pad_token_id=tokenizer.eos_token_id,
        )
        results = model.generate_batch(inputs=inputs, generation_config=config, continuous_batching_config=sizes)
        return sum(len(result.generated_tokens) for result in results.values())

    return {f"generate_batch_{mode}": timed(lambda mode=mode: run(mode)).per_second for mode in MODES}


VLLM_SCRIPT = """
import json, sys, time
from vllm import LLM, SamplingParams
asked = json.load(open(sys.argv[1]))
model = LLM(asked["policy"], dtype=asked["dtype"], max_model_len=2048, enable_prefix_caching=True, **asked["memory"])
for mode in ("warm", "ragged", "fixed"):
    sampling = SamplingParams(n=asked["n"], temperature=asked["temperature"], top_k=asked["top_k"],
                              max_tokens=asked["new_tokens"], ignore_eos=mode == "fixed")
    start = time.perf_counter()
    outputs = model.generate(asked["prompts"][: 1 if mode == "warm" else None], sampling, use_tqdm=False)
    n_tokens = sum(len(one.token_ids) for output in outputs for one in output.outputs)
    print(json.dumps({mode: n_tokens / (time.perf_counter() - start)}), flush=True)
"""


def measure_vllm(load: Load, python: str) -> dict[str, float]:
    """Return vLLM's rates, in an environment of its own, with all cores."""
    from restem.engines.arithmetic import arithmetic_of, fastest_device

    device = fastest_device()
    asked = load._asdict() | {
        "temperature": TEMPERATURE,
        "top_k": TOP_K,
        "dtype": arithmetic_of(load.dtype, device).dtype,
        "memory": {"gpu_memory_utilization": 0.4} if device == "cpu" else {},  # of the machine's whole memory
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "asked.json"
        file.write_text(json.dumps(asked))
        done = subprocess.run(
            [python, "-c", VLLM_SCRIPT, file],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"VLLM_CPU_NUM_OF_RESERVED_CPU": "0"},  # it would leave one core to its other processes
        )
    if done.returncode:
        raise SystemExit(f"vLLM failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    rates: dict[str, float] = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            rates |= json.loads(line)
    return {f"vllm_cpu_{mode}": rates[mode] for mode in MODES}
