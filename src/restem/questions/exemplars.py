"""Exemplars from a file: the solved questions that a few-shot prompt shows, chosen by people.

The file is JSONL, JSON, CSV or Parquet with the columns text (or question, problem) and solution (or target, answer).
"""

from collections.abc import Iterator

from restem.errors import QuestionsError
from restem.parameters import QuestionsParameters
from restem.questions.places import FILE, place_of, read_file
from restem.questions.public import Row
from restem.questions.reading import PLACE, Record, as_text

EXEMPLARS_FILE = "exemplars file"  # their source
_TEXT = ("text", "question", "problem", "input")
_SOLUTION = ("solution", "target", "answer")


def read_exemplars(parameters: QuestionsParameters) -> Iterator[Row]:
    """Yield the first `questions.n_exemplars` rows of the file `questions.exemplars`; none if there is no file.

    Raises:
        QuestionsError: If the file has too few, or other columns.
    """
    if parameters.exemplars is None:
        return
    records = read_file(place_of(parameters.exemplars))
    if len(records) < parameters.n_exemplars:
        raise QuestionsError(
            f"questions.n_exemplars is {parameters.n_exemplars}, but {parameters.exemplars} has only {len(records)}"
        )
    for record in records[: parameters.n_exemplars]:
        text, solution = _first_of(record, _TEXT), _first_of(record, _SOLUTION)
        if text is None or solution is None:
            names = ", ".join(column for column in record if column not in {FILE, PLACE})
            raise QuestionsError(
                f"questions.exemplars: looked for a column {' or '.join(_TEXT)} and a column {' or '.join(_SOLUTION)} "
                f"in {parameters.exemplars}; found {names}"
            )
        # It is shown and never judged, so it needs no answer that a reward could read.
        yield {"text": text, "gold": {"solution": solution}, "split": "exemplar", "source": EXEMPLARS_FILE}


def _first_of(record: Record, columns: tuple[str, ...]) -> str | None:
    texts = (as_text(record.get(column)) for column in columns)
    return next((text.strip() for text in texts if text and text.strip()), None)
