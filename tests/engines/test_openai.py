import email.utils
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from restem.engines import Completion, deciding_engine_options, open_engine
from restem.errors import BudgetError, EngineError
from restem.policies.tiny_model import write_tiny_model
from tests.engines.faulty_server import FaultyServer, another_shape, cut_off, garbage, serving, status

OPTIONS: dict[str, Any] = {"model": "echo", "backoff_s": 0.01, "timeout_s": 5}
PROMPTS = [f"question {index}" for index in range(7)]


def draw(server: FaultyServer, *, prompts: list[str] = PROMPTS, n: int = 4, **options: Any) -> list[list[Completion]]:
    arguments = {
        name: options.pop(name) for name in ("temperature", "top_k", "stop", "logprobs", "token_ids") if name in options
    }
    with open_engine("openai", "unused", **{**OPTIONS, "base_url": server.url, **options}) as engine:
        return list(engine.sample(prompts, n=n, max_new_tokens=8, seed=3, **arguments))


def test_gives_n_completions_per_prompt_in_order_and_the_same_ones_again() -> None:
    with serving() as server:
        first, again = draw(server), draw(server)

    assert first == again
    assert [len(completions) for completions in first] == [4] * 7
    for prompt, completions in zip(PROMPTS, first, strict=True):
        assert [completion.text.rpartition(".")[2] for completion in completions] == [
            "0 END more",
            "1 END more",
            "2 END more",
            "3 END more",
        ]
        assert all(completion.text.startswith(f"{prompt} #") for completion in completions)
    assert len({body["seed"] for body in server.bodies}) == 7


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
def test_tokens_that_a_server_gives_come_with_the_text_where_they_are_asked_for(endpoint: str) -> None:
    def answer(_: Any) -> dict[str, Any]:
        said: dict[str, Any] = {"message": {"content": "4 2"}} if endpoint == "chat" else {"text": "4 2"}
        choice = {"index": 0, "finish_reason": "stop", **said}
        return {"choices": [{**choice, "token_ids": [7, 5, 2]}, {**choice, "index": 1, "token_ids": ["7"]}]}

    with serving() as server:
        server.answer = answer
        asked = draw(server, prompts=["q"], n=2, endpoint=endpoint, token_ids=True)
        unasked = draw(server, prompts=["q"], n=2, endpoint=endpoint)

    assert [completion.token_ids for completion in asked[0]] == [(7, 5, 2), None]
    assert [completion.token_ids for completion in unasked[0]] == [None, None]


def test_a_chat_server_is_sent_the_prompt_as_the_message_of_a_user() -> None:
    with serving() as server:
        drawn, plain = draw(server, endpoint="chat", stop=[" END"]), draw(server, stop=[" END"])

    assert drawn == plain
    # Requests go out together, so the server sees them in any order.
    asked = [body for body in server.bodies if "messages" in body]
    assert sorted(message["content"] for body in asked for message in body["messages"]) == [
        f"question {index}" for index in range(7)
    ]
    assert all(body["messages"][0]["role"] == "user" and "prompt" not in body for body in asked)


def test_asks_once_per_completion_where_the_server_gives_only_one() -> None:
    with serving(most_choices=1) as server:
        drawn = draw(server)

    assert [len({completion.text for completion in completions}) for completions in drawn] == [4] * 7
    assert all(completion.n_tokens == 5 for completions in drawn for completion in completions)


def test_what_is_drawn_does_not_depend_on_when_the_server_was_seen_to_give_only_one() -> None:
    with serving(most_choices=1) as server:
        assert draw(server, concurrency=1) == draw(server, concurrency=5) == draw(server, n_per_request=1)


def test_n_per_request_bounds_what_one_request_asks_for() -> None:
    with serving() as server:
        drawn = draw(server, n=5, n_per_request=2, prompts=["a"])

    assert len(drawn[0]) == 5
    assert Counter(body.get("n", 1) for body in server.bodies) == {2: 2, 1: 1}
    assert len({body["seed"] for body in server.bodies}) == 3


def test_greedy_is_drawn_once_and_given_n_times() -> None:
    with serving() as server:
        (completions,) = draw(server, prompts=["a"], temperature=0.0)

    assert len(completions) == 4
    assert len(set(completions)) == 1
    assert [(body["temperature"], "n" in body) for body in server.bodies] == [(0.0, False)]


def test_a_completion_ends_before_the_stop_string_even_where_the_server_leaves_it_in() -> None:
    with serving() as server:
        (completions,) = draw(server, prompts=["a"], stop=[" END"])

    assert all(completion.text.endswith((".0", ".1", ".2", ".3")) for completion in completions)


def test_never_more_requests_under_way_than_concurrency() -> None:
    def slow(handler: Any) -> None:
        time.sleep(0.05)
        status(503)(handler)

    with serving(*[slow] * 12) as server:
        draw(server, concurrency=3)

    assert server.most_busy == 3


@pytest.mark.parametrize("fault", [status(429), status(500), status(503), cut_off, garbage, another_shape])
def test_a_fault_is_tried_again_and_changes_nothing(fault: Any) -> None:
    with serving() as healthy, serving(fault, fault) as faulty:
        assert draw(faulty, prompts=["a", "b"]) == draw(healthy, prompts=["a", "b"])

    assert len(faulty.bodies) == 4


