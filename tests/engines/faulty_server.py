"""A real HTTP server that speaks the completions protocol, and misbehaves as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Fault = Callable[[BaseHTTPRequestHandler], None]


class FaultyServer(ThreadingHTTPServer):
    """Answers `prompt #seed.index`, after it has made its faults, one per request."""

    daemon_threads = True
    answer: "Callable[[Body], Body] | None" = None  # in place of the echo

    def __init__(self, faults: list[Fault], most_choices: int, key: str | None, refused: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults, self.most_choices, self.key, self.refused = faults, most_choices, key, refused
        self.bodies: list[Body] = []  # of all requests that reached it
        self.busy = 0
        self.most_busy = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        if self._admitted():
            reply(self, 200, {"data": [{"id": "echo"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        with server.lock:
            server.bodies.append(body)
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
            fault = server.faults.pop(0) if server.faults else None
        try:
            if not self._admitted():
                return
            if fault:
                fault(self)
            elif refused := [name for name in server.refused if name in body]:
                reply(self, 422, {"detail": f"Unexpected fields in the request: {refused}"})
            elif self.path != ("/v1/chat/completions" if "messages" in body else "/v1/completions"):
                reply(self, 404, {"error": f"There is no {self.path} for this."})
            elif body["model"] != "echo":
                reply(self, 404, {"error": f"The model `{body['model']}` does not exist."})
            else:
                reply(self, 200, server.answer(body) if server.answer else _answer(body, server.most_choices))
        finally:
            with server.lock:
                server.busy -= 1

    def _admitted(self) -> bool:
        key = self.server.key
        given = self.headers.get("authorization", "")
        if key is None or given == f"Bearer {key}":
            return True
        reply(self, 401, {"error": f"Incorrect API key provided: {given.removeprefix('Bearer ')}"})
        return False


def _answer(body: Body, most_choices: int) -> Body:
    n = min(body.get("n", 1), most_choices)
    chat = "messages" in body
    asked = body["messages"][-1]["content"] if chat else body["prompt"]
    texts = [f"{asked} #{body.get('seed')}.{index} END more" for index in range(n)]
    said = [{"message": {"role": "assistant", "content": text}} if chat else {"text": text} for text in texts]
    choices = [{"index": index, "finish_reason": "stop", **text} for index, text in enumerate(said)]
    usage = {"prompt_tokens": 3, "completion_tokens": 5 * n, "total_tokens": 3 + 5 * n}
    return {"choices": choices[::-1], "usage": usage}


def reply(handler: BaseHTTPRequestHandler, status: int, answer: Any, **headers: str) -> None:
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def status(code: int, **headers: str) -> Fault:
    return lambda handler: reply(handler, code, {"error": "not now"}, **headers)


def garbage(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 200, b"<html>proxy error</html>")


def another_shape(handler: BaseHTTPRequestHandler) -> None:
    reply(handler, 200, {"choices": [{"index": 0}]})


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [{"te')
    handler.close_connection = True


@contextmanager
def serving(
    *faults: Fault, most_choices: int = 1000, key: str | None = None, refused: tuple[str, ...] = ()
) -> Iterator[FaultyServer]:
    server = FaultyServer(list(faults), most_choices, key, refused)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
