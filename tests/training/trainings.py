"""Trainings that are measured by a reward told beforehand, by one process or two."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from restem.parameters import SamplingParameters, ScoringParameters, TrainingParameters
from restem.policies.policy import Policy
from restem.sampling.sampler import EngineChoice
from restem.training.request import TrainingResult
from restem.training.run import train
from restem.training.validation import Validation, make_validation
from tests import declining_engine
from tests.builders import EXEMPLAR, sums, training_row
from tests.conftest import ROOT

N_VALIDATION = 4
PRESETS = ROOT / "conf" / "accelerate"
TWO = {"launcher": "accelerate", "launcher_config": str(PRESETS / "ddp.yaml"), "processes": 2}
OPTIONS = {"epochs": 3, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-3, "dtype": "float32"}
REWARDS = [1, 3, 2]


def validation(n_right: list[int], *, engine: str = declining_engine.NAME) -> Validation:
    """Return a validation whose k-th measurement finds n_right[k] of 4 answers right."""
    declining_engine.opened.clear()
    names = [f"v{n}" for n in range(N_VALIDATION)]
    questions = pd.DataFrame(
        {"question_id": names, "gold": json.dumps({"answer": "yes"}), "reward": "exact", "split": "validation"}
    )
    prompts = pd.DataFrame({"question_id": names, "prompt_id": names, "prompt": [f"{EXEMPLAR}q: {n}" for n in names]})
    solutions = pd.DataFrame([training_row(name, f"{EXEMPLAR}q: {name}\na:", " 3") for name in names])
    options: dict[str, Any] = {"n_right": n_right} if engine == declining_engine.NAME else {"dtype": "float32"}
    made = make_validation(
        questions,
        prompts,
        solutions,
        every=1.0,
        choice=EngineChoice(engine, options, add_special_tokens=True, questions_per_shard=8),
        sampling=SamplingParameters(max_new_tokens=2),
        scoring=ScoringParameters(workers=1),
    )
    assert made is not None
    return made


def rows() -> pd.DataFrame:
    """Five rows in batches of four: the last batch of an epoch has one row, and the second process none."""
    table = sums().head(5)
    table["weight"] = [1.0, 0.5, 0.25, 1.0, 2.0]
    table.loc[2, "completion"] = " 4, as two and two make four"
    return table


def trained(base: Policy, folder: Path, n_right: list[int], **changed: Any) -> TrainingResult:
    return train(
        rows(),
        base,
        parameters=TrainingParameters(**{**OPTIONS, "checkpoint_every_s": 0, **changed}),
        output=folder / "policy",
        validation=validation(n_right),
        unfinished=folder / "unfinished",
    )


def worker(folder: Path, rank: int) -> int:
    """Return the id of the process of that rank which trains on the request below a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        named = f"restem.training.worker\0{folder}".encode() in command and b"accelerate" not in command
        if named and f"\0RANK={rank}\0".encode() in environment:
            return int(process.name)
    raise LookupError(rank)
