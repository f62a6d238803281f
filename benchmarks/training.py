"""How fast restem trains, against TRL's SFTTrainer as it comes and against what the matrix products alone take.

    python benchmarks/training.py [--model builtin:smollm2-135m-instruct] [--rows 96]

The rows are training questions of the embedded default with their right answers: what its training set holds, without
the sampling. Everything from loaded rows to a saved policy is timed, one epoch, imports apart. Tokens are those of the
rows, without padding, so that all train on the same number. `trl_default` is TRL with its defaults, bfloat16 and
activation checkpointing among them; `trl_float32` leaves out both: kinder to TRL where the CPU has no bfloat16.
`no_shared_prompt` is restem on rows of the same lengths that begin with different tokens. `seconds_to_first_step` is
from the end of filtering: the checks before training, and setting up until the first row is trained on.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from restem.parameters import PromptParameters, QuestionsParameters, TrainingParameters
from restem.policies.base_models import prepare_base_model
from restem.policies.policy import Policy
from restem.questions import load_questions
from restem.sampling.prompts import render_prompts
from restem.store.journal import Journal

_ROOF_REPEATS = 3


class Data(NamedTuple):
    """What is trained on, as the pipeline has it."""

    rows: Any  # the table training_set
    questions: Any
    prompts: Any


def make_data(policy: Policy, n: int, *, shared_prompt: bool) -> Data:
    """Return n training questions of the embedded default with their answers; or the same, all beginning otherwise."""
    import pandas as pd
    import yaml

    parameters = yaml.safe_load((Path(__file__).parents[1] / "conf/base/parameters.yml").read_text(encoding="utf-8"))
    questions = load_questions(QuestionsParameters(**parameters["questions"]))
    questions = questions[questions["split"].isin(["exemplar", "train"])].head(
        n + parameters["questions"]["n_exemplars"]
    )
    prompts = render_prompts(questions, policy, PromptParameters(**parameters["prompt"]))
    if not shared_prompt:
        starts = pd.Series([f"{index % 10}{index // 10 % 10}" for index in range(len(prompts))], index=prompts.index)
        prompts = prompts.assign(prompt=starts + prompts["prompt"].str[2:])
    answers = questions.set_index("question_id")["gold"].map(lambda gold: " " + json.loads(gold)["answer"])
    rows = pd.DataFrame(
        {
            "policy_id": policy.fingerprint,
            "question_id": prompts["question_id"],
            "sample_index": 0,
            "prompt": prompts["prompt"],
            "completion": prompts["question_id"].map(answers),
            "finish_reason": "stop",
            "weight": 1.0,
            "rank": 1,
        }
    )
    return Data(rows.reset_index(drop=True), questions, prompts)


def time_restem(policy: Policy, data: Data, parameters: TrainingParameters) -> dict[str, float]:
    """Return seconds, peak memory in MiB, and tokens of one restem training."""
    start = time.perf_counter()
    from restem.training.gate import check_training_set
    from restem.training.run import train
    from restem.training.weighted_sft import WeightedSFTTrainer

    imports = time.perf_counter() - start
    steps: list[float] = []
    plain_step = WeightedSFTTrainer.training_step

    def step(*arguments: Any, **options: Any) -> Any:
        steps.append(time.perf_counter())
        return plain_step(*arguments, **options)

    WeightedSFTTrainer.training_step = step  # type: ignore[method-assign]
    filtered = time.perf_counter()
    check_training_set(data.rows, data.questions, data.prompts, policy, parameters=parameters, add_special_tokens=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = train(data.rows, policy, parameters=parameters, output=Path(folder) / "policy")
        seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "seconds_to_first_step": steps[0] - filtered,
        "seconds_of_imports": imports,
        "n_tokens": sum(step["n_tokens_total"] for step in result.log),
        "n_tokens_trained": sum(step["n_tokens_trained"] for step in result.log),
        **_use(),
    }


def time_trl(policy: Policy, data: Data, parameters: TrainingParameters, changed: dict[str, Any]) -> dict[str, float]:
    """Return seconds and peak memory in MiB of TRL's SFTTrainer; `changed` is what is not left at its default."""
    import torch
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = data.rows[["prompt", "completion"]].to_dict("records")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        config = SFTConfig(
            output_dir=folder,
            num_train_epochs=parameters.epochs,
            use_cpu=not torch.cuda.is_available(),
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            **changed,
        )
        trainer = SFTTrainer(model=policy.path, args=config, train_dataset=Dataset.from_list(rows))
        trainer.train()
        trainer.save_model(f"{folder}/policy")
        seconds = time.perf_counter() - start
    return {"seconds": seconds, **_use()}


