"""Questions as they are asked: a text, and the turns of a chat that it may follow."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from restem.errors import PromptError
from restem.store.tables import Table

Turn = dict[str, str]  # role (system, user or assistant) and content


class Asked(NamedTuple):
    """A question, and what was said before it."""

    text: str
    context: Sequence[Turn] = ()


def asked(questions: Table) -> list[Asked]:
    """Return the questions of a table in order."""
    contexts = questions["context"] if "context" in questions else [""] * len(questions)
    return [Asked(text, json.loads(turns or "[]")) for text, turns in zip(questions["text"], contexts, strict=True)]


def texts_alone(questions: Sequence[Asked], style: str) -> list[str]:
    """Return the texts, for a style that writes nothing else.

    Raises:
        PromptError: If a question follows turns of a chat.
    """
    for question in questions:
        if question.context:
            roles = ", ".join(turn["role"] for turn in question.context)
            raise PromptError(
                f"the question {question.text[:80]!r} follows {len(question.context)} turns of a chat ({roles}), which "
                f"prompt.style={style} does not write; use prompt.style=chat"
            )
    return [question.text for question in questions]


def conversation(before: Sequence[Turn], question: Asked, text: str) -> list[Turn]:
    """Return the turns that end with a question.

    Args:
        before: What the system says in the experiment, and its exemplars.
        question: With its context; its own turn of the system takes the place of the experiment's.
        text: The question as it is put.
    """
    own = [turn for turn in question.context if turn["role"] == "system"]
    shared = [turn for turn in before if not (own and turn["role"] == "system")]
    said = [turn for turn in question.context if turn["role"] != "system"]
    return [*own, *shared, *said, {"role": "user", "content": text}]


def begun(turns: Sequence[Turn], text: str) -> list[Turn]:
    """Return turns whose first one of the user begins with a text."""
    first = next(index for index, turn in enumerate(turns) if turn["role"] == "user")
    return [
        {**turn, "content": text + turn["content"]} if index == first else dict(turn)
        for index, turn in enumerate(turns)
    ]
