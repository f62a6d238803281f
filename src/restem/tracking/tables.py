"""Tables of an iteration as the MLflow UI shows them side by side: what was asked, answered and found.

The catalog holds every sample; a page in a browser does not, so long tables are cut to whole questions, the same
ones in every iteration.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from restem.experiment import Catalog
from restem.store.fingerprints import question_seed
from restem.store.tables import ShardedTable, Table

_KEYS = ["policy_id", "question_id", "sample_index"]


class LoggedTable(NamedTuple):
    """A table and the artifact that it becomes."""

    file: str
    rows: Table


def logged_tables(catalog: Catalog, i: int, *, max_rows: int) -> Iterator[LoggedTable]:
    """Yield the tables of iteration i.

    Args:
        catalog: The experiment's.
        i: The iteration; 0 for the base policy, which has no training samples.
        max_rows: Of a table of samples.
    """
    questions = catalog.load("questions").set_index("question_id")
    texts = questions.assign(gold=questions["gold"].map(_answer))[["text", "gold", "level"]]
    answers: ShardedTable = catalog.load(f"iteration_{i}.scored_evaluation_samples")
    yield LoggedTable("evaluation_greedy.json", _greedy_answers(catalog.load(f"evaluation_{i}"), answers, texts))
    yield LoggedTable("evaluation_samples.json", _samples(answers, texts, max_rows=max_rows))
    if i > 0:
        first, further = (catalog.load(f"iteration_{i}.{name}") for name in ("scored_samples", "follow_up_samples"))
        rows = _samples(ShardedTable([*first.files, *further.files]), texts, max_rows=max_rows)
        yield LoggedTable("training_samples.json", _with_kept(rows, catalog.load(f"iteration_{i}.training_set")))


def answers_of_all(catalog: Catalog, iterations: Iterable[int]) -> Table:
    """Return a row per question and suite, with a column per policy: its greedy answer behind the verdict on it."""
    import pandas as pd

    questions = catalog.load("questions").set_index("question_id")
    texts = questions.assign(gold=questions["gold"].map(_answer))[["text", "gold", "level"]]
    keys, columns = ["suite", "question_id"], {}
    for i in iterations:
        greedy = catalog.load(f"greedy_answers_{i}").set_index(keys)
        columns[f"policy_{i}"] = greedy["reason"] + ": " + greedy["completion"]
    rows = pd.DataFrame(columns).reset_index().join(texts, on="question_id").rename(columns={"text": "question"})
    first = ["question", *columns, "gold"]
    return rows[[*first, *(name for name in rows.columns if name not in first)]]


def _greedy_answers(evaluation: Table, answers: ShardedTable, texts: Table) -> Table:
    """Return a row per question and suite: its greedy completion beside the share of samples that are correct."""
    import pandas as pd

    columns = ["question_id", "suite", "completion", "answer", "reward", "reason", "policy_id"]
    greedy = [shard.loc[shard["decoding"] == "greedy", columns] for shard in answers]
    counted = evaluation[["question_id", "suite", "n", "n_correct"]]
    rows = pd.concat(greedy, ignore_index=True).merge(counted, on=["question_id", "suite"], how="left")
    return _question_first(rows.sort_values(["suite", "question_id"]), texts)


def _samples(samples: ShardedTable, texts: Table, *, max_rows: int) -> Table:
    """Return the samples of as many whole questions as `max_rows` holds, chosen by the hash of their ids."""
    import pandas as pd

    counts = samples["question_id"].value_counts()
    order = sorted(counts.index, key=lambda name: question_seed(0, "mlflow table", name))
    total = counts[order].cumsum()
    chosen = total.index[(total <= max_rows) | (total.index == order[0])]
    shown = [shard[shard["question_id"].isin(chosen)] for shard in samples]
    rows = pd.concat(shown, ignore_index=True).sort_values(["suite", "question_id", "decoding", "sample_index"])
    left_out = ["prompt_id", "seed", "reward_version", "seconds", "token_ids", "answer_at", "closing"]
    return _question_first(rows.drop(columns=left_out, errors="ignore"), texts)


def _with_kept(rows: Table, training_set: ShardedTable) -> Table:
    """Return the rows with `kept`: whether the policy learned from the sample."""
    import pandas as pd

    kept = pd.MultiIndex.from_frame(training_set[_KEYS])
    placed = rows.copy()
    placed.insert(2, "kept", pd.MultiIndex.from_frame(rows[_KEYS]).isin(kept))
    return placed


def _question_first(rows: Table, texts: Table) -> Table:
    """Return the rows with what was asked; first the two columns that the UI compares runs by, ids last."""
    joined = rows.join(texts, on="question_id").rename(columns={"text": "question"})
    first = ["question", "completion", "gold", "reason", "reward", "answer"]
    last = [name for name in _KEYS if name in joined.columns]
    return joined[[*first, *(name for name in joined.columns if name not in {*first, *last}), *last]]


def _answer(gold: str) -> Any:
    """Return the answer alone where there is one; tests are shown whole."""
    value = json.loads(gold)
    return value.get("answer", gold) if isinstance(value, dict) else gold
