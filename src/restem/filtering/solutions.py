"""Rows of training sets from elsewhere than this iteration's samples: people's solutions, and earlier iterations'."""

import json

from restem.sampling.answers import prefills_of
from restem.sampling.styles import as_completion
from restem.schemas import check
from restem.store.fingerprints import fingerprint
from restem.store.journal import Journal
from restem.store.tables import RowsByQuestion, ShardedTable, Table

HUMAN = "human"  # in place of the policy that a row came from


def human_solutions(questions: Table, prompts: Table, *, journal: Journal) -> ShardedTable:
    """Return a training row for every training question to which the gold has a human solution."""
    import pandas as pd

    trained = questions[questions["split"] == "train"].merge(prompts, on="question_id", validate="one_to_one")
    rows = [
        {
            "policy_id": HUMAN,
            "question_id": row.question_id,
            "sample_index": 0,
            "prompt": row.prompt,
            "completion": as_completion(str(row.prompt), solution, prefill=prefill),
            "finish_reason": "stop",
            "weight": 1.0,
            "rank": 1,
            "token_ids": None,
        }
        for row, prefill in zip(trained.itertuples(), prefills_of(trained), strict=True)
        if (solution := json.loads(str(row.gold)).get("solution"))
    ]
    if not rows:
        return ShardedTable([])
    entry = journal.open("human-solutions", rows=fingerprint(rows))
    return ShardedTable([entry.shard("00000.parquet", lambda: check("training_set", pd.DataFrame(rows)))])


def accumulate(kept_before: ShardedTable, training_set: ShardedTable, *, journal: Journal) -> ShardedTable:
    """Return what was learned from so far: `kept_before`, and the rows of a training set that it does not hold."""
    before = RowsByQuestion(kept_before)
    entry = journal.open("kept", before=kept_before.fingerprints(), training_set=training_set.fingerprints())
    files = list(kept_before.files)
    for number, shard in enumerate(training_set):
        known = set(_keys(before.rows(shard["question_id"]))) if kept_before.files else set()
        new = shard[[row not in known for row in _keys(shard)]]
        if len(new):
            files.append(entry.shard(f"{number:05d}.parquet", new.copy))
    return ShardedTable(files)


def _keys(rows: Table) -> list[tuple[str, str, int]]:
    return [tuple(row) for row in zip(rows["policy_id"], rows["question_id"], rows["sample_index"], strict=True)]
