"""Chat templates are programs of whoever made the model: they run in a process that can be ended, on a day that is set.

A template that loops, fills the memory, or writes something else each time stops the preparation with a sentence. The
day that it is told is `prompt.date` and not the calendar's, so that a prompt is the same tomorrow.
"""

import datetime
import multiprocessing
import resource
from collections.abc import Iterator, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import PromptError

Turns = Sequence[dict[str, str]]

_PATIENCE_S = 20.0  # for one prompt, which takes about a millisecond
_MOST_CHARACTERS = 4_000_000  # of a prompt: more than any context window
_MEMORY_BYTES = 2 << 30  # beyond what this process has mapped already


class ChatTemplate(NamedTuple):
    """What writes the turns of a conversation as text."""

    tokenizer: Any
    policy_name: str
    date: datetime.date  # that a template is told when it asks for today


def write_chats(conversations: Sequence[Turns], template: ChatTemplate) -> list[str]:
    """Return the prompt for each conversation, ready for the policy's turn.

    Raises:
        PromptError: If the template raises, does not end, writes without end, or is different each time.
    """
    context = multiprocessing.get_context("fork")  # a copy of this process, so that the tokenizer is there already
    receiving, sending = context.Pipe(duplex=False)
    writer = context.Process(target=_write_all, args=(conversations, template, sending), daemon=True)
    writer.start()
    sending.close()
    try:
        with closing(receiving):
            return list(_received(receiving, len(conversations), template))
    finally:
        writer.kill()
        writer.join()


def _received(receiving: Connection, n: int, template: ChatTemplate) -> Iterator[str]:
    whose = f"the chat template of {template.policy_name}"
    for number in range(1, n + 1):
        if not receiving.poll(_PATIENCE_S):
            raise PromptError(
                f"{whose} did not write prompt {number} of {n} within {_PATIENCE_S:g} s: look for a loop in it, or use "
                "prompt.style=few_shot"
            )
        try:
            text, problem = receiving.recv()
        except EOFError as error:
            raise PromptError(f"{whose} ended the process that wrote prompt {number} of {n}") from error
        if problem:
            raise PromptError(f"{whose} {problem}; mend the template, or use prompt.style=few_shot")
        yield text


def _write_all(conversations: Sequence[Turns], template: ChatTemplate, sending: Connection) -> None:
    """Send the prompts one by one, or what is wrong with the first that cannot be had."""
    _limit_memory()
    _stop_the_calendar(template.date)
    for turns in conversations:
        message = _written(turns, template)
        sending.send(message)
        if message[1]:
            return


def _written(turns: Turns, template: ChatTemplate) -> tuple[str, str]:
    """Return the prompt, and what is wrong with it."""
    try:
        text, again = (_once(turns, template) for _ in range(2))
    except MemoryError:
        return "", f"wants more than {_MEMORY_BYTES >> 30} GiB of memory"
    except Exception as error:  # whatever the template raises, or jinja for it
        return "", f"refuses the conversation ({type(error).__name__}: {str(error)[:300]})"
    if len(text) > _MOST_CHARACTERS:
        return "", f"writes prompts of {len(text)} characters, more than {_MOST_CHARACTERS}"
    if text != again:
        place = next(
            (i for i, (a, b) in enumerate(zip(text, again, strict=False)) if a != b), min(len(text), len(again))
        )
        shown = " and then ".join(repr(rendering[max(place - 20, 0) : place + 40]) for rendering in (text, again))
        return "", f"writes another prompt each time, {shown}, so no sample could be drawn again"
    return text, ""


def _once(turns: Turns, template: ChatTemplate) -> str:
    dated = {"date_string": template.date.strftime("%d %b %Y")}  # as Llama 3 names and writes it
    return str(template.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **dated))


def _limit_memory() -> None:
    mapped = Path("/proc/self/statm")
    if mapped.exists():  # elsewhere only the time is limited
        size = int(mapped.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY_BYTES, size + _MEMORY_BYTES))


def _stop_the_calendar(date: datetime.date) -> None:
    """Make it this day for the templates of this process, which ask `strftime_now`."""
    from transformers.utils import chat_template_utils

    class Stopped(datetime.datetime):
        """A clock that shows one midnight."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Stopped":
            return cls(date.year, date.month, date.day, tzinfo=tz)

    chat_template_utils.datetime = Stopped
