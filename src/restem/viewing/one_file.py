"""The samples of a page in one file: all of them, or as many whole questions as fit, with a word on the others.

A file has a head, from which lists and filters are answered, the words that are searched, and the samples in parts, of
which a browser unpacks what is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from restem.viewing.html import page
from restem.viewing.index import FACETS
from restem.viewing.library import Library
from restem.viewing.notes import Notes
from restem.viewing.words import words

MOST_CHARACTERS = 100_000_000  # ours, of JSON: 130,000 samples of 250 characters, which a browser opens in a second
_PART = 1_000_000  # characters of samples that are unpacked together
_BESIDE_TEXTS = 500  # characters of JSON per sample
_TEXTS = ("text", "gold", "prompt", "left_out", "completion", "answer", "doubt")
_LISTED = ("number", "question_id", "split", "level", "source", "reward", "text", "n", "n_accepted", "changes")


def one_file(
    library: Library, notes: Notes, *, command: str, first: str | None = None, most: int = MOST_CHARACTERS
) -> str:
    """Return the page with its samples.

    Where not everything fits, questions whose answers changed or that somebody marked come before others, then the
    order of the list decides.

    Args:
        library: The samples.
        notes: Marks on them.
        command: That shows all of them, where not all fit.
        first: A question that is to be there in any case.
        most: Characters of JSON.
    """
    questions = _chosen(library, notes, first, most)
    parts = list(_parts(questions))
    head = {
        **library.about,
        "command": command,
        "questions": list(_listed(parts)),
        "alike": _alike(questions),
        "marks": _marks(notes, questions),
        "left_out": _left_out(library.about, questions, most),
    }
    shown = (
        {each["question_id"]: {name: each[name] for name in ("asked", "samples")} for each in part} for part in parts
    )
    packed = {f"part-{number}": part for number, part in enumerate(shown)}
    return page(title_of(library.about), parts={"data": head, "words": list(map(_words, questions)), **packed})


def title_of(about: Mapping[str, Any]) -> str:
    """Return the title of a page."""
    return f"{', '.join(experiment['name'] for experiment in about['experiments'])}: samples"


def _chosen(library: Library, notes: Notes, first: str | None, most: int) -> list[dict[str, Any]]:
    """Return the questions that fit, with all that there is of them, in the order of the list."""
    questions: list[dict[str, Any]] = []
    left = most
    for question in library.whole_questions(first=first, marked=notes.marked()):
        left -= _size(question)
        if left < 0 and questions:
            break
        questions.append(question)
    return sorted(questions, key=lambda question: int(question["number"]))


def _listed(parts: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Yield what the list says of every question, and in which part it is."""
    for number, part in enumerate(parts):
        for question in part:
            yield {**{name: question[name] for name in _LISTED}, "part": number}


def _marks(notes: Notes, questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    names = {question["question_id"] for question in questions}
    return [mark for mark in notes.all() if mark["question_id"] in names]


def _left_out(about: Mapping[str, Any], questions: Sequence[Mapping[str, Any]], most: int) -> dict[str, Any] | None:
    n_questions = about["n_questions"] - len(questions)
    n_samples = about["n_samples"] - sum(len(question["samples"]) for question in questions)
    return {"n_questions": n_questions, "n_samples": n_samples, "most": most} if n_questions else None


def _alike(questions: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return how many samples are alike, a list per facet; `question` is the place of theirs."""
    rows = [(place, row) for place, question in enumerate(questions) for row in question["alike"]]
    columns = {name: [row[name] for _, row in rows] for name in ("experiment", *FACETS, "n")}
    return {"question": [place for place, _ in rows], **columns}


def _words(question: Mapping[str, Any]) -> str:
    """Return the words by which a question is found, each after a space."""
    texts = [question["question_id"], question["text"], *(row["gold"] for row in question["asked"])]
    found = dict.fromkeys(word for text in texts for word in words(text))
    for sample in question["samples"]:
        found.update(dict.fromkeys(words(sample["completion"])))
    return " " + " ".join(found)


def _parts(questions: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the questions in parts of about the same size."""
    part: list[dict[str, Any]] = []
    size = 0
    for question in questions:
        part.append(question)
        size += _size(question)
        if size >= _PART:
            yield part
            part, size = [], 0
    if part:
        yield part


def _size(question: Mapping[str, Any]) -> int:
    rows = (*question["asked"], *question["samples"])
    texts = sum(len(row[name]) for row in rows for name in _TEXTS if isinstance(row.get(name), str))
    return texts + _BESIDE_TEXTS * len(rows)
