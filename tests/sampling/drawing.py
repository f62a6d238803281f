"""Samples of a few questions, drawn by a tiny policy or by the scripted engine."""

from pathlib import Path
from typing import Any

import pandas as pd

from restem.sampling.sampler import Decoding, Draw, EngineChoice, draw_samples
from restem.store.journal import Journal
from tests.builders import NO_POLICY

DECODING = Decoding("sampled", n=16, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=40, stop=())
CHOICE = EngineChoice("transformers", {"dtype": "float32", "threads": 1}, True, questions_per_shard=6)
POLICY = NO_POLICY  # the scripted engine needs none


def asked(n: int) -> Any:
    rows = range(n)
    return pd.DataFrame(
        {
            "question_id": [f"q{row}" for row in rows],
            "prompt_id": [f"{row:016x}" for row in rows],
            "prompt": [f"what is {row} + {row}?" for row in rows],
            "suite": "train",
        }
    )


def scripted(journal: Path, *, n_questions: int, seed: int = 0, **changes: Any) -> Any:
    """Return the table that the scripted engine draws."""
    decoding = DECODING._replace(**changes)
    choice = EngineChoice("scripted", {"default": ["a b c", "d e", "x" * 5000]}, True, questions_per_shard=6)
    draw = Draw(asked(n_questions), decoding, purpose="train", iteration=1)
    return draw_samples([draw], POLICY, choice=choice, journal=Journal(journal), experiment_seed=seed)
