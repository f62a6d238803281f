"""The page on this machine: a server for one reader, which answers this machine alone and pages that are its own."""

import json
import logging
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from restem.errors import RestemError, ScaleError
from restem.masking import mask
from restem.suggestions import VIEW_PORT
from restem.viewing.html import page
from restem.viewing.library import Library
from restem.viewing.notes import Notes, lines_of
from restem.viewing.one_file import title_of

HOST = "127.0.0.1"
_LARGEST_NUMBER = 2**53
_LARGEST = 1_000_000  # bytes of what is sent to it
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_logger = logging.getLogger(__name__)


class ViewServer(ThreadingHTTPServer):
    """Serves a library on localhost."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, library: Library, notes: Notes, *, user: str, port: int | None = None) -> None:
        """Listen, on this port or, if none is asked for and the usual one is taken, on a free one.

        Raises:
            ScaleError: If the port that is asked for is taken.
        """
        self.library, self.notes, self.user = library, notes, user
        self.page = page(title_of(library.about)).encode()
        try:
            super().__init__((HOST, VIEW_PORT if port is None else port), _Handler)
        except OSError as error:
            if port is not None:
                raise ScaleError(
                    f"--port {port} cannot be had: {error.strerror}; leave it out, and a free one is taken"
                ) from error
            super().__init__((HOST, 0), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind without asking for the name of this machine, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def names(self) -> set[str]:
        """Return how pages of this server call it; who calls it otherwise was led here by another site."""
        return {f"{host}:{self.server_port}" for host in (HOST, "localhost")}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ViewServer
    timeout = 60

    def do_GET(self) -> None:
        """Answer with the page, or with what it asks for."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Keep a mark."""
        self._answer(self._post)

    def _answer(self, find: Any) -> None:
        try:
            status, kind, body = find() if self._is_ours() else _refusal("this server answers its own page alone")
        except RestemError as error:
            status, kind, body = _refusal(error.message, HTTPStatus.BAD_REQUEST)
        except (BrokenPipeError, ConnectionResetError):
            return  # the reader is gone
        except Exception as error:  # said to the reader, as the page has no terminal
            _logger.exception("the page asked for %s", self.path)
            status, kind, body = _refusal(mask(f"{type(error).__name__}: {error}"), HTTPStatus.INTERNAL_SERVER_ERROR)
        self._send(status, kind, body)

    def _is_ours(self) -> bool:
        names = self.server.names()
        origin = self.headers.get("Origin")
        is_own = origin in {f"http://{name}" for name in names}
        return self.headers.get("Host") in names and (is_own if self.command == "POST" else origin is None or is_own)

    def _get(self) -> tuple[HTTPStatus, str, bytes]:
        url = urlsplit(self.path)
        asked = dict(parse_qsl(url.query, keep_blank_values=True))
        library, notes = self.server.library, self.server.notes
        if url.path == "/":
            return HTTPStatus.OK, "text/html", self.server.page
        if url.path == "/api/about":
            own = {"user": self.server.user, "keeps_marks": notes.is_writable, "marked": notes.counts()}
            return _json({**library.about, **own})
        if url.path == "/api/questions":
            return _json(library.page(asked, offset=_number(asked, "offset")))
        if url.path == "/api/question":
            name = asked.pop("question_id", "")
            return _json({**library.question(name, asked), "marks": notes.on(name)})
        if url.path == "/api/samples":
            name, offset = asked.pop("question_id", ""), _number(asked, "offset")
            column = {
                "experiment": asked.pop("of_experiment", ""),
                "iteration": _number(asked, "of_iteration"),
                "stage": asked.pop("of_stage", ""),
            }
            return _json({"samples": library.samples(name, column, asked, offset=offset)})
        return _refusal(f"there is no {url.path} here", HTTPStatus.NOT_FOUND)

    def _post(self) -> tuple[HTTPStatus, str, bytes]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST:
            self.close_connection = True
            return _refusal("a mark has at most a million bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if self.path != "/api/marks" or self.headers.get_content_type() != "application/json":
            return _refusal("marks are sent to /api/marks as application/json", HTTPStatus.NOT_FOUND)
        self.server.notes.add(lines_of(body.decode("utf-8", "replace")))
        return _json({"marked": self.server.notes.counts()})

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in _HEADERS.items():
                self.send_header(name, value)
            if status != HTTPStatus.OK:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests in the terminal."""
        _logger.debug(format, *args)


def _json(content: Any) -> tuple[HTTPStatus, str, bytes]:
    return HTTPStatus.OK, "application/json", json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _refusal(reason: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> tuple[HTTPStatus, str, bytes]:
    return status, "application/json", json.dumps({"error": reason}).encode()


def _number(asked: dict[str, str], name: str) -> int:
    text = asked.pop(name, "0")
    return min(int(text), _LARGEST_NUMBER) if text.isdecimal() else 0