def test_a_server_that_says_when_to_come_back_is_left_alone_until_then() -> None:
    started = time.monotonic()
    in_two_seconds = email.utils.formatdate(time.time() + 2, usegmt=True)
    with serving(status(429, retry_after="0.3"), status(503, retry_after=in_two_seconds)) as server:
        draw(server, prompts=["a"])

    assert 1 <= time.monotonic() - started < 10  # a date has whole seconds


def test_pauses_grow_and_differ() -> None:
    with serving(*[status(500)] * 5) as server:
        times: list[float] = []
        server.faults = [lambda handler: (times.append(time.monotonic()), status(500)(handler))[1]] * 5  # type: ignore[func-returns-value]
        draw(server, prompts=["a"], backoff_s=0.05)

    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[-1] > 2 * pauses[0]
    assert pauses[-1] < 5  # and end


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (status(500), "failed 3 times in a row, last with: 500"),
        (cut_off, "failed 3 times in a row, last with: RemoteProtocolError"),
        (garbage, "failed 3 times in a row, last with: an answer that is not JSON"),
        (another_shape, "cannot be understood: not an answer of this protocol"),
        (status(429, retry_after="86400"), "asks to be left alone for 86400 seconds"),
    ],
)
def test_a_server_that_does_not_recover_stops_the_run_with_its_words(fault: Any, message: str) -> None:
    with serving(*[fault] * 50) as server, pytest.raises(EngineError, match=message):
        draw(server, prompts=["a"], max_retries=2)


def test_a_server_that_does_not_answer_in_time_is_given_up() -> None:
    with serving(*[lambda _: time.sleep(0.5)] * 9) as server, pytest.raises(EngineError, match="ReadTimeout"):
        draw(server, prompts=["a"], max_retries=1, timeout_s=0.1)


def test_a_server_that_is_not_there_is_named_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        started = time.monotonic()
        with pytest.raises(EngineError, match=f"no server answers at {url}"), open_engine("openai", "m", base_url=url):
            pass

    assert time.monotonic() - started < 5


def test_a_wrong_key_stops_at_once_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-wrong-secret")
    caplog.set_level(logging.DEBUG)

    with (
        serving(key="sk-right") as server,
        pytest.raises(EngineError, match="refuses the key in TEACHER_KEY") as raised,
    ):
        draw(server, api_key_env="TEACHER_KEY")

    assert server.bodies == []
    assert "401 " in str(raised.value)
    assert "sk-wrong-secret" not in str(raised.value) + caplog.text


def test_the_right_key_is_sent_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-right")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-right")

    with serving(key="sk-right") as server:
        assert len(draw(server, api_key_env="TEACHER_KEY")) == 7
        with pytest.raises(EngineError, match="refuses a request without a key"):
            draw(server)


def test_an_unknown_model_is_answered_with_those_that_the_server_has() -> None:
    with serving() as server, pytest.raises(EngineError, match=r"the model 'ecco'.*models it lists: echo"):
        draw(server, model="ecco")

    assert len(server.bodies) <= 8  # of those under way at once, none is tried again


def test_the_policy_names_the_model_if_nothing_else_does() -> None:
    with serving() as server, open_engine("openai", "echo", base_url=server.url) as engine:
        list(engine.sample(["a"], n=1, max_new_tokens=1))

    assert server.bodies[0]["model"] == "echo"


def test_what_the_server_does_not_know_is_left_out_if_it_changes_nothing() -> None:
    with serving(refused=("top_k", "min_p", "seed")) as server:
        assert len(draw(server)) == 7

    assert not {"top_k", "min_p", "seed"} & set(server.bodies[-1])


def test_what_the_server_does_not_know_and_would_change_something_stops_the_run() -> None:
    with (
        serving(refused=("top_k", "min_p")) as server,
        pytest.raises(EngineError, match="does not take top_k, without which it would draw something else"),
    ):
        draw(server, top_k=40)


def test_what_a_server_would_take_from_the_model_s_own_configuration_is_said() -> None:
    with serving() as server:
        draw(server)

    assert {body["repetition_penalty"] for body in server.bodies} == {1.0}


@pytest.mark.parametrize(
    ("stop", "is_special"),
    [("<|im_end|>", True), ("<|eot_id|>\n", True), ("</s>", True), ("<\uff5cend\uff5c>", True), ("</answer>", False)],
)
def test_a_server_is_told_to_look_for_stop_strings_among_special_tokens(stop: str, is_special: bool) -> None:
    with serving() as server:
        draw(server, stop=["\n\n", stop])
    with serving(refused=("skip_special_tokens", "repetition_penalty")) as strict:
        assert len(draw(strict, stop=["\n\n", stop])) == 7

    assert {body.get("skip_special_tokens") for body in server.bodies} == ({False} if is_special else {None})


def test_log_probabilities_that_the_server_does_not_give_are_missed() -> None:
    with serving() as server, pytest.raises(EngineError, match="returns no log-probabilities"):
        draw(server, logprobs=True)


