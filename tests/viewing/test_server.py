import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from restem.errors import ScaleError
from restem.viewing.server import ViewServer
from tests.viewing.planted import HOSTILE, Kept, read
from tests.viewing.test_notes import SAID


@pytest.fixture
def served(index: Path) -> Iterator[tuple[ViewServer, Kept]]:
    library, notes, stores = read(index)
    with ViewServer(library, notes, user="ann", port=0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server, stores["planted"]
        server.shutdown()
        thread.join()
    library.close()


def asked(server: ViewServer, what: str, **headers: str) -> Any:
    return httpx.get(f"{server.url}{what}", headers=headers)


def test_the_page_and_what_it_asks_for_are_served(served: tuple[ViewServer, Kept]) -> None:
    server, _ = served
    page = asked(server, "")

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "planted: samples" in page.text
    assert HOSTILE not in page.text
    assert asked(server, "api/about").json()["user"] == "ann"
    assert asked(server, "api/questions?verdict=accepted").json()["total"] == 3
    assert asked(server, "api/question?question_id=train-2").json()["columns"][0]["samples"][0]["completion"] == HOSTILE
    of = "of_experiment=planted&of_iteration=1&of_stage=training"
    assert len(asked(server, f"api/samples?question_id=train-1&{of}&offset=4").json()["samples"]) == 2


def test_the_page_is_one_file_that_fetches_nothing_and_runs_nothing_but_its_own_script(
    served: tuple[ViewServer, Kept],
) -> None:
    text = asked(served[0], "").text
    (policy,) = re.findall('Content-Security-Policy" content="([^"]+)"', text)

    assert "default-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|href)="(?!data:,|#)', text) == []
    assert re.findall(r"https?://", text) == []


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("api/question?question_id=nobody", "there is no question 'nobody'"),
        ("api/questions?colour=red", "there is no filter 'colour'"),
        ("api/questions?iteration=x", "is a number"),
        ("api/nothing", "there is no /api/nothing"),
        ("../../etc/passwd", "there is no /"),
    ],
)
def test_what_is_not_there_is_said(served: tuple[ViewServer, Kept], path: str, said: str) -> None:
    answer = asked(served[0], path)

    assert answer.status_code in (400, 404)
    assert said in answer.json()["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8631", "127.0.0.1:1", "localhost", ""])
def test_whoever_calls_it_by_another_name_is_refused(served: tuple[ViewServer, Kept], host: str) -> None:
    assert asked(served[0], "api/about", Host=host).status_code == 403


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1"])
def test_marks_of_other_sites_are_refused(served: tuple[ViewServer, Kept], origin: str | None) -> None:
    server, store = served
    headers = {"Content-Type": "application/json"} | ({"Origin": origin} if origin else {})

    answer = httpx.post(f"{server.url}api/marks", content=json.dumps(SAID), headers=headers)

    assert answer.status_code == 403
    assert store.marks == []
    assert asked(server, "api/about", **({"Origin": origin} if origin else {})).status_code == (403 if origin else 200)


def test_a_mark_of_the_page_is_kept_and_one_that_is_wrong_is_not(served: tuple[ViewServer, Kept]) -> None:
    server, store = served
    headers = {"Content-Type": "application/json", "Origin": server.url.rstrip("/")}

    def post(content: str, **changed: str) -> Any:
        return httpx.post(f"{server.url}api/marks", content=content, headers=headers | changed)

    assert post(json.dumps(SAID)).json() == {"marked": {"right": 1, "any": 1}}
    assert [mark.who for mark in store.marks] == ["Ann"]
    assert "opinion" in post(json.dumps(SAID | {"opinion": "?"})).json()["error"]
    assert post(json.dumps(SAID), **{"Content-Type": "text/plain"}).status_code == 404
    assert post("x" * 1_000_001).status_code == 413
    assert post("\udcff".encode("utf-8", "surrogatepass").decode("latin-1")).status_code == 400
    assert asked(server, "api/questions?mark=right").json()["total"] == 1
    assert len(store.marks) == 1


def test_another_port_is_taken_unless_one_is_asked_for(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, notes, _ = read(index)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr("restem.viewing.server.VIEW_PORT", taken)
        with ViewServer(library, notes, user="") as server:
            assert server.server_port != taken
            assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(ScaleError, match=f"--port {taken} cannot be had"):
            ViewServer(library, notes, user="", port=taken)
    library.close()
