"""The gate before training: is what would be learnt what was meant?

It looks at the batches that training will see, not at how they were meant to be made: a wrong template, a missing
end-of-sequence token or a mask that is off by one change no loss curve much, and every result.
"""

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from restem.engines.context import context_window_of
from restem.errors import TrainingError, first_few
from restem.parameters import TrainingParameters
from restem.policies.policy import Policy
from restem.questions.likeness import all_asked
from restem.store.tables import Table
from restem.training.batches import Batching, batching, learnt_by_row
from restem.training.continuations import Continuations, writer_of
from restem.training.launch import launch_of
from restem.training.rows import Example, closings, encode_rows, row_names, sampled_tokens

PASSED, FAILED, NOTED = "passed", "failed", "noted"
_N_SHOWN = 3  # rows whose text is shown


class Finding(NamedTuple):
    """One line of the gate."""

    check: str
    outcome: str  # passed, failed, or noted: a number to look at
    found: str


def check_training_set(  # noqa: PLR0913 - what rows are held against
    rows: Table,
    questions: Table,
    prompts: Table,
    policy: Policy,
    *,
    parameters: TrainingParameters,
    add_special_tokens: bool,
) -> Table:
    """Return the findings, a row each: `check`, `outcome` and `found`.

    Args:
        rows: The table `training_set`, whole.
        questions: The table `questions`.
        prompts: The table `prompts`.
        policy: That would be trained; its tokenizer is used.
        parameters: `training`.
        add_special_tokens: As for sampling.
    """
    import pandas as pd

    write = writer_of(policy.folder, add_special_tokens=add_special_tokens)
    limit = min(parameters.max_length, context_window_of(policy.folder) or parameters.max_length)
    whole = encode_rows(rows, write, learn_after=parameters.learn_after)
    examples = [_cut(example, limit) for example in whole] if parameters.allow_truncation else whole
    labels = _labels(examples, batching(parameters, launch_of(parameters)))
    is_cut = [seen != full for seen, full in zip(examples, whole, strict=True)]
    findings = [
        *_token_findings(rows, examples, labels, write, is_cut),
        *_reasoning_findings(rows, examples, labels, write, parameters.learn_after),
        _length_finding(rows, whole, limit=limit, allowed=parameters.allow_truncation),
        *_question_findings(rows, questions, prompts),
        *_statistics(rows, examples, questions),
        *_texts(rows, examples, labels, write),
    ]
    return pd.DataFrame(findings)


def refuse_unless_passed(gate: Table) -> None:
    """Raise if a check failed.

    Raises:
        TrainingError: With what was found.
    """
    failed = gate[gate["outcome"] == FAILED]
    if len(failed):
        faults = "; ".join(f"{check}: {faults}" for check, faults in zip(failed["check"], failed["found"], strict=True))
        raise TrainingError(f"the training set did not pass the gate, so nothing is trained on it: {faults}")


def _cut(example: Example, limit: int) -> Example:
    kept = example._replace(input_ids=example.input_ids[:limit], n_prompt=min(example.n_prompt, limit))
    return kept._replace(n_reasoning=min(kept.n_reasoning, limit - kept.n_prompt))


def _labels(examples: Sequence[Example], batches: Batching) -> list[list[int]]:
    """Return the tokens that each row would learn, read back from the batches of training's first epoch."""
    by_row: dict[int, list[int]] = {}
    for batch in batches.first_epoch(examples):
        by_row |= learnt_by_row(batch)
    return [by_row[row] for row in range(len(examples))]


def _token_findings(
    rows: Table, examples: Sequence[Example], labels: Sequence[list[int]], write: Continuations, is_cut: Sequence[bool]
) -> list[Finding]:
    prompts = [example.input_ids[: example.n_prompt] for example in examples]
    without_end = [
        reason != "length" and not cut and not write.ends.intersection(label[-1:])
        for reason, label, cut in zip(rows["finish_reason"], labels, is_cut, strict=True)
    ]
    from_prompt = [len(label) > example.n_trained for label, example in zip(labels, examples, strict=True)]
    # Read where it stands, behind its prompt: what was meant is in question, and the text of the sample is not.
    whole = [example.completion_ids(label) for example, label in zip(examples, labels, strict=True)]
    unlike = [
        not cut and not write.reads(prompt, ids, text)
        for prompt, ids, text, cut in zip(prompts, whole, rows["completion"], is_cut, strict=True)
    ]
    other = [bad and write.can_write(text) for bad, text in zip(unlike, rows["completion"], strict=True)]
    return [
        _finding("the end of a completion is learnt in every finished one", rows, without_end),
        _finding("nothing of the prompt is learnt", rows, from_prompt),
        _finding("what is learnt reads as the completion, behind its prompt", rows, other),
        _finding("every row has something to learn", rows, [not label for label in labels]),
        *_closing_findings(rows, examples, labels),
        _sampled_finding(rows, whole),
        Finding("completions for which the tokenizer has no tokens as they are", NOTED, str(sum(unlike) - sum(other))),
    ]


def _closing_findings(rows: Table, examples: Sequence[Example], labels: Sequence[list[int]]) -> list[Finding]:
    """Return whether what an engine wrote to close reasoning is learnt, where it wrote anything."""
    n = sum(place is not None for place in closings(rows))
    if not n:
        return []
    own = [[token for start, end in example.learnt for token in example.input_ids[start:end]] for example in examples]
    check = "what the engine wrote to close reasoning is not learnt"
    unlike = [label != meant for label, meant in zip(labels, own, strict=True)]
    return [_finding(check, rows, unlike), Finding("rows whose reasoning the engine closed", NOTED, str(n))]


