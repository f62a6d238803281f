"""Which questions a policy newly solves or loses, with what was answered before and after."""

import json
from collections.abc import Mapping

from restem.schemas import CORRECT
from restem.store.tables import ShardedTable, Table

ANSWER_COLUMNS = ["policy_id", "suite", "question_id", "completion", "answer", "reward", "reason"]
SOLVED, LOST = "newly solved", "newly lost"
COLUMNS = [
    "iteration",
    "suite",
    "change",
    "question_id",
    "level",
    "question",
    "gold",
    "before",
    "answer_before",
    "after",
    "answer_after",
]


def greedy_answers(scored: ShardedTable) -> Table:
    """Return the greedy completion of every evaluation question, with its verdict."""
    import pandas as pd

    tables = [shard.loc[shard["decoding"] == "greedy", ANSWER_COLUMNS] for shard in scored]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=ANSWER_COLUMNS)


def changed_questions(answers: Mapping[int, Table], questions: Table) -> Table:
    """Return a row per iteration and question that its greedy answer newly solves or loses, against the base policy.

    Args:
        answers: The table `greedy_answers` by iteration, from 0.
        questions: For what was asked.
    """
    import pandas as pd

    base = answers[0]
    pairs = [
        base.merge(table, on=["suite", "question_id"], suffixes=("_before", "_after")).assign(iteration=i)
        for i, table in answers.items()
        if i > 0
    ]
    if not pairs:
        return pd.DataFrame(columns=COLUMNS)
    both = pd.concat(pairs, ignore_index=True)
    was, now = both["reward_before"] >= CORRECT, both["reward_after"] >= CORRECT
    both = both.assign(change=now.map({True: SOLVED, False: LOST}))[was != now]
    texts = questions[["question_id", "level", "text", "gold"]].rename(columns={"text": "question"})
    both = both.merge(texts.assign(gold=texts["gold"].map(_shown)), on="question_id", validate="many_to_one")
    named = both.rename(columns={"completion_before": "before", "completion_after": "after"})
    return named.sort_values(["iteration", "suite", "change", "question_id"], ignore_index=True)[COLUMNS]


def _shown(gold: str) -> str:
    """Return the answer of a gold that has one."""
    return str(json.loads(gold).get("answer", ""))