def test_stops_when_the_requests_are_spent_and_says_what_is_kept() -> None:
    message = "max_requests_budget = 5 is spent .* Shards that are finished are kept in the journal"
    with serving() as server, pytest.raises(BudgetError, match=message):
        draw(server, max_requests_budget=5)

    assert len(server.bodies) == 5


def test_stops_when_the_tokens_are_spent() -> None:
    with serving() as server, pytest.raises(BudgetError, match="max_tokens_budget = 60 is spent"):
        draw(server, max_tokens_budget=60, concurrency=1)

    assert len(server.bodies) == 3  # of 3 + 4 * 5 tokens each


def test_retries_count_as_requests() -> None:
    with serving(*[status(500)] * 9) as server, pytest.raises(BudgetError, match="max_requests_budget = 2 is spent"):
        draw(server, prompts=["a"], max_requests_budget=2)


def test_price_and_patience_do_not_name_what_is_drawn() -> None:
    url = "http://127.0.0.1:1/v1"
    dear = {"model": "m", "base_url": url, "max_tokens_budget": 9, "concurrency": 2, "api_key_env": "K", "timeout_s": 1}

    assert deciding_engine_options("openai", dear) == {"model": "m", "base_url": url}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "base_url must be like"),
        ({"base_url": "localhost:8000"}, "base_url must be like"),
        ({"base_url": "http://me:secret@host/v1"}, "base_url must hold no secret"),
        ({"base_url": "http://host/v1", "endpoint": "complete"}, "endpoint must be one of completions, chat"),
        ({"base_url": "http://host/v1", "concurrency": 0}, "concurrency must be a number of at least 1, got 0"),
        ({"base_url": "http://host/v1", "n_per_request": "all"}, "n_per_request must be a number of at least 1"),
        ({"base_url": "http://host/v1", "timeout_s": 0}, "timeout_s"),
        ({"base_url": "http://host/v1", "api_key_env": "NOT_THERE"}, "names NOT_THERE, which is not set"),
        ({"base_url": "http://host/v1", "api_key": "sk-1"}, "api_key is not an option of the engine 'openai'"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message), open_engine("openai", "m", **options):
        pass


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The tiny model behind `transformers serve`: its URL and its folder."""
    folder = tmp_path_factory.mktemp("served")
    write_tiny_model(folder / "model")
    generation = folder / "model" / "generation_config.json"
    # Unlike other servers it draws only if the model's own configuration says so.
    generation.write_text(json.dumps(json.loads(generation.read_text()) | {"do_sample": True, "top_k": 0}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    template = "{% for message in messages %}ask: {{ message.content }} say:{% endfor %}"
    (folder / "model" / "chat_template.jinja").write_text(template)
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder / "model")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"],
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        _wait_until_healthy(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/v1", folder / "model"
    finally:
        process.kill()
        process.wait()


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server ended before it was up"
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.ConnectError:
            time.sleep(0.2)
    raise TimeoutError(url)


@pytest.mark.slow
def test_a_real_server_gives_greedily_what_the_built_in_engine_gives(served: tuple[str, Path]) -> None:
    url, folder = served
    prompts, arguments = ["1 + 1 =", "what is 2?"], {"n": 2, "max_new_tokens": 6, "temperature": 0.0}

    with open_engine("transformers", folder, dtype="float32") as engine:
        expected = list(engine.sample(prompts, **arguments))  # type: ignore[arg-type]
    with open_engine("openai", folder, base_url=url) as engine:
        drawn = list(engine.sample(prompts, **arguments))  # type: ignore[arg-type]

    assert drawn == expected


@pytest.mark.slow
def test_a_real_server_draws_different_completions(served: tuple[str, Path]) -> None:
    url, folder = served

    with open_engine("openai", folder, base_url=url, concurrency=1) as engine:
        first, again = (list(engine.sample(["1 + 1 ="], n=6, max_new_tokens=6, seed=1)) for _ in range(2))

    assert first == again
    assert len({completion.text for completion in first[0]}) > 3
    assert all(1 <= completion.n_tokens <= 6 for completion in first[0])


@pytest.mark.slow
def test_a_real_chat_server_answers_in_its_own_template(served: tuple[str, Path]) -> None:
    url, folder = served
    arguments: dict[str, Any] = {"n": 1, "max_new_tokens": 6, "temperature": 0.0}

    with open_engine("transformers", folder, dtype="float32") as engine:
        expected = list(engine.sample(["ask: 1 + 1 = say:"], add_special_tokens=False, **arguments))
    with open_engine("openai", folder, base_url=url, endpoint="chat") as engine:
        drawn = list(engine.sample(["1 + 1 ="], **arguments))

    assert drawn == expected


@pytest.mark.slow
def test_a_real_server_refuses_a_model_that_it_has_not(served: tuple[str, Path]) -> None:
    url, _ = served

    with open_engine("openai", "another", base_url=url) as engine, pytest.raises(EngineError, match="'another'"):
        list(engine.sample(["1 + 1 ="], n=1, max_new_tokens=1))