def _reasoning_findings(
    rows: Table, examples: Sequence[Example], labels: Sequence[list[int]], write: Continuations, mark: str | None
) -> list[Finding]:
    """Return whether reasoning is learnt."""
    if mark is None:
        return [Finding("reasoning before an answer", NOTED, "learnt as it was sampled: training.learn_after is null")]
    answers = [text.rpartition(mark)[2] for text in rows["completion"]]
    learnt = [
        not answer.endswith(write.said(example.input_ids[: example.n_read], _behind(example, label)))
        and write.can_write(text)
        for example, label, answer, text in zip(examples, labels, answers, rows["completion"], strict=True)
    ]
    n_with = sum(mark in text for text in rows["completion"])
    n_tokens = sum(example.n_reasoning for example in examples)
    return [
        _finding(f"nothing up to {mark} is learnt", rows, learnt),
        Finding("reasoning before an answer", NOTED, f"{n_tokens} tokens of {n_with} rows are read, and not learnt"),
    ]


def _behind(example: Example, label: Sequence[int]) -> list[int]:
    """Return what follows the reasoning that is not learnt."""
    return example.completion_ids(label)[example.n_reasoning :]


def _sampled_finding(rows: Table, labels: Sequence[list[int]]) -> Finding:
    known = [(label, tokens) for label, tokens in zip(labels, sampled_tokens(rows), strict=True) if tokens is not None]
    same = sum(label == tokens for label, tokens in known)
    return Finding(
        "rows that are learnt in the very tokens that were sampled",
        NOTED,
        f"{same} of {len(known)} whose tokens are known; {len(rows) - len(known)} are known as text",
    )


def _length_finding(rows: Table, examples: Sequence[Example], *, limit: int, allowed: bool) -> Finding:
    too_long = [len(example.input_ids) > limit for example in examples]
    check = f"no row is longer than {limit} tokens"
    if allowed:
        return Finding(check, NOTED, f"{sum(too_long)} of {len(examples)} rows are truncated, as allowed")
    return _finding(check, rows, too_long)


def _question_findings(rows: Table, questions: Table, prompts: Table) -> list[Finding]:
    known = questions.assign(text=all_asked(questions)).set_index("question_id")
    split = rows["question_id"].map(known["split"])
    text = rows["question_id"].map(known["text"])
    held_out = set(known.loc[known["split"] != "train", "text"])
    prompt = rows["question_id"].map(prompts.set_index("question_id")["prompt"])
    keys = ["policy_id", "question_id", "sample_index"]
    return [
        _finding("every row's question is a training question", rows, list(split != "train")),
        _finding("no row's question is asked in validation, test or exemplars", rows, list(text.isin(held_out))),
        _finding("every prompt is the one that was sampled with", rows, list(prompt != rows["prompt"])),
        _finding("no sample is there twice", rows, list(rows.duplicated(keys))),
    ]


def _statistics(rows: Table, examples: Sequence[Example], questions: Table) -> list[Finding]:
    n = len(rows)
    repeated = int(rows.duplicated(["question_id", "completion"]).sum())
    per_question = rows["question_id"].value_counts()
    level = rows["question_id"].map(questions.set_index("question_id")["level"])
    levels = [
        Finding(f"rows of level {name or '(none)'}", NOTED, f"{count} ({count / n:.1%})")
        for name, count in sorted(level.value_counts().items(), key=lambda item: str(item[0]))
    ]
    return [
        Finding("rows", NOTED, str(n)),
        Finding("tokens per row", NOTED, _spread([len(example.input_ids) for example in examples])),
        Finding("tokens learnt per row", NOTED, _spread([example.n_trained for example in examples])),
        Finding("rows that repeat a completion of their question", NOTED, f"{repeated} ({repeated / n:.1%})"),
        Finding("questions", NOTED, str(len(per_question))),
        Finding("rows per question", NOTED, _spread(per_question.to_list())),
        Finding("largest share of one question", NOTED, f"{per_question.iloc[0] / n:.1%} ({per_question.index[0]})"),
        *levels,
    ]


def _texts(
    rows: Table, examples: Sequence[Example], labels: Sequence[list[int]], write: Continuations
) -> list[Finding]:
    """Return the exact text of the first, the middle and the last row, as its tokens say it."""
    names = row_names(rows)
    shown = sorted({0, len(rows) // 2, len(rows) - 1})[:_N_SHOWN]
    findings = []
    for index in shown:
        prompt = write.tokenizer.decode(examples[index].input_ids[: examples[index].n_read])
        findings.append(Finding(f"text of {names[index]}: read", NOTED, prompt))
        findings.append(Finding(f"text of {names[index]}: learnt", NOTED, write.tokenizer.decode(labels[index])))
    return findings


def _spread(values: Sequence[int]) -> str:
    return f"{min(values)} to {max(values)}, median {median(values):g}, {sum(values)} in all"


def _finding(check: str, rows: Table, is_bad: Sequence[bool]) -> Finding:
    n_bad = sum(map(bool, is_bad))
    if not n_bad:
        return Finding(check, PASSED, f"all of {len(rows)} rows")
    bad = [name for name, wrong in zip(row_names(rows), is_bad, strict=True) if wrong]
    return Finding(check, FAILED, f"not so for {n_bad} of {len(rows)} rows: {first_few(bad)}")
