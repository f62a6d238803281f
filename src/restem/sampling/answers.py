"""What of a sample is an answer: what was put into the policy's mouth, what it said, and what of that is judged."""

from collections.abc import Iterator, Sequence
from typing import Any

from restem.engines import Completion, Engine
from restem.engines.reasoning import Reasoning, answer_place, closes_reasoning, is_open, sample_in_rounds
from restem.parameters import ReasoningParameters
from restem.store.tables import Table

PREFILL = "prefill"  # column of prompts and samples, where an answer is begun for the policy
ANSWER_AT = "answer_at"  # column of samples, where there is reasoning before answers
CLOSING = "closing"  # likewise


def prefills_of(rows: Table) -> list[str]:
    """Return the text that was put before each completion, and that is the end of its prompt."""
    if PREFILL not in rows:
        return [""] * len(rows)
    return [text if isinstance(text, str) else "" for text in rows[PREFILL]]


def judged_texts(rows: Table) -> list[str]:
    """Return what a reward reads of each sample: all of it, or what stands behind its reasoning."""
    whole = (prefill + said for prefill, said in zip(prefills_of(rows), rows["completion"], strict=True))
    if ANSWER_AT not in rows:
        return list(whole)
    places = rows[ANSWER_AT].fillna(0).astype(int)
    return [text[place:] for text, place in zip(whole, places, strict=True)]


def with_prefills(rows: Table, prefills: Sequence[str]) -> Table:
    """Return a table with the column of prefills, if there are any."""
    return rows.assign(**{PREFILL: list(prefills)}) if any(prefills) else rows


def draw_completions(
    engine: Engine, prompts: Table, reasoning: ReasoningParameters | None, **arguments: Any
) -> Iterator[list[Completion]]:
    """Return an iterator over the completions of each prompt, in order; their reasoning is closed where it is to be.

    Args:
        engine: Any.
        prompts: With the columns of the table `prompts`.
        reasoning: `sampling.reasoning`.
        arguments: Others of `Engine.sample`, with a seed for every prompt.
    """
    texts = prompts["prompt"].to_list()
    if reasoning is None:
        return engine.sample(texts, **arguments)
    asked = Reasoning(reasoning.open, reasoning.close, reasoning.budget, tuple(goes_on_reasoning(prompts, reasoning)))
    if closes_reasoning(engine):
        return engine.sample(texts, reasoning=asked, **arguments)  # type: ignore[call-arg] # it was looked for
    return sample_in_rounds(engine, texts, asked, **arguments)


def answer_places(prompts: Table, completions: Sequence[str], reasoning: ReasoningParameters) -> list[int]:
    """Return where in prefill and completion each answer begins; at its end where the reasoning was never closed.

    Args:
        prompts: Of each completion, with the columns of the table `prompts`.
        completions: What was said behind them.
        reasoning: `sampling.reasoning`.
    """
    begun = _begun_in_template(prompts, reasoning)
    return [
        answer_place(prefill + said, reasoning.open, reasoning.close, opened=opened)
        for prefill, said, opened in zip(prefills_of(prompts), completions, begun, strict=True)
    ]


def goes_on_reasoning(prompts: Table, reasoning: ReasoningParameters) -> list[bool]:
    """Return of each prompt whether the policy goes on within reasoning."""
    begun = _begun_in_template(prompts, reasoning)
    return [
        is_open(prefill, reasoning.open, reasoning.close, opened=opened)
        for prefill, opened in zip(prefills_of(prompts), begun, strict=True)
    ]


def _begun_in_template(prompts: Table, reasoning: ReasoningParameters) -> list[bool]:
    """Return of each prompt whether it ends in the opening mark, its prefill and spaces apart.

    A mark anywhere else in it is said of something: in an instruction, or in an exemplar.
    """
    before = (text.removesuffix(prefill) for text, prefill in zip(prompts["prompt"], prefills_of(prompts), strict=True))
    return [text.rstrip().endswith(reasoning.open) for text in before]
