"""What an iteration costs: tokens, floating-point operations, seconds, and what it gains for them.

A forward pass takes about 2 N operations per token, training 6 N, with N the parameters without embeddings.
Source: Kaplan et al. 2020, https://arxiv.org/abs/2001.08361, section 2.1. Attention over the context is left out, as
there; a prompt is read once for all samples of its question, as the built-in engine does.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from restem.engines.encoding import encode_prompts
from restem.engines.model_code import from_folder
from restem.evaluation.comparisons import compare
from restem.policies.policy import Policy
from restem.schemas import CORRECT, FROM_FILE
from restem.store.names import namespace_of
from restem.store.tables import ShardedTable, Table

FLOPS_FORWARD, FLOPS_TRAINED = 2, 6  # per parameter and token
_EMBEDDINGS = ("embed", "wte", "wpe", "lm_head")  # in names of weights
_PROMPTS_READ = 256  # whose mean length stands for all; they differ by a question's length
_SECONDS_PER_HOUR = 3600
_STAGES = {  # of the nodes of an iteration, whose names begin so
    "draw_samples": "sampling",
    "draw_follow_up_samples": "sampling",
    "score_samples": "scoring",
    "train_policy": "training",
    "draw_evaluation_samples": "evaluation",
    "score_evaluation_samples": "evaluation",
}
OTHER = "other"
STAGES = (*dict.fromkeys(_STAGES.values()), OTHER)


class ModelSize(NamedTuple):
    """How big a model is."""

    n_parameters: int  # all
    n_without_embeddings: int
    n_bytes: int  # of its weight files


def model_size(folder: Path) -> ModelSize:
    """Return the size of a policy folder's model, from the headers of its safetensors files; zeros if it has none."""
    from safetensors import safe_open

    total = inner = n_bytes = 0
    for file in sorted(folder.glob("*.safetensors")):
        n_bytes += file.stat().st_size
        with safe_open(file, framework="numpy") as weights:
            for name in weights.keys():  # noqa: SIM118 - it is no dict
                size = 1
                for length in weights.get_slice(name).get_shape():
                    size *= length
                total += size
                inner += 0 if any(part in name for part in _EMBEDDINGS) else size
    return ModelSize(total, inner, n_bytes)


def count_prompt_tokens(prompts: Sequence[str], policy: Policy, *, add_special_tokens: bool) -> float:
    """Return the mean length of prompts in tokens; of many, that of an evenly spaced sample."""
    from transformers import AutoTokenizer

    if not prompts:
        return 0.0
    step = max(1, len(prompts) // _PROMPTS_READ)
    tokenizer = AutoTokenizer.from_pretrained(policy.path, **from_folder())
    read = encode_prompts(tokenizer, prompts[::step], add_special_tokens=add_special_tokens)
    return sum(map(len, read)) / len(read)


class Drawn(NamedTuple):
    """Samples, as far as their cost goes."""

    n_prompts: int  # each read once for all samples of a question and decoding
    n_tokens: int  # generated
    n_correct: int

    @classmethod
    def of(cls, *tables: ShardedTable) -> "Drawn":
        """Return the counts of scored samples; what was read from files was not drawn, and cost nothing here."""
        n_prompts = n_tokens = n_correct = 0
        for table in tables:
            for whole in table:
                shard = whole[whole["decoding"] != FROM_FILE]
                n_prompts += len(shard[["suite", "question_id", "decoding"]].drop_duplicates())
                n_tokens += int(shard["n_tokens"].sum())
                n_correct += int((shard["reward"] >= CORRECT).sum())
        return cls(n_prompts, n_tokens, n_correct)


def count_cost(
    size: ModelSize, prompt_tokens: float, *, sampled: Drawn, evaluated: Drawn, training_log: Table | None
) -> dict[str, float]:
    """Return tokens and operations by stage, for the record of an iteration.

    Args:
        size: Of the model.
        prompt_tokens: Mean length of a prompt.
        sampled: The E-step's samples.
        evaluated: The evaluation's.
        training_log: Of the M-step; None for the base policy.
    """
    trained = 0.0 if training_log is None or training_log.empty else float(training_log["n_tokens_total"].sum())
    n = size.n_without_embeddings
    read = {"sampling": sampled.n_prompts * prompt_tokens, "evaluation": evaluated.n_prompts * prompt_tokens}
    cost = {
        "n_parameters": float(size.n_parameters),
        "tokens_sampled": float(sampled.n_tokens),
        "tokens_evaluated": float(evaluated.n_tokens),
        "tokens_read": round(read["sampling"] + read["evaluation"], 1),
        "tokens_trained": trained,
        "flops_sampling": FLOPS_FORWARD * n * (sampled.n_tokens + read["sampling"]),
        "flops_evaluation": FLOPS_FORWARD * n * (evaluated.n_tokens + read["evaluation"]),
        "flops_training": FLOPS_TRAINED * n * trained,
    }
    if sampled.n_tokens:
        cost["accepted_per_1000_tokens"] = 1000 * sampled.n_correct / sampled.n_tokens
    return cost


def seconds_by_stage(node_seconds: Mapping[str, float], iteration: int) -> dict[str, float]:
    """Return the wall clock of an iteration's stages."""
    prefix = f"{namespace_of(iteration)}."
    seconds = dict.fromkeys(STAGES, 0.0)
    for name, taken in node_seconds.items():
        if name.startswith(prefix):
            seconds[_STAGES.get(name.removeprefix(prefix), OTHER)] += taken
    return seconds


def cost_table(
    records: Mapping[int, Mapping[str, Any]],
    evaluations: Mapping[int, Table],
    node_seconds: Mapping[str, float],
    *,
    suite: str,
    seed: int,
) -> Table:
    """Return a row per iteration: tokens, operations and seconds by stage, and the gain per hour.

    `gain` is the change of sampled pass@1 from the policy before, with its interval; per hour of the whole iteration.

    Args:
        records: By iteration; `cost` in them is from count_cost, and may be missing from old ones.
        evaluations: By iteration.
        node_seconds: Wall clock by node.
        suite: Of the gain.
        seed: Of its bootstrap.
    """
    import pandas as pd

    rows = []
    for i, record in records.items():
        seconds = seconds_by_stage(node_seconds, i)
        row: dict[str, float] = {"iteration": i, **record.get("cost", {})}
        row |= {f"seconds_{stage}": taken for stage, taken in seconds.items()}
        row["seconds"] = sum(seconds.values())
        if i:
            gain = compare(evaluations[i - 1], evaluations[i], suite=suite, seed=seed)
            row |= {"gain": gain.difference, "gain_low": gain.low, "gain_high": gain.high}
            if row["seconds"]:
                row["gain_per_hour"] = gain.difference * _SECONDS_PER_HOUR / row["seconds"]
        rows.append(row)
    return pd.DataFrame(rows)
