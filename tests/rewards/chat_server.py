"""A real HTTP server that speaks the chat protocol, grades sums as it is told, and misbehaves first."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from tests.engines.faulty_server import Body, Fault, FaultyServer, reply, serving

Grader = Callable[[Body], str]
_BETWEEN_MARKS = re.compile(r"----- (\w+) begins -----\n(.*)\n----- \1 ends -----", re.DOTALL)


def parts_of(body: Body) -> tuple[str, str]:
    """Return the mark and the completion of a request."""
    found = _BETWEEN_MARKS.search(body["messages"][1]["content"])
    assert found is not None
    return found[1], found[2]


def knows_that_it_is_four(body: Body) -> str:
    mark, completion = parts_of(body)
    return f"The sum is 4.\nVERDICT {mark}: {'CORRECT' if re.search(r'is 4$', completion) else 'WRONG'}"


def slowly(grader: Grader) -> Grader:
    def grade(body: Body) -> str:
        time.sleep(0.05)
        return grader(body)

    return grade


def says(text: str, finish_reason: str = "stop") -> Fault:
    """Return a fault: an answer that this text is all of."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 200, _answer(text, finish_reason))

    return fault


@contextmanager
def grading(grader: Grader, *faults: Fault, key: str | None = None) -> Iterator[FaultyServer]:
    with serving(*faults, key=key) as server:
        server.answer = lambda body: _answer(grader(body), "stop")
        yield server


def _answer(text: str, finish_reason: str) -> Body:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}}
