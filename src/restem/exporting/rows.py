"""What the samples of an iteration are for others: rows to learn from, all of them with their verdicts, and pairs.

A part is written shard by shard, so that memory does not grow with it. The columns that TRL's trainers read are
`prompt` and `completion`, or `messages`; and `prompt`, `chosen` and `rejected`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.errors import ExperimentError
from restem.sampling.answers import prefills_of
from restem.sampling.conversations import Turn
from restem.schemas import CORRECT
from restem.store.fingerprints import question_seed
from restem.store.tables import ShardedTable, Table, with_further_rows

if TYPE_CHECKING:
    import pyarrow as pa

# Of verdicts that say nothing about the completion.
_NO_VERDICT = ("timeout", "infrastructure", "unparseable_gold")
_PARTING_SPACE = re.compile(r"\A (?!\s)")
_OF_QUESTION = ["text", "gold", "level", "source", "licence"]
_TEXT, _NUMBER, _COUNT = "string", "float64", "int64"
_SAMPLE = {"question_id": _TEXT, "sample_index": _COUNT, "policy_id": _TEXT}
_LEARNED = {"weight": _NUMBER, "rank": _COUNT, "finish_reason": _TEXT, **_SAMPLE}
_SCORED = {
    **dict.fromkeys(("prompt", "completion"), _TEXT),
    **{"reward": _NUMBER, "reason": _TEXT, "answer": _TEXT, "found_by": _TEXT, "reward_version": _TEXT},
    **{
        "origin": _TEXT,
        "n_tokens": _COUNT,
        "finish_reason": _TEXT,
        "decoding": _TEXT,
        "prompt_id": _TEXT,
        "seed": _COUNT,
        **_SAMPLE,
    },
    **dict.fromkeys(_OF_QUESTION, _TEXT),
}
_PAIRED = {
    "question_id": _TEXT,
    **{
        f"{side}_{name}": kind
        for side in ("chosen", "rejected")
        for name, kind in _SAMPLE.items()
        if name != "question_id"
    },
}


class Samples(NamedTuple):
    """What an iteration drew and learned from."""

    scored: ShardedTable
    follow_up: ShardedTable  # scored, of further rounds
    training_set: ShardedTable
    questions: Table
    prompts: Table
    turns: Mapping[str, Sequence[Turn]] | None  # that ask a question, by its id; None writes prompts as text


class Pairing(NamedTuple):
    """Which pairs are made of the samples of a question."""

    per_question: int  # at most
    seed: int
    truncated: bool  # whether also of samples that were cut off


Row = dict[str, Any]


class Part(NamedTuple):
    """A table for others."""

    columns: Mapping[str, str]  # their types, by name
    rows: Iterator[list[Row]]  # in order, a shard at a time; they may hold more than the columns

    @property
    def schema(self) -> "pa.Schema":
        """Return the types that a file has also where a column holds nothing."""
        import pyarrow as pa

        turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
        return pa.schema([(name, turns if kind == "turns" else kind) for name, kind in self.columns.items()])


def parts_of(samples: Samples, pairing: Pairing) -> dict[str, Callable[[], Part]]:
    """Return what can be made of the samples, by name; nothing is read yet."""
    return {
        "training_set": partial(_training_set, samples),
        "scored_samples": partial(_scored_samples, samples),
        "pairs": partial(_pairs, samples, pairing),
    }


def _training_set(samples: Samples) -> Part:
    texts = (_rows_of(shard, ["prompt", "completion", *_LEARNED]) for shard in samples.training_set)
    turns = samples.turns
    if turns is None:
        return Part({"prompt": _TEXT, "completion": _TEXT, **_LEARNED}, texts)
    begun = _begun(samples)
    talks = (
        [{**row, "messages": [*_asked(row, turns), *_answer(row, "completion", begun)]} for row in rows]
        for rows in texts
    )
    return Part({"messages": "turns", **_LEARNED}, talks)


def _scored_samples(samples: Samples) -> Part:
    questions = samples.questions.set_index("question_id")[_OF_QUESTION]
    prompts = dict(zip(samples.prompts["prompt_id"], samples.prompts["prompt"], strict=True))

    def rows() -> Iterator[list[Row]]:
        for shard in with_further_rows(samples.scored, samples.follow_up):
            # What was drawn behind a hint has no prompt among these.
            asked = shard.assign(prompt=shard["prompt_id"].map(prompts)).join(questions, on="question_id")
            yield _rows_of(asked, _SCORED)

    return Part(_SCORED, rows())


def _pairs(samples: Samples, pairing: Pairing) -> Part:
    turns, begun = samples.turns, _begun(samples)
    texts = dict(zip(samples.prompts["question_id"], samples.prompts["prompt"], strict=True))

    def rows() -> Iterator[list[Row]]:
        for shard in with_further_rows(samples.scored, samples.follow_up):
            made = [pair for _, group in shard.groupby("question_id", sort=False) for pair in _paired(group, pairing)]
            if turns is None:
                yield [{**pair, "prompt": texts[pair["question_id"]]} for pair in made]
            else:
                both = ("chosen", "rejected")
                yield [
                    {**pair, "prompt": _asked(pair, turns), **{side: _answer(pair, side, begun) for side in both}}
                    for pair in made
                ]

    kind = _TEXT if turns is None else "turns"
    return Part({**dict.fromkeys(("prompt", "chosen", "rejected"), kind), **_PAIRED}, rows())


def _rows_of(table: Table, columns: Iterable[str]) -> list[Row]:
    """Return the rows of a table, with None for what is missing."""
    wanted = table.reindex(columns=list(columns))
    rows: list[Any] = wanted.astype(object).where(wanted.notna(), None).to_dict("records")
    return rows


def _paired(group: Table, pairing: Pairing) -> list[Row]:
    """Return the pairs of a question: correct and rejected samples in an order of the seed, each used as rarely as can.

    The same text counts once, and nothing that was never judged, or cut off before it could be right, is rejected.
    """
    import numpy as np

    fit = group if pairing.truncated else group[group["finish_reason"] != "length"]
    fit = fit[~fit["reason"].isin(_NO_VERDICT)].drop_duplicates("completion")
    fit = fit.sort_values("sample_index", kind="stable")
    right, wrong = fit[fit["reward"] >= CORRECT], fit[fit["reward"] < CORRECT]
    if right.empty or wrong.empty:
        return []
    random = np.random.default_rng(question_seed(pairing.seed, "pairs", group["question_id"].iloc[0]))
    chosen, rejected = (side.iloc[random.permutation(len(side))].to_dict("records") for side in (right, wrong))
    n = min(pairing.per_question, max(len(chosen), len(rejected)))
    both = ((chosen[k % len(chosen)], rejected[k % len(rejected)]) for k in range(n))
    return [
        {"question_id": good["question_id"], **_side("chosen", good), **_side("rejected", bad)} for good, bad in both
    ]


def _side(name: str, row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: row["completion"], **{f"{name}_{key}": row[key] for key in _SAMPLE if key != "question_id"}}


def _begun(samples: Samples) -> dict[str, str]:
    """Return what every answer to a question begins with, by its id."""
    return dict(zip(samples.prompts["question_id"], prefills_of(samples.prompts), strict=True))


def _answer(row: Row, column: str, begun: Mapping[str, str]) -> list[Turn]:
    """Return the turn of a completion: with its prefill, and without a space that parted it from its prompt."""
    said = begun.get(row["question_id"], "") + row[column]
    return [{"role": "assistant", "content": _PARTING_SPACE.sub("", said)}]


def _asked(row: Row, turns: Mapping[str, Sequence[Turn]]) -> list[Turn]:
    """Return the turns that asked a row's question.

    Raises:
        ExperimentError: If the question is not known.
    """
    name = row["question_id"]
    if name not in turns:
        raise ExperimentError(
            f"question {name} was learned from and is not among the experiment's any more, so that how it was asked is "
            "not known; export with --format prompt_completion"
        )
    return list(turns[name])
