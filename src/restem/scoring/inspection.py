"""Samples for a person to read: a seeded few of those that were accepted and of those that were not."""

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from restem.questions.likeness import asked
from restem.rewards.verdicts import gold_of
from restem.schemas import CORRECT
from restem.scoring.audit import RARE, SECOND
from restem.store.fingerprints import question_seed
from restem.store.tables import ShardedTable, Table

_INDENT = "    "
_GOLD_SHOWN = 400  # characters of a gold that is more than an answer


def samples_to_read(  # noqa: PLR0913 - what is shown, and how much of it
    scored: ShardedTable,
    questions: Table,
    *,
    n_accepted: int,
    n_rejected: int,
    reason: str | None = None,
    seed: int = 0,
    doubtful: Mapping[tuple[str, int], str] | None = None,
) -> list[dict[str, Any]]:
    """Return rows of `scored_samples` with the text and the gold of their questions, accepted ones first.

    Those of `doubtful` come before all others, each with what was said against it as `doubt`.

    Args:
        scored: Samples with their verdicts.
        questions: What they answer.
        n_accepted: Rows with a reward of 1, at most.
        n_rejected: Others, at most.
        reason: Only rows with this reason.
        seed: Of the choice.
        doubtful: By question and sample index, what a second verifier made of accepted samples that it refuses.
    """
    by_id = questions.set_index("question_id")
    rows: list[dict[str, Any]] = _doubted(scored, doubtful or {}, by_id, n_accepted)
    for is_accepted, n in ((True, n_accepted), (False, n_rejected)):
        left = n - len(rows) if is_accepted else n
        others = (
            row
            for row in _rows(scored, is_accepted=is_accepted, reason=reason)
            if (row["question_id"], row["sample_index"]) not in (doubtful or {})
        )
        for row in _first(others, left, seed):
            rows.append({**row, **_question(by_id, row)})
    return rows


def doubts_of(audit: Table) -> dict[tuple[str, int], str]:
    """Return the accepted samples that a second verifier refuses, with what it says; from the table `reward_audit`."""
    refused = audit[audit["check"].isin([SECOND, RARE]) & (audit["agrees"] == "no")]
    keys = zip(refused["question_id"], refused["sample_index"], strict=True)
    says = (f"{reward}: {found}" for reward, found in zip(refused["reward"], refused["found"], strict=True))
    return dict(zip(keys, says, strict=True))


def _doubted(
    scored: ShardedTable, doubtful: Mapping[tuple[str, int], str], by_id: Table, n: int
) -> list[dict[str, Any]]:
    rows = (
        {**row, "doubt": doubtful[row["question_id"], row["sample_index"]], **_question(by_id, row)}
        for row in _rows(scored, is_accepted=True, reason=None)
        if (row["question_id"], row["sample_index"]) in doubtful
    )
    return list(itertools.islice(rows, n))


def _question(questions: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    question = questions.loc[row["question_id"]]
    return {"text": asked(question), "gold": question["gold"]}


def _rows(scored: ShardedTable, *, is_accepted: bool, reason: str | None) -> Iterator[Any]:
    for shard in scored:
        wanted = (shard["reward"] >= CORRECT) == is_accepted
        if reason is not None:
            wanted &= shard["reason"] == reason
        # What is missing is None, and not NaN, which is a value like any other.
        yield from shard[wanted].astype(object).where(shard[wanted].notna(), None).to_dict("records")


def _first(rows: Iterable[dict[str, Any]], n: int, seed: int) -> list[dict[str, Any]]:
    """Return the n rows that come first in an order of the seed, holding few at a time."""
    return heapq.nsmallest(
        n, rows, key=lambda row: question_seed(seed, "inspect", row["question_id"], row["sample_index"])
    )


def format_sample(row: Mapping[str, Any]) -> str:
    """Return a sample as text for a terminal: the question, what was answered, and the verdict on it."""
    gold = gold_of(row) or {}
    shown = gold["answer"] if "answer" in gold else json.dumps(gold)[:_GOLD_SHOWN]
    how = f", found by: {row['found_by']}" if row.get("found_by") else ""
    answer = [] if row["answer"] is None else [f"  answer{how}:", _indented(row["answer"])]
    return "\n".join(
        [
            f"{row['question_id']}, sample {row['sample_index']}",
            "  question:",
            _indented(row["text"]),
            *(["  begun for it (prompt.prefill):", _indented(row["prefill"])] if row.get("prefill") else []),
            "  completion:",
            _indented(row["completion"]),
            *answer,
            "  gold:",
            _indented(shown),
            f"  verdict: {row['reward']:g}, {row['reason']}, by {row['reward_version']}",
            *([f"  a second verifier refuses it: {row['doubt']}"] if row.get("doubt") else []),
        ]
    )


def _indented(text: Any) -> str:
    # What a model wrote is shown as text: it must not move the cursor or write over what stands above it.
    shown = "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in str(text)
    )
    return "\n".join(f"{_INDENT}{line}" for line in shown.split("\n"))
