"""Marks of readers while the page is open: checked against the samples that they are on, kept, and shown again."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from restem.errors import LineageError, SelectionError
from restem.parameters.ranges import explained
from restem.scoring.marks import MOST_NAME, MOST_TEXT, Mark, latest
from restem.store.fingerprints import fingerprint
from restem.viewing.filters import ANY_MARK
from restem.viewing.library import Library

_KEY = ("experiment", "iteration", "stage", "decoding", "sample_index", "policy_id")


class Store(Protocol):
    """Where marks of an experiment are: `restem.datasets.MarksDataset`."""

    is_writable: bool

    def load(self) -> Sequence[Mark]:
        """Return all marks."""

    def save(self, data: Sequence[Mark]) -> None:
        """Add marks."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="ignore"))
class Said:
    """What a reader says, as the page sends it and as its download holds it."""

    experiment: str
    question_id: str
    iteration: int
    stage: str
    decoding: str
    sample_index: int
    policy_id: str
    opinion: Literal["right", "wrong", "doubtful", ""]
    text: Annotated[str, Field(max_length=MOST_TEXT)] = ""
    who: Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
    when: datetime | None = None  # None is now
    completion: str | None = None  # its fingerprint, if the sample was read elsewhere


class Notes:
    """The marks on the samples of a library."""

    def __init__(self, library: Library, stores: Mapping[str, Store]) -> None:
        """Read what was said so far.

        Args:
            library: The samples.
            stores: Of every experiment, by its name.
        """
        self._library, self._stores = library, stores
        self._tell()

    @property
    def is_writable(self) -> bool:
        """Whether marks can be kept beside the experiments."""
        return all(store.is_writable for store in self._stores.values())

    def all(self) -> list[dict[str, Any]]:
        """Return the last mark of every reader on every sample."""
        return [asdict(mark) for mark in self._marks()]

    def on(self, question_id: str) -> list[dict[str, Any]]:
        """Return the marks on samples of a question, the last of every reader."""
        return [mark for mark in self.all() if mark["question_id"] == question_id]

    def counts(self) -> dict[str, int]:
        """Return how many questions have a sample of which somebody said so."""
        return {name: len(ids) for name, ids in self._by_opinion().items()}

    def marked(self) -> set[str]:
        """Return the ids of the questions that have a mark."""
        return {mark.question_id for mark in self._marks()}

    def add(self, lines: Sequence[str | bytes]) -> list[Mark]:
        """Keep marks, all of them or none; one that is kept already is not added again.

        Args:
            lines: A JSON object each, see `Said`.

        Raises:
            SelectionError: If one is not what it should be.
            LineageError: If one is on a sample that is not here.
        """
        added = [self._mark(line, place) for place, line in enumerate(lines, 1)]
        by_store: dict[str, list[Mark]] = defaultdict(list)
        for mark in added:
            by_store[mark.experiment].append(mark)
        for name, marks in by_store.items():
            known = set(self._stores[name].load())
            self._stores[name].save([mark for mark in dict.fromkeys(marks) if mark not in known])
        self._tell()
        return added

    def _mark(self, line: str | bytes, place: int) -> Mark:
        try:
            said = _ADAPTER.validate_json(line)
        except ValidationError as error:
            raise SelectionError(f"mark {place} cannot be kept: {'; '.join(explained(error))}") from error
        sample = self._library.sample(said.question_id, {name: getattr(said, name) for name in _KEY})
        name = None if sample is None else completion_fingerprint(sample["completion"])
        if sample is None or said.completion not in (None, name):
            where = f"{said.experiment}, iteration {said.iteration}, {said.question_id}:{said.sample_index}"
            raise LineageError(f"mark {place} is on a sample that is not here, or is another by now: {where}")
        when = (said.when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")
        key = {name: sample[name] for name in _KEY}
        return Mark(
            **key,
            question_id=said.question_id,
            completion=str(name),
            reward=sample["reward"],
            reason=sample["reason"],
            opinion=said.opinion,
            text=said.text,
            who=said.who,
            when=when,
        )

    def _marks(self) -> list[Mark]:
        return latest(mark for store in self._stores.values() for mark in store.load())

    def _by_opinion(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for mark in self._marks():
            found[mark.opinion or "comment"].add(mark.question_id)
            found[ANY_MARK].add(mark.question_id)
        return found

    def _tell(self) -> None:
        self._library.use_marks(self._by_opinion())


_ADAPTER = TypeAdapter(Said)


def completion_fingerprint(text: str) -> str:
    """Return the name of a completion in marks."""
    return fingerprint(text)


def lines_of(text: str) -> list[str]:
    """Return the marks that a file of them holds, a JSON object per line."""
    return [line for line in text.split("\n") if line.strip()]
