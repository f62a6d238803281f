"""Samples and verdicts of many small shards, on any backend."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from restem.parameters import ScoringParameters
from restem.parameters.scale import ScaleParameters, WorkersParameters
from restem.sampling.sampler import Decoding, Draw, EngineChoice, draw_samples
from restem.scoring.verdicts import score_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable
from tests.builders import NO_POLICY

POLICY = NO_POLICY
DECODING = Decoding("sampled", n=4, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=9, stop=())
SHARD = 3  # questions


def on_ray(address: str | None, *, workers: int = 2, **changes: Any) -> ScaleParameters:
    each = WorkersParameters(workers=workers, cpus=changes.pop("cpus", 1.0), gpus=changes.pop("gpus", 0.0))
    return ScaleParameters(backend="ray", address=address, sampling=each, scoring=each, **changes)


def questions(n: int) -> Any:
    return pd.DataFrame(
        {
            "question_id": [f"q{row:03}" for row in range(n)],
            "gold": [f'{{"answer": "{row % 4}"}}' for row in range(n)],
            "reward": "exact",
        }
    )


def sampled(
    folder: Path, scale: ScaleParameters, *, n_questions: int = 24, engine: str = "open_slow", **options: Any
) -> ShardedTable:
    asked = pd.DataFrame(
        {
            "question_id": questions(n_questions)["question_id"],
            "prompt_id": [f"{row:016x}" for row in range(n_questions)],
            "prompt": [f"question {row}" for row in range(n_questions)],
            "suite": "train",
        }
    )
    choice = EngineChoice(f"tests.scale.slow_engine:{engine}", options, True, questions_per_shard=SHARD)
    draw = Draw(asked, DECODING, purpose="train", iteration=1)
    return draw_samples([draw], POLICY, choice=choice, journal=Journal(folder), experiment_seed=3, scale=scale)


def scored(folder: Path, samples: ShardedTable, scale: ScaleParameters, *, n_questions: int = 24) -> ShardedTable:
    parameters = ScoringParameters(workers=1)
    return score_samples(samples, questions(n_questions), parameters=parameters, journal=Journal(folder), scale=scale)


def bytes_of(table: ShardedTable) -> list[bytes]:
    return [file.read_bytes() for file in table.files]


def begun(marks: Path) -> list[int]:
    """Return the process of every shard that was begun."""
    return [int(mark.name.partition("-")[0]) for mark in marks.iterdir()]


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("it did not come true")
        time.sleep(0.02)
