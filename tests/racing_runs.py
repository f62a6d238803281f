"""Processes that start the same work in one journal at the same moment: forks of one that has imported everything.

`python -m tests.racing_runs FOLDER N...` races N processes in FOLDER/N, for every N, and prints a line of JSON for it:
what every process made, and what it had in the end.
"""

import json
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from restem.parameters import ScoringParameters, TrainingParameters
from restem.policies.base_models import prepare_base_model
from restem.sampling import sampler
from restem.sampling.sampler import Decoding, Draw, EngineChoice, draw_samples
from restem.scoring import verdicts
from restem.scoring.verdicts import score_samples
from restem.store import journal as journals
from restem.store import tables
from restem.store.fingerprints import folder_fingerprint
from restem.store.journal import Journal
from restem.store.tables import ShardedTable
from restem.training.m_step import MStep, train_policy

CHOICE = EngineChoice("transformers", {"dtype": "float32", "threads": 1}, True, questions_per_shard=3)
SAMPLED = Decoding("sampled", n=3, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=6, stop=())
GREEDY = SAMPLED._replace(name="greedy", n=1, temperature=0.0)
PASSED = pd.DataFrame({"check": ["all"], "outcome": ["passed"], "found": [""]})


def questions() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "question_id": [f"q{row}" for row in range(7)],
            "prompt_id": [f"{row:016x}" for row in range(7)],
            "prompt": [f"{row} + {row} =" for row in range(7)],
            "gold": [json.dumps({"answer": str(2 * row)}) for row in range(7)],
            "reward": "exact",
            "suite": "train",
        }
    )


def iteration(folder: Path) -> dict[str, Any]:
    """Make a base model, an E-step, an M-step and an evaluation, and return what there is then."""
    from tests.builders import sums

    journal = Journal(folder / "journal")
    base = prepare_base_model("builtin:tiny", store=Journal(folder / "base"))
    draws = [Draw(questions(), SAMPLED, "train", 1), Draw(questions(), GREEDY, "evaluation", 1)]
    samples = draw_samples(draws, base, choice=CHOICE, journal=journal, experiment_seed=1)
    scored = score_samples(samples, questions(), parameters=ScoringParameters(workers=1), journal=journal)
    tables.write_shard(sums(), folder / f"rows-{multiprocessing.current_process().name}.parquet")
    rows = ShardedTable([folder / f"rows-{multiprocessing.current_process().name}.parquet"])
    step = MStep(
        base_policy=base,
        parent=base,
        training=TrainingParameters(epochs=1, batch_size=2, micro_batch_size=2, dtype="float32", eval_every=None),
        validation=None,
        add_special_tokens=True,
    )
    policy, log = train_policy(rows, PASSED, step, journal=journal)
    return {
        "base": folder_fingerprint(base.folder),
        "policy": [policy.fingerprint, folder_fingerprint(policy.folder)],
        "steps": len(log),
        "samples": samples.fingerprints(),
        "scored": scored.fingerprints(),
    }


def counting(made: list[str]) -> None:
    """Have everything that a journal is given noted; it is made as always."""
    write, write_shard = journals.JournalEntry.write, tables.write_shard

    def noted_write(self: Any, name: str, make: Callable[[Path], None]) -> Path:
        if name in ("model", "policy"):
            made.append(name)
        return write(self, name, make)

    def noted_shard(frame: Any, file: Path) -> None:
        if not file.name.startswith("rows-"):
            made.append(f"{file.parent.name}/{file.name}")
        write_shard(frame, file)

    journals.JournalEntry.write = noted_write
    for module in (sampler, verdicts, journals):
        module.write_shard = noted_shard


def race(folder: Path, n: int) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    start, heard = context.Barrier(n), context.SimpleQueue()

    def run() -> None:
        made: list[str] = []
        counting(made)
        start.wait()
        heard.put({"had": iteration(folder), "made": made})

    folder.mkdir(parents=True)
    processes = [context.Process(target=run) for _ in range(n)]
    for process in processes:
        process.start()
    found = [heard.get() for _ in processes]
    for process in processes:
        process.join()
    left = [path.name for path in folder.rglob(".*.partial")]
    return {"had": [one["had"] for one in found], "made": [one["made"] for one in found], "left": left}


if __name__ == "__main__":
    import transformers  # noqa: F401 - before the forks, which would each take seconds over it
    import trl  # noqa: F401

    from tests.training import test_run  # noqa: F401

    for number in map(int, sys.argv[2:]):
        print(json.dumps(race(Path(sys.argv[1]) / str(number), number)), flush=True)  # noqa: T201
