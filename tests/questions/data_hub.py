"""A hub of data sets for tests: it answers what `datasets` and huggingface_hub ask of the Hugging Face hub.

The libraries are the real ones; they are told of this server by HF_ENDPOINT.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c" * 40


class Repository(NamedTuple):
    """A data set on the hub."""

    files: dict[str, bytes]
    is_gated: bool = False


class DataHub(ThreadingHTTPServer):
    """The repositories, and what was asked so far."""

    daemon_threads = True

    def __init__(self, repositories: dict[str, Repository], *, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories, self.token = repositories, token
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: DataHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._serve(body)

    def _serve(self, body: bytes = b"") -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        api = parts[:2] == ["api", "datasets"]
        name = "/".join(parts[2:4] if api else parts[1:3])
        repository = self.server.repositories.get(name)
        if repository is None:
            return self._refuse(401 if not self._signed_in() else 404, "RepoNotFound", "Repository Not Found")
        action, *rest = (parts[4:] if api else parts[3:]) or ["revision"]
        revision, inside = (rest[0] if rest else "main"), "/".join(rest[1:])
        if revision == "refs" and len(rest) > 2:
            revision, inside = "/".join(rest[:3]), "/".join(rest[3:])
        if revision not in ("main", "v1", COMMIT):
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if repository.is_gated and not self._signed_in() and action == "resolve":
            return self._refuse(401, "GatedRepo", f"Access to dataset {name} is restricted")
        if action == "resolve":
            return self._file(repository, inside)
        answers = {"revision": self._info, "tree": self._tree, "paths-info": self._paths}
        return self._json(200, answers[action](name, repository, inside, body))

    def _signed_in(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _info(self, name: str, repository: Repository, _inside: str, _body: bytes) -> Any:
        card = repository.files.get("README.md", b"").decode()
        licence = next((line.partition(": ")[2] for line in card.splitlines() if line.startswith("license:")), None)
        return {
            "id": name,
            "sha": COMMIT,
            "gated": "manual" if repository.is_gated else False,
            "cardData": {"license": licence} if licence else {},
            "siblings": [{"rfilename": file} for file in repository.files],
        }

    def _tree(self, _name: str, repository: Repository, inside: str, _body: bytes) -> Any:
        is_deep = parse_qs(urlsplit(self.path).query).get("recursive", ["False"])[0].lower() in {"true", "1"}
        before = f"{inside}/" if inside else ""
        below = [file for file in repository.files if file.startswith(before)]
        folders = {
            before + file.removeprefix(before).split("/")[0] for file in below if "/" in file.removeprefix(before)
        }
        files = [file for file in below if is_deep or "/" not in file.removeprefix(before)]
        return [*map(_folder, sorted(folders)), *(_entry(file, repository) for file in files)]

    def _paths(self, _name: str, repository: Repository, _inside: str, body: bytes) -> Any:
        asked = parse_qs(body.decode())["paths"] if body[:1] != b"{" else json.loads(body)["paths"]
        folders = [path for path in asked if any(file.startswith(f"{path}/") for file in repository.files)]
        return [*map(_folder, folders), *(_entry(path, repository) for path in asked if path in repository.files)]

    def _file(self, repository: Repository, file: str) -> None:
        content = repository.files.get(file)
        if content is None:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        asked = self.headers.get("Range", "")
        first, _, last = asked.removeprefix("bytes=").partition("-")
        part = content[int(first or 0) : int(last) + 1 if last else None] if asked else content
        more = (
            {"Content-Range": f"bytes {first or 0}-{int(first or 0) + len(part) - 1}/{len(content)}"} if asked else {}
        )
        headers = {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes", **more}
        return self._answer(206 if asked else 200, part, "application/octet-stream", headers)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._answer(
            status, b"", "application/json", {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": COMMIT}
        )

    def _json(self, status: int, content: Any) -> None:
        self._answer(status, json.dumps(content).encode(), "application/json", {})

    def _answer(self, status: int, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}


def _entry(path: str, repository: Repository) -> dict[str, Any]:
    content = repository.files[path]
    return {"type": "file", "path": path, "oid": sha1(content).hexdigest(), "size": len(content)}


@contextmanager
def serving(repositories: dict[str, Repository], *, token: str = "hf_right") -> Iterator[DataHub]:
    """Serve until left."""
    with DataHub(repositories, token=token) as hub:
        Thread(target=hub.serve_forever, daemon=True).start()
        yield hub
        hub.shutdown()
