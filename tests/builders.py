"""Tables, parameters and policies that many tests start from."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from restem.configuration.check import check_parameters
from restem.configuration.resolve import resolve
from restem.parameters import Parameters
from restem.policies.policy import Policy

CONF = Path(__file__).parents[1] / "conf"
GROUPS = (
    "em",
    "policy",
    "questions",
    "prompt",
    "sampling",
    "scoring",
    "filtering",
    "training",
    "evaluation",
    "tracking",
)
NO_POLICY = Policy(path="unused", fingerprint="0" * 16, iteration=0, name="p", base="0" * 16)  # of a scripted engine

EXEMPLAR = "q: 2 + 5\na: 7\n\n"
SUMS = [(1, 2), (3, 4), (2, 2), (1, 6), (5, 3), (4, 5)]


def checked(**changes: object) -> Parameters:
    """Return the parameters of groups that are empty but for these."""
    return check_parameters({**{group: {} for group in GROUPS}, "experiment": "e", **changes})


def read_preset(name: str) -> dict[str, Any]:
    """Return the parameters of an environment of `conf/`, as files say them."""
    base = yaml.safe_load((CONF / "base" / "parameters.yml").read_text()) | {"experiment": "e"}
    over = yaml.safe_load((CONF / name / "parameters.yml").read_text()) | {"experiment": "e"}
    return resolve(base, methods={"rest_em": over}, runtime=None)


def questions(*splits: str) -> pd.DataFrame:
    """Return a question per split, "0 + 0 =" in the first."""
    return pd.DataFrame(
        {
            "question_id": [f"q{i}" for i in range(len(splits))],
            "text": [f"{i} + {i} =" for i in range(len(splits))],
            "gold": [json.dumps({"answer": str(2 * i)}) for i in range(len(splits))],
            "split": list(splits),
            "source": ["sums"] * len(splits),
        }
    )


def evaluation(
    n_correct: Sequence[int] | np.ndarray, *, n: int | list[int] = 8, suite: str = "test", **columns: Any
) -> pd.DataFrame:
    """Return the evaluation of questions with so many correct samples of n each, greedy and majority going by them."""
    counts, half = np.asarray(n_correct), np.asarray(n) / 2
    rows = {
        "policy_id": "p0",
        "suite": suite,
        "question_id": [f"{suite}-{i:05}" for i in range(len(counts))],
        "level": "",
        "source": "made",
        "decoding": "temperature=1.0 top_k=0 top_p=0.95",
        "n": n,
        "n_correct": counts,
        "n_distinct": n,
        "n_distinct_correct": np.minimum(counts, 2).astype(float),
        "n_truncated": 0,
        "greedy_correct": (counts > half).astype(int),
        "majority_correct": (counts > half).astype(float),
        "mean_reward": counts / np.asarray(n),
        "mean_tokens": 10.0,
    }
    return pd.DataFrame({**rows, **columns})


def training_row(question_id: str, prompt: str, completion: str, **changed: Any) -> dict[str, Any]:
    """Return a finished sample of weight one."""
    usual = {"policy_id": "p", "sample_index": 0, "finish_reason": "stop", "weight": 1.0, "rank": 1}
    return {**usual, "question_id": question_id, "prompt": prompt, "completion": completion, **changed}


def sums(**changed: Any) -> pd.DataFrame:
    """Return a training set of six right sums behind an exemplar."""
    rows = [training_row(f"{a}+{b}", f"{EXEMPLAR}q: {a} + {b}\na:", f" {a + b}", **changed) for a, b in SUMS]
    return pd.DataFrame(rows)


def weights(folder: Path) -> dict[str, Any]:
    """Return the weights of a policy's folder, by name."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def bytes_of_tables(data: Path) -> dict[str, bytes]:
    """Return the newest version of every Parquet file outside the journal, by its path without the version."""
    found = {}
    for file in sorted(data.rglob("*.parquet")):
        parts = file.relative_to(data).parts
        if file.is_file() and "journal" not in parts:
            found["/".join(part for part in parts if not part.startswith("20"))] = file.read_bytes()
    return found
