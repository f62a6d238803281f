"""A model hub for tests: it takes repositories and commits as huggingface_hub sends them, and keeps the files."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Hub(ThreadingHTTPServer):
    """What was sent so far."""

    def __init__(self, *, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.token = token
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            self._answer(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            made = json.loads(body)
            self.server.created.append(made)
            self._answer(200, {"url": f"{self.server.url}/{made['organization']}/{made['name']}"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"warnings": [], "errors": []})
        elif "/preupload/" in self.path:
            usual = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self._answer(200, {"files": [{"path": file["path"], **usual} for file in json.loads(body)["files"]]})
        elif "/commit/" in self.path:
            repository = re.sub(r"^/api/(models|datasets)/", "", self.path).partition("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer(200, {"commitUrl": f"{self.server.url}/{repository}/commit/{'1' * 40}", "commitOid": "1" * 40})
        else:
            self._answer(404, {"error": self.path})

    def do_GET(self) -> None:
        self._answer(200, {"sha": "0" * 40, "id": re.sub(r"^/api/(models|datasets)/", "", self.path), "siblings": []})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(*, token: str) -> Iterator[Hub]:
    """Serve until left."""
    with Hub(token=token) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()
