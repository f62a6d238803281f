"""Chat messages as questions: the last turn of the user is the question, what was said before it its context.

Turns are {role, content}, as TRL and the APIs have them, or {from, value}, as ShareGPT has them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from restem.errors import QuestionsError

Turns = list[dict[str, str]]  # {role, content}, role one of system, user, assistant

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
}


class Conversation(NamedTuple):
    """A question in its context, and how the data set answers it."""

    context: Turns
    text: str
    answer: str | None


def conversation(messages: Sequence[Mapping[str, Any]], *, place: str) -> Conversation:
    """Return the last question of the user, the turns before it, and the assistant's turn behind it.

    Args:
        messages: The turns.
        place: Where they stand, for the error.

    Raises:
        QuestionsError: If a turn is of another role or holds something else than text, or the user asks nothing.
    """
    turns = as_turns(messages, place=place)
    asked = [index for index, turn in enumerate(turns) if turn["role"] == "user"]
    if not asked:
        raise QuestionsError(f"{place}: the messages hold no turn of the user, so there is no question")
    last = asked[-1]
    answers = [turn["content"] for turn in turns[last + 1 :] if turn["role"] == "assistant"]
    return Conversation(turns[:last], turns[last]["content"], answers[0] if answers else None)


def as_turns(messages: Sequence[Mapping[str, Any]], *, place: str) -> Turns:
    """Return messages of any of the known forms as turns.

    Raises:
        QuestionsError: If one is of another role or holds something else than text.
    """
    return [_turn(message, f"{place}, turn {number}") for number, message in enumerate(messages, start=1)]


def _turn(message: Mapping[str, Any], place: str) -> dict[str, str]:
    role, content = (message.get("role") or message.get("from")), message.get("content", message.get("value"))
    known = _ROLES.get(str(role))
    if known is None:
        raise QuestionsError(f"{place} is of role {role!r}; a question may have turns of system, user and assistant")
    if isinstance(content, list | tuple):  # of parts, as for models that see pictures
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = None if None in parts else "\n".join(map(str, parts))
    if not isinstance(content, str):
        raise QuestionsError(f"{place} holds something else than text, which no policy here reads")
    return {"role": known, "content": content}
