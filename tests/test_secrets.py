"""A key in every place where one can be given, against servers that repeat it: it is in nothing that is written."""

import base64
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from restem.commands.export import export
from restem.engines import open_engine
from restem.errors import EngineError, ParameterError, PolicyError, RestemError, RewardError
from restem.masking import mask, mask_all_messages
from restem.rewards import load_reward
from restem.tracking.destination import TrackingError, reaching
from tests import forked
from tests.builders import checked
from tests.conftest import Project

KEY = "mk-Marked/Key+0123456789="
VARIABLE = "SOME_VARIABLE"  # whose name does not say that it is secret
Reply = Callable[[str], tuple[int, dict[str, str], str]]


def forms(key: str) -> set[str]:
    """Return what must not be seen, parts of the key among it."""
    return {key, quote(key, safe=""), key[:12], key[-12:], base64.b64encode(key.encode()).decode()}


def assert_hidden(text: str) -> None:
    assert not [form for form in forms(KEY) if form in text], text


@contextmanager
def hostile(reply: Reply, models: Reply | None = None) -> Iterator[str]:
    """Yield the URL of a server that answers with what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

        def do_GET(self) -> None:
            self._answer(models or (lambda _: (200, {}, '{"data": []}')))

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self._answer(reply)

        def _answer(self, made: Reply) -> None:
            status, headers, body = made(self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def escaped(text: str) -> str:
    """Return JSON that hides what it says from whoever looks at its characters."""
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


ECHOES: dict[str, Reply] = {
    "list": lambda said: (200, {}, json.dumps([{"header": said}] * 3)),
    "escaped list": lambda said: (200, {}, f"[{escaped(said)}]"),
    "no json": lambda said: (200, {}, f"<html>{said}</html>"),
    "padded to the cut": lambda said: (500, {}, "x" * 385 + said),
    "busy": lambda said: (503, {}, said * 30),
    "refused": lambda said: (401, {}, json.dumps({"error": {"message": f"Incorrect API key provided: {said}"}})),
    "no model": lambda said: (404, {}, json.dumps({"error": f"model {said} is not there"})),
    "redirect": lambda said: (307, {"Location": f"http://127.0.0.1:1/{quote(said)}"}, said),
    "retry after": lambda said: (429, {"Retry-After": said}, said),
    "another shape": lambda said: (200, {}, json.dumps({"choices": {said: said}})),
    "quota": lambda said: (429, {}, f"insufficient_quota {said}"),
    "key in a key": lambda said: (200, {}, json.dumps({said: said})),
}


def sample(url: str, **options: Any) -> list[Any]:
    known = {"base_url": url, "model": "m", "api_key_env": VARIABLE, "max_retries": 1, "backoff_s": 0.0}
    with open_engine("openai", "unused", **{**known, **options}) as engine:
        return list(engine.sample(["p"], n=1, max_new_tokens=4))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    mask_all_messages()


@pytest.mark.parametrize("name", ECHOES)
def test_key_that_a_server_repeats_is_in_no_error_of_the_engine(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    lists = ECHOES["refused"] if name == "refused" else lambda said: (200, {}, json.dumps({"data": [{"id": said}]}))
    with hostile(ECHOES[name], lists) as url, pytest.raises(EngineError) as caught:
        sample(url)

    assert_hidden(str(caught.value))
    assert_hidden(caplog.text + "".join(capfd.readouterr()))


@pytest.mark.parametrize("name", ["list", "padded to the cut", "refused", "no model", "redirect"])
def test_key_that_a_server_repeats_is_in_no_error_of_the_judge(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    question = {"question_id": "q", "text": "t", "gold": {"answer": "1"}}
    options = {"model": "m", "api_key_env": VARIABLE, "max_retries": 1, "backoff_s": 0.0}
    with (
        hostile(ECHOES[name]) as url,
        pytest.raises(RewardError) as caught,
        load_reward("judge", base_url=url, **options) as reward,
    ):
        reward.score([question], ["1"])

    assert_hidden(str(caught.value))
    assert_hidden(caplog.text + "".join(capfd.readouterr()))


def test_key_that_a_server_puts_into_completions_is_not_kept() -> None:
    def echo(said: str) -> tuple[int, dict[str, str], str]:
        return 200, {}, json.dumps({"choices": [{"text": f"it is {said}", "finish_reason": "stop"}]})

    with hostile(echo) as url:
        ((completion,),) = sample(url)

    assert completion.text == "it is Bearer ***"


@pytest.mark.parametrize("broken", [f"{KEY}\nX: 1", f"{KEY} {KEY}", f"{KEY}\r", f"{KEY}é", f"{KEY}\t1"])
def test_key_that_no_header_can_carry_is_refused_unseen(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"a{broken}b")
    with pytest.raises(EngineError, match=f"api_key_env names {VARIABLE}, which holds") as engine:
        sample("http://127.0.0.1:1/v1")
    with pytest.raises(RewardError, match=f"api_key_env names {VARIABLE}, which holds") as judge:
        load_reward("judge", base_url="http://127.0.0.1:1/v1", model="m", api_key_env=VARIABLE)

    assert_hidden(f"{engine.value} {judge.value}")


@pytest.mark.parametrize(
    "url", [f"http://u:{quote(KEY, safe='')}@127.0.0.1:1/v1", f"http://127.0.0.1:1/v1?api_key={KEY}"]
)
def test_url_with_a_secret_is_refused_unseen(url: str) -> None:
    with pytest.raises(EngineError, match="base_url must hold no secret") as caught:
        sample(url, api_key_env=None)

    assert_hidden(str(caught.value))


SECRET_PARAMETERS: dict[str, dict[str, Any]] = {
    "sampling.engine_options.api_key": {"sampling": {"engine_options": {"api_key": KEY}}},
    "sampling.engine_options.extra_body.token": {"sampling": {"engine_options": {"extra_body": {"token": KEY}}}},
    "sampling.engine_options.headers.Authorization": {
        "sampling": {"engine_options": {"headers": {"Authorization": KEY}}}
    },
    "sampling.engine_options.base_url": {"sampling": {"engine_options": {"base_url": f"https://u:{KEY[:9]}@host/v1"}}},
    "scoring.options.judge.api_key": {"scoring": {"options": {"judge": {"api_key": KEY}}}},
    "questions.options.hf_token": {"questions": {"options": {"hf_token": KEY}}},
    "questions.transfer.mine.password": {"questions": {"transfer": {"mine": {"password": KEY}}}},
}


@pytest.mark.parametrize("name", SECRET_PARAMETERS)
def test_secret_among_the_parameters_is_refused_by_its_name_alone(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} holds a secret") as caught:
        checked(**SECRET_PARAMETERS[name])

    assert_hidden(str(caught.value))


def test_nothing_is_written_before_a_secret_parameter_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    asked = f"sampling.engine_options.api_key={KEY},policy.model=builtin:tiny"
    command = ["kedro", "run", "--env", "tiny", "--pipelines", "prepare", "--params", asked]
    done = forked.run(command, project.folder)

    assert done.returncode != 0
    assert "sampling.engine_options.api_key holds a secret" in done.stdout + done.stderr
    assert_hidden(done.stdout + done.stderr)
    for path in {path for path in tmp_path.rglob("*") if path.is_file()}:
        if path not in before:
            assert_hidden(path.read_bytes().decode("utf-8", "replace"))


@pytest.mark.parametrize("kind", ["in the address", "in variables"])
@pytest.mark.parametrize("status", [401, 500, 302])
def test_password_of_the_tracking_server_is_in_no_error_and_no_log(  # noqa: PLR0913 - two cases, four fixtures
    kind: str,
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from mlflow import MlflowClient

    caplog.set_level(logging.DEBUG)

    def echo(said: str) -> tuple[int, dict[str, str], str]:
        decoded = base64.b64decode(said.removeprefix("Basic ")).decode() if said else ""
        where = {"Location": f"http://127.0.0.1:1/?password={quote(KEY, safe='')}"} if status == 302 else {}
        return status, where, f"{said} is {decoded}, or {quote(decoded)}"

    with hostile(echo, echo) as url:
        address = url.removesuffix("/v1")
        if kind == "in the address":
            address = address.replace("://", f"://u:{quote(KEY, safe='')}@")
        else:
            monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "u")
            monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", KEY)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError) as caught, reaching(checked(), tmp_path, later="-") as where:
            MlflowClient(tracking_uri=where.uri).search_experiments()

    logging.getLogger("restem").warning("%s", caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert_hidden(str(caught.value))
    assert_hidden(caplog.text + "".join(capfd.readouterr()))


@pytest.mark.parametrize("name", ["HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "MY_SECRET"])
def test_secrets_of_the_environment_are_in_no_error_and_no_log(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, KEY)
    said = f"{KEY} {quote(KEY, safe='')} {json.dumps(KEY)} {KEY!r}"

    logging.getLogger("some.package").warning("asked with %s", said)
    try:
        raise ValueError(said)
    except ValueError:
        logging.getLogger("some.package").exception("failed")

    assert_hidden(str(RestemError(said)))
    assert_hidden(caplog.text)


def test_traceback_that_ends_a_process_shows_no_secret() -> None:
    program = (
        "import os; from restem.masking import mask_all_messages; mask_all_messages(); "
        "raise ValueError('sent ' + os.environ['HF_TOKEN'])"
    )
    environment = {**os.environ, "HF_TOKEN": KEY}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)

    assert "ValueError: sent ***" in done.stderr
    assert_hidden(done.stderr)


def test_token_for_the_hub_with_a_line_break_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{KEY}\nX: 1")
    with pytest.raises(PolicyError, match="HF_TOKEN holds a line break") as caught:
        export.main(["best", "out", "--hub", "me/mine"], standalone_mode=False)

    assert_hidden(str(caught.value))


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org/@someone and mail a@b.org",
        "s3://bucket/folder has no such key",
        "Basic arithmetic of a token: the password of the question is red",
        "no_answer: 3, tokens: 12345",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("odd", [b"\xff\xfe-no-text-at-all", b"://u:p\xff[w0rd@host"])
def test_secret_that_is_no_text_breaks_no_message(odd: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", os.fsdecode(odd))
    monkeypatch.setenv("SOME_URL", "http" + os.fsdecode(odd))

    assert mask("all is well") == "all is well"
    assert mask(f"sent {os.fsdecode(odd)}") == "sent ***"