def time_roof(policy: Policy, n_tokens: int, dtype: str) -> dict[str, float]:
    """Return tokens per second if training were three times the forward products of the linear layers."""
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(policy.path, dtype=getattr(torch, dtype)).to(device)
    layers = [layer for layer in model.base_model.modules() if isinstance(layer, torch.nn.Linear)]
    inputs = {n: torch.randn(n_tokens, n, device=device, dtype=model.dtype) for n in {x.in_features for x in layers}}
    best = float("inf")
    with torch.no_grad():
        for _ in range(_ROOF_REPEATS):
            start = time.perf_counter()
            for layer in layers:
                layer(inputs[layer.in_features])
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
    n_weights = sum(layer.weight.numel() for layer in layers)
    return {"tokens_per_s": n_tokens / (3 * best), "peak_tokens_per_s": 1e12 / (6 * n_weights)}  # of one TFLOP/s


def alone(task: Any, *arguments: Any) -> dict[str, float]:
    """Return the result of a task in a process of its own, so that memory is its own too; and show it at once.

    TRL's default can take many minutes on a CPU without bfloat16: whoever stops it has the rest.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result: dict[str, float] = pool.submit(task, *arguments).result()
    print(f"{task.__name__}: {result}", file=sys.stderr, flush=True)
    return result


def here(task: Any, *arguments: Any) -> dict[str, float]:
    """Return the result of a task."""
    result: dict[str, float] = task(*arguments)
    return result


def _use() -> dict[str, float]:
    """Return peak memory in MiB, of the GPU if there is one, and this process's CPU seconds, imports included.

    CPU seconds are what to compare by on a machine that others use too.
    """
    import torch

    use = resource.getrusage(resource.RUSAGE_SELF)
    on_gpu = torch.cuda.is_available()
    memory_mib = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else use.ru_maxrss / 2**10  # Linux counts in KiB
    return {"memory_mib": memory_mib, "cpu_seconds": use.ru_utime + use.ru_stime}


def main() -> None:
    """Measure, and print one JSON object as the last line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="builtin:smollm2-135m-instruct")
    arguments.add_argument("--rows", type=int, default=96)
    arguments.add_argument("--peak-tflops", type=float, help="of the GPU; adds the share of it that is used")
    arguments.add_argument("--together", action="store_true", help="in this process: sooner, but memory is of all")
    arguments.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "restem-benchmark")
    chosen = arguments.parse_args()

    policy = prepare_base_model(chosen.model, store=Journal(chosen.store))
    parameters = TrainingParameters(epochs=1)
    measure = here if chosen.together else alone
    data = make_data(policy, chosen.rows, shared_prompt=True)
    unlike = make_data(policy, chosen.rows, shared_prompt=False)
    ours = measure(time_restem, policy, data, parameters)
    width = round(ours["n_tokens"] / len(data.rows) * (parameters.micro_batch_size or parameters.batch_size))
    roof = measure(time_roof, policy, width, _dtype())
    measured = {
        "restem": ours,
        "no_shared_prompt": measure(time_restem, policy, unlike, parameters),
        "trl_float32": measure(time_trl, policy, data, parameters, {"bf16": False, "activation_checkpointing": False}),
        "trl_default": measure(time_trl, policy, data, parameters, {}),
    }
    for each in measured.values():
        each["tokens_per_s"] = ours["n_tokens"] / each["seconds"]
        each["trained_tokens_per_s"] = ours["n_tokens_trained"] / each["seconds"]
    ratios = {
        "trl_default": ours["tokens_per_s"] / measured["trl_default"]["tokens_per_s"],
        "roof": ours["tokens_per_s"] / roof["tokens_per_s"],
        "trl_float32": ours["tokens_per_s"] / measured["trl_float32"]["tokens_per_s"],
        "trl_default_memory": measured["trl_default"]["memory_mib"] / ours["memory_mib"],
    }
    figures = {
        "model": chosen.model,
        "dtype": _dtype(),
        "n_rows": len(data.rows),
        "width": width,
        "roof_tokens_per_s": roof["tokens_per_s"],
        **measured,
    }
    if chosen.peak_tflops:
        figures["model_flops_utilisation"] = ours["tokens_per_s"] / roof["peak_tokens_per_s"] / chosen.peak_tflops
    for name, each in measured.items():
        print(
            f"{name:<18}{each['seconds']:8.1f} s {each['tokens_per_s']:9.0f} tokens/s "
            f"{each['trained_tokens_per_s']:7.0f} learnt/s {each['memory_mib']:7.0f} MiB"
        )
    print(f"{'roof':<26}  {roof['tokens_per_s']:9.0f} tokens/s")
    versions = {package: version(package) for package in ("torch", "transformers", "trl")}
    versions["python"] = sys.version.split()[0]
    print(json.dumps({"benchmark": "training", "ratios": ratios, "figures": figures, "versions": versions}))


def _dtype() -> str:
    from restem.engines.arithmetic import arithmetic_of

    return arithmetic_of("auto").dtype


if __name__ == "__main__":
    main()
