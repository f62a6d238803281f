"""What stands in a column of golds -> the gold of a question."""

from typing import Any

from restem.errors import QuestionsError
from restem.questions.reading import as_text, read_json_text


def gold_as_dict(place: str, value: Any) -> Any:
    """Return the gold as a dict, with its answer in the characters of the file; None if there is none.

    Args:
        place: Where it stands, for the error.
        value: A dict, the JSON of one, or a bare answer.

    Raises:
        QuestionsError: If it begins like JSON and is none.
    """
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = read_json_text(value)
        except ValueError as error:
            raise QuestionsError(f"{place}: gold is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        text = as_text(value)
        return {"answer": text} if text and text.strip() else None
    gold = {name: part for name, part in value.items() if part is not None}  # Parquet gives every row every key
    return gold | {name: as_text(gold[name]) for name in ("answer", "solution") if name in gold}
