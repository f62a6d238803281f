"""Samples for a person to read: a seeded few of those that were accepted and of those that were not."""

from collections.abc import Iterable, Iterator
from typing import Any

from restem.fingerprints import question_seed
from restem.tables import ShardedTable, Table

_INDENT = "    "


def samples_to_read(  # noqa: PLR0913 - what is shown, and how much of it
    scored: ShardedTable,
    questions: Table,
    *,
    n_accepted: int,
    n_rejected: int,
    reason: str | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return rows of `scored_samples` with the text and the gold of their questions, accepted ones first.

    Args:
        scored: Samples with their verdicts.
        questions: What they answer.
        n_accepted: Rows with a reward of 1, at most.
        n_rejected: Others, at most.
        reason: Only rows with this reason.
        seed: Of the choice.
    """
    asked = questions.set_index("question_id")
    rows: list[dict[str, Any]] = []
    for is_accepted, n in ((True, n_accepted), (False, n_rejected)):
        for row in _first(_rows(scored, is_accepted=is_accepted, reason=reason), n, seed):
            question = asked.loc[row["question_id"]]
            rows.append({**row, "text": question["text"], "gold": question["gold"], "reward_name": question["reward"]})
    return rows


def _rows(scored: ShardedTable, *, is_accepted: bool, reason: str | None) -> Iterator[Any]:
    for shard in scored:
        wanted = (shard["reward"] >= 1.0) == is_accepted
        if reason is not None:
            wanted &= shard["reason"] == reason
        yield from shard[wanted].to_dict("records")


def _first(rows: Iterable[dict[str, Any]], n: int, seed: int) -> list[dict[str, Any]]:
    """Return the n rows that come first in an order of the seed, holding few at a time."""
    import heapq

    return heapq.nsmallest(
        n, rows, key=lambda row: question_seed(seed, "inspect", row["question_id"], row["sample_index"])
    )


def format_sample(row: dict[str, Any]) -> str:
    """Return a sample as text for a terminal: the question, what was answered, and the verdict on it."""
    found_by = row.get("found_by")
    answer = "none" if row["answer"] is None else repr(row["answer"])
    gold = str(row["gold"])
    return "\n".join(
        [
            f"{row['question_id']}, sample {row['sample_index']}",
            "  question:",
            _indented(row["text"]),
            "  completion:",
            _indented(row["completion"]),
            f"  gold: {gold}",
            f"  answer: {answer}{f' (found by: {found_by})' if found_by else ''}",
            f"  verdict: {row['reward']:g}, {row['reason']}, by {row['reward_version']}",
        ]
    )


def _indented(text: str) -> str:
    # What a model wrote is shown as text: it must not move the cursor or write over what stands above it.
    shown = "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in str(text))
    return "\n".join(f"{_INDENT}{line}" for line in shown.split("\n"))
