"""Completions that exist already, as the samples of an E-step.

A row of a file is a completion, or several of one question, with the question's id or text. What a file does not say
is not made up: how long a completion is in tokens, whether it was cut off, and behind which prompt it was written stay
unknown, and the log says what follows from that. What cannot be used is listed, row by row.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from restem.engines.file import FIELDS, Files, files_of
from restem.errors import EngineError, first_few
from restem.questions.reading import PLACE, as_text
from restem.sampling.answers import PREFILL, prefills_of
from restem.sampling.existing_rows import KnownQuestions, completions_of, records_of
from restem.sampling.sampler import Draw, with_answers
from restem.sampling.styles import as_completion
from restem.schemas import FROM_FILE, check
from restem.screen import screen
from restem.store.fingerprints import file_fingerprints, fingerprint
from restem.store.journal import Journal
from restem.store.provenance import versions
from restem.store.tables import ShardedTable, Table

_logger = logging.getLogger(__name__)

LEFT_OUT = "left_out.jsonl"  # in the journal's entry, beside the shards
_UNKNOWN = {
    "finish_reason": "whether they were cut off is not known, so that filtering.keep_truncated finds none of them, and "
    "all are learnt as completions that ended",
    "n_tokens": "how long they are in tokens is not known, and no sum of tokens is given",
}


class LeftOut(NamedTuple):
    """A row, or a completion, that cannot be used."""

    file: str
    place: str
    question: str  # as the row names it
    why: str


def existing_samples(
    draw: Draw, questions: Table, options: Mapping[str, Any], *, per_shard: int, journal: Journal
) -> ShardedTable:
    """Return the `samples` of a draw that files hold.

    Args:
        draw: The questions that are asked, with their prompts, and for which iteration.
        questions: All of the experiment's, so that what is evaluated is told from what is not known.
        options: `sampling.engine_options`.
        per_shard: Questions of a shard.
        journal: Where the shards are kept, by the content of the files.

    Raises:
        EngineError: If a file cannot be read, or nothing in any of them can be used.
    """
    source = files_of(options)
    files, decoding = source.of_iteration(draw.iteration), draw.decoding.deciding()
    writers = [_writer_of(file, files) for file in files]
    entry = journal.open(
        f"samples-file-{draw.iteration}",
        files=[[writer, content] for writer, content in zip(writers, file_fingerprints(files), strict=True)],
        columns=dict(source.columns),
        prompts=fingerprint(draw.prompts[["question_id", "prompt_id", "suite"]].to_numpy().tolist()),
        questions=fingerprint(sorted(questions[["question_id", "text", "split"]].to_numpy().tolist())),
        questions_per_shard=per_shard,
        **{name: decoding[name] for name in ("reasoning",) if name in decoding},
        versions=versions("restem"),
    )
    found = _Found(draw, KnownQuestions(questions, set(draw.prompts["question_id"])))
    for file, writer in zip(files, writers, strict=True):
        found.add(file, source, writer=writer)
    found.refuse_if_empty()
    table = ShardedTable(
        [
            entry.shard(f"{number:05d}.parquet", partial(check, "samples", rows))
            for number, rows in enumerate(found.shards(per_shard))
        ]
    )
    _say(table, found.left_out, files, draw, listed=entry.part(LEFT_OUT, found.list_left_out))
    return table


def count_completions(options: Mapping[str, Any]) -> int:
    """Return how many completions the files of the first iteration hold, those that cannot be used among them.

    Raises:
        EngineError: If a file cannot be read.
    """
    source = files_of(options)
    column = source.columns.get("completion", "completion")
    values = (record.get(column) for file in source.of_iteration(1) for record in records_of(file))
    return sum(len(value) if isinstance(value, list) else 1 for value in values)


class _Found:
    """The samples of all files, by question, in the order in which they were read."""

    def __init__(self, draw: Draw, questions: KnownQuestions) -> None:
        self._questions = questions
        asked = draw.prompts[["question_id", "prompt", "suite"]].assign(prefill=prefills_of(draw.prompts))
        self._asked = {name: tuple(of_question) for name, *of_question in asked.itertuples(index=False)}
        self._is_begun = PREFILL in draw.prompts
        self._draw, self._reasoning = draw, draw.decoding.reasoning
        self._rows: dict[str, list[dict[str, Any]]] = {name: [] for name in self._asked}
        self.left_out: list[LeftOut] = []

    def add(self, file: Path, source: Files, *, writer: str) -> None:
        """Read a file, whose completions are of `writer` where a row does not say."""
        for record in records_of(file):
            fields = {field: record.get(name) for field, name in _named_columns(source).items()}
            place = str(record[PLACE])
            try:
                name = self._questions.find(as_text(fields["question_id"]), as_text(fields["text"]))
                for one in completions_of(fields):
                    self._rows[name].append(self._row(name, one, writer, f"{file.name}, {place}"))
            except ValueError as error:
                question = as_text(fields["question_id"]) or as_text(fields["text"]) or ""
                self.left_out.append(LeftOut(str(file), place, question[:200], str(error)))

    def _row(self, name: str, fields: Mapping[str, Any], writer: str, origin: str) -> dict[str, Any]:
        prompt, suite, prefill = self._asked[name]
        written_behind = as_text(fields["prompt"])
        # As people's solutions: a space parts it from a prompt that ends in none.
        text = fields["completion"]
        parted = as_completion(prompt, text, prefill=prefill)
        is_parted = text[:1].isspace() and parted.endswith(text)  # by itself, so that it was not begun with the prefill
        text = text if is_parted or not text else parted
        return {
            "policy_id": f"{FROM_FILE}:{as_text(fields['policy']) or writer}",
            "question_id": name,
            "suite": suite,
            "decoding": FROM_FILE,
            "sample_index": len(self._rows[name]),
            "prompt_id": fingerprint(written_behind) if written_behind else None,
            "completion": text,
            "n_tokens": fields["n_tokens"],
            "finish_reason": fields["finish_reason"],
            "seed": None,
            "origin": origin,
            **({PREFILL: prefill} if self._is_begun else {}),
        }

    def refuse_if_empty(self) -> None:
        """Raise if no row can be used.

        Raises:
            EngineError: With the reasons.
        """
        if any(self._rows.values()):
            return
        reasons = Counter(row.why for row in self.left_out)
        raise EngineError(
            "sampling.engine=file: nothing in the files can be used: "
            + first_few((f"{why} ({n} rows)" for why, n in reasons.most_common()), separator="; ")
            + f"; the first is {_where(self.left_out[0])}"
        )

    def list_left_out(self, file: Path) -> None:
        """Write what cannot be used, a line each."""
        lines = (json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in self.left_out)
        file.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")

    def shards(self, per_shard: int) -> Iterator[Table]:
        """Yield the samples of so many questions at a time, those without any apart."""
        import pandas as pd

        filled = [rows for rows in self._rows.values() if rows]
        for start in range(0, len(filled), per_shard):
            table = pd.DataFrame([row for rows in filled[start : start + per_shard] for row in rows])
            table = table.astype({"n_tokens": "Int64", "seed": "Int64"})
            yield table if self._reasoning is None else with_answers(table, self._draw.prompts, self._reasoning)


def _named_columns(source: Files) -> dict[str, str]:
    return {field: source.columns.get(field, field) for field in FIELDS}


def _writer_of(file: Path, files: list[Path]) -> str:
    """Return what stands for the policy of a file that names none: its name, with its folder's where two are alike."""
    is_alone = [other.name for other in files].count(file.name) == 1
    return file.name if is_alone else f"{file.parent.name}/{file.name}"


def _where(row: LeftOut) -> str:
    return f"{Path(row.file).name}, {row.place}"


def _say(samples: ShardedTable, left_out: list[LeftOut], files: list[Path], draw: Draw, listed: Path) -> None:
    """Say what was read, what was not, and what is not known of it."""
    known = samples[["question_id", "finish_reason", "n_tokens", "policy_id"]]
    writers = sorted(set(known["policy_id"]))
    n_without = len(set(draw.prompts["question_id"]) - set(known["question_id"]))
    read = f"{len(known)} samples of {len(writers)} writers read from {len(files)} files"
    screen.note(read)
    _logger.info("%s: %s", read, first_few(writers))
    for field, means in _UNKNOWN.items():
        n = int(known[field].isna().sum())
        if n:
            _logger.warning("%d of %d samples come without %s: %s", n, len(known), field, means)
    if n_without:
        _logger.warning(
            "%d of the %d questions that are asked have no completion in the files", n_without, len(draw.prompts)
        )
    reasons = Counter(row.why for row in left_out)
    for why, n in reasons.most_common():
        _logger.warning(
            "not used, because %s: %d rows, %s; all are listed in %s",
            why,
            n,
            first_few((_where(row) for row in left_out if row.why == why), separator="; "),
            listed,
        )
