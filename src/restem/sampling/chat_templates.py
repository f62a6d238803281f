"""Chat templates are programs of whoever made the model: they run in a process that can be ended, on a day that is set.

A template that loops, fills the memory, or writes something else each time stops the preparation with a sentence. The
day that it is told is `prompt.date` and not the calendar's, so that a prompt is the same tomorrow. What it is told
beside that, `prompt.template_options`, must be something that it reads: a template passes over what it does not know.
"""

import datetime
import difflib
import multiprocessing
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import PromptError
from restem.sampling.template_variables import variables_read

Turns = Sequence[dict[str, str]]

_PATIENCE_S = 20.0  # for one prompt, which takes about a millisecond
_MOST_CHARACTERS = 4_000_000  # of a prompt: more than any context window
_MEMORY_BYTES = 2 << 30  # beyond what this process has mapped already
_ELSEWHERE = "mend the template, or use prompt.style=few_shot"  # what helps in general
# What restem tells a template itself.
_OWN = {
    "messages": "the turns are restem's to give",
    "add_generation_prompt": "a prompt always ends where the policy answers",
    "continue_final_message": "for text that an answer begins with there is prompt.prefill",
    "date_string": "the day is prompt.date",
}


class ChatTemplate(NamedTuple):
    """What writes the turns of a conversation as text."""

    tokenizer: Any
    policy_name: str
    date: datetime.date  # that a template is told when it asks for today
    options: Mapping[str, Any] = {}  # that it is told beside that
    parameter: str = "prompt"  # path of what it is used for, as messages name it


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
            raise PromptError(f"{whose} {problem}")
        yield text


def _write_all(conversations: Sequence[Turns], template: ChatTemplate, sending: Connection) -> None:
    """Send the prompts one by one, or what is wrong with the first that cannot be had."""
    _limit_memory()
    _stop_the_calendar(template.date)
    unread = _unread_option(template)
    if unread:
        sending.send(("", unread))
        return
    is_system_heard = False
    for turns in conversations:
        text, problem = _written(turns, template)
        if not problem and not is_system_heard and _has_system(turns):
            is_system_heard = True  # once is enough: all conversations are of one form
            problem = _passes_over_the_system(turns, template, text)
        sending.send((text, problem))
        if problem:
            return


def _unread_option(template: ChatTemplate) -> str:
    """Return what is wrong with the first option that would change nothing; nothing where there is none."""
    if not template.options:
        return ""
    try:
        read = variables_read(template.tokenizer.get_chat_template())
    except Exception:  # what is wrong with a template that cannot be read, writing with it says
        return ""
    told = {*_OWN, *template.tokenizer.special_tokens_map}
    for name in template.options:
        path = f"{template.parameter}.template_options.{name}"
        if name in told:
            why = _OWN.get(name, "special tokens are the tokenizer's")
            return f"is not to be told {path}: {why}"
        if name not in read:
            offered = sorted(read - told)
            near = difflib.get_close_matches(name, offered, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it reads {', '.join(offered) or 'no options'}"
            return f"does not read {path}, which would change nothing: {hint}"
    return ""


def _written(turns: Turns, template: ChatTemplate) -> tuple[str, str]:
    """Return the prompt, and what is wrong with it."""
    try:
        text, again = (_once(turns, template) for _ in range(2))
    except MemoryError:
        return "", f"wants more than {_MEMORY_BYTES >> 30} GiB of memory; {_ELSEWHERE}"
    except Exception as error:  # whatever the template raises, or jinja for it
        what, mend = _refused(turns, template)
        return "", f"refuses {what} ({type(error).__name__}: {str(error)[:300]}); {mend}"
    if len(text) > _MOST_CHARACTERS:
        return "", f"writes prompts of {len(text)} characters, more than {_MOST_CHARACTERS}; {_ELSEWHERE}"
    if text != again:
        place = next(
            (i for i, (a, b) in enumerate(zip(text, again, strict=False)) if a != b), min(len(text), len(again))
        )
        shown = " and then ".join(repr(rendering[max(place - 20, 0) : place + 40]) for rendering in (text, again))
        return (
            "",
            f"writes another prompt each time, {shown}, so no sample could be drawn again; {_ELSEWHERE}",
        )
    return text, ""


def _refused(turns: Turns, template: ChatTemplate) -> tuple[str, str]:
    """Return what it is that a template refuses, and what to do."""
    if template.options and _can_write(turns, template._replace(options={})):
        options = f"{template.parameter}.template_options"
        return options, f"without {options} it writes the conversation: change them, or leave them out"
    if _has_system(turns) and _can_write(_without_system(turns), template):
        return "the turn of the system", _into_the_users_turn(template)
    return "the conversation", _ELSEWHERE


def _passes_over_the_system(turns: Turns, template: ChatTemplate, text: str) -> str:
    """Return that the template writes the same without the turn of the system, if it does."""
    if text != _written(_without_system(turns), template)[0]:
        return ""
    return f"passes over the turn of the system; {_into_the_users_turn(template)}"


def _into_the_users_turn(template: ChatTemplate) -> str:
    return (
        f'with {template.parameter}.system="" there is none, and {template.parameter}.instruction begins the turn of '
        "the user"
    )


def _can_write(turns: Turns, template: ChatTemplate) -> bool:
    try:
        _once(turns, template)
    except Exception:  # whatever the template raises: what matters is whether it does
        return False
    return True


def _has_system(turns: Turns) -> bool:
    return any(turn["role"] == "system" for turn in turns)


def _without_system(turns: Turns) -> Turns:
    return [turn for turn in turns if turn["role"] != "system"]


def _once(turns: Turns, template: ChatTemplate) -> str:
    told = {"date_string": template.date.strftime("%d %b %Y")} | dict(
        template.options
    )  # as Llama 3 names and writes it
    return str(template.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **told))


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
