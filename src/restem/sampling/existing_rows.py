"""What a row of a file of completions says: of which question, which completions, and what of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from restem.errors import EngineError, QuestionsError
from restem.questions.likeness import same_text
from restem.questions.reading import as_text, read_records
from restem.store.tables import Table

# What engines and servers call it.
_ENDS = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_string"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_length", "max_new_tokens"), "length"),
}


class KnownQuestions:
    """The questions by their ids and texts."""

    def __init__(self, questions: Table, asked: set[str]) -> None:
        """Know all questions, and those that are asked in this iteration."""
        self._split = dict(zip(questions["question_id"], questions["split"], strict=True))
        self._asked = asked
        self._by_text: dict[str, list[str]] = {}
        for name, text in zip(questions["question_id"], questions["text"], strict=True):
            self._by_text.setdefault(same_text(text), []).append(name)

    def find(self, name: str | None, text: str | None) -> str:
        """Return the id of the question that is meant.

        Raises:
            ValueError: If it is none that is asked in this iteration, with the reason.
        """
        if not name and not text:
            raise ValueError("it names no question, by question_id or text")
        if name and name not in self._split and not text:
            raise ValueError("its question is not known")
        found = [name] if name in self._split else self._by_text.get(same_text(text or ""), [])
        trained = [one for one in found if one in self._asked]
        if len(trained) == 1:
            return str(trained[0])
        if trained:
            raise ValueError(f"{len(trained)} questions have this text: name one by its question_id")
        if not found:
            raise ValueError("its question is not known")
        raise ValueError(f"its question is not asked in this iteration (split {self._split[str(found[0])]})")


def records_of(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file.

    Raises:
        EngineError: If it cannot be read, or is empty.
    """
    try:
        return read_records(file, holding="completions")
    except QuestionsError as error:
        raise EngineError(f"sampling.engine_options.paths: {error.message}") from error


def completions_of(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of each completion of a row, which holds a text, or a list of them and of what is said of each.

    Raises:
        ValueError: If there is none, or it is not clear what is said of which.
    """
    value = fields["completion"]
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("it has no completion" if value is None or value == [] else "its completion is no text")
    said = {name: _of_each(name, fields[name], len(texts)) for name in ("finish_reason", "n_tokens")}
    return [
        {**fields, "completion": text, "finish_reason": _end(end), "n_tokens": _count(n)}
        for text, end, n in zip(texts, said["finish_reason"], said["n_tokens"], strict=True)
    ]


def _of_each(name: str, value: Any, n: int) -> list[Any]:
    values = value if isinstance(value, list) else [value] * n if n == 1 or value is None else [value]
    if len(values) != n:
        raise ValueError(f"it has {n} completions, and its {name} says something of {len(values)}")
    return values


def _end(value: Any) -> str | None:
    """Return how a completion ended; None if that is not said.

    Raises:
        ValueError: If it is said in words that are not known.
    """
    said = as_text(value)
    if not said:
        return None
    if said not in _ENDS:
        raise ValueError(f"its finish_reason {said!r} is none of {', '.join(_ENDS)}")
    return _ENDS[said]


def _count(value: Any) -> int | None:
    said = as_text(value)
    if not said:
        return None
    if not said.removesuffix(".0").isdecimal():
        raise ValueError(f"its n_tokens {said!r} is no number of tokens")
    return int(said.removesuffix(".0"))
