"""The engine `vllm`: against a real vLLM in an environment of its own, which `make test-vllm` sets up."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from restem.engines import Completion, deciding_engine_options, engine_versions, open_engine
from restem.errors import EngineError, PolicyError

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("RESTEM_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
END = "<|eot_id|>"  # a special token without a role
PROMPTS = ["12 + 34", "Q: the weather in an inn?\nA:", "x"]
OPTIONS: dict[str, Any] = {
    "python": str(PYTHON),
    "dtype": "float32",
    "args": {"enforce_eager": True, "max_num_seqs": 16, "kv_cache_memory_bytes": 64 << 20},
}
needs_vllm = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason=f"{PYTHON} is not there; make test-vllm sets it up"),
]


def vllm(test: Callable[..., None]) -> Callable[..., None]:
    for mark in needs_vllm:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.engines.conftest import make_policy

    # vLLM's attention on CPUs takes heads of at least 32.
    return make_policy(tmp_path_factory.mktemp("vllm"), "llama", hidden_size=128, intermediate_size=96)


@pytest.fixture(scope="module")
def engine(policy: Path) -> Iterator[Any]:
    with open_engine("vllm", policy, **OPTIONS) as opened:
        yield opened


def built_in(policy: Path, **arguments: Any) -> list[list[Completion]]:
    with open_engine("transformers", policy, dtype="float32") as engine:
        return list(engine.sample(PROMPTS, **arguments))


@vllm
def test_greedy_completions_are_those_of_the_built_in_engine(engine: Any, policy: Path) -> None:
    arguments = {"n": 2, "max_new_tokens": 12, "temperature": 0.0}

    assert list(engine.sample(PROMPTS, **arguments)) == built_in(policy, **arguments)


@vllm
def test_log_probabilities_are_those_of_the_built_in_engine(engine: Any, policy: Path) -> None:
    arguments = {"n": 1, "max_new_tokens": 12, "temperature": 0.0, "logprobs": True}

    drawn = [completions[0].logprob for completions in engine.sample(PROMPTS, **arguments)]

    assert drawn == pytest.approx([completions[0].logprob for completions in built_in(policy, **arguments)], abs=1e-3)


@vllm
def test_a_completion_ends_before_a_stop_string(engine: Any) -> None:
    (free,) = next(engine.sample(["x"], n=1, max_new_tokens=12, temperature=0.0))
    stop = free.text[4:6]

    (stopped,) = next(engine.sample(["x"], n=1, max_new_tokens=12, temperature=0.0, stop=[stop]))

    assert stopped.text == free.text[: free.text.index(stop)]
    assert (stopped.finish_reason, free.finish_reason) == ("stop", "length")
    assert stopped.n_tokens < free.n_tokens


@vllm
@pytest.mark.parametrize("stop", [END, f"a{END}"])
def test_a_stop_string_that_is_or_holds_a_special_token_is_found(tmp_path: Path, stop: str) -> None:
    from tests.engines.conftest import make_policy

    policy = make_policy(tmp_path, "llama", special=(END,), hidden_size=128, intermediate_size=96)
    arguments = {"n": 1, "max_new_tokens": 40, "temperature": 0.0}

    with open_engine("vllm", policy, **OPTIONS) as engine:
        drawn = list(engine.sample(PROMPTS, stop=[stop], **arguments))

    assert drawn == built_in(policy, stop=[stop], **arguments)


@pytest.mark.parametrize(
    ("stop", "strings", "tokens", "skips"),
    [
        (["\n", END], ["\n"], [107], True),
        ([f"{END}\n"], [f"{END}\n"], [], False),
        (["\n"], ["\n"], [], True),
    ],
)
def test_vllm_is_asked_for_special_tokens_by_number_or_with_them_in_the_text(
    monkeypatch: pytest.MonkeyPatch, stop: list[str], strings: list[str], tokens: list[int], skips: bool
) -> None:
    from restem.engines import vllm_worker
    from tests.engines.conftest import make_tokenizer

    tokenizer = make_tokenizer([END])
    parameters = SimpleNamespace(SamplingParams=dict)  # what is asked of it; vLLM itself has an environment of its own
    monkeypatch.setitem(sys.modules, "vllm", parameters)
    asked = dict.fromkeys(("n", "temperature", "top_k", "top_p", "min_p", "logprobs")) | {"stop": stop}

    found = vllm_worker._sampling(asked, 0, 5, vllm_worker._special_tokens(tokenizer))

    assert tokenizer.convert_tokens_to_ids(END) == 107
    assert (found["stop"], found["stop_token_ids"], found["skip_special_tokens"]) == (strings, tokens, skips)


@vllm
def test_more_prompts_than_are_read_at_once_are_drawn_all(policy: Path) -> None:
    prompts = [f"{index} " + "and so on " * 6 for index in range(12)]
    options = OPTIONS | {"args": {**OPTIONS["args"], "max_num_batched_tokens": 128}}

    with open_engine("vllm", policy, **options) as engine:
        drawn = list(engine.sample(prompts, n=3, max_new_tokens=4, temperature=1.0, top_k=4, seed=1))

    assert [len(completions) for completions in drawn] == [3] * 12


@vllm
def test_the_same_seeds_draw_the_same_and_others_do_not(engine: Any) -> None:
    first, again, other = (list(engine.sample(PROMPTS, n=6, max_new_tokens=5, seed=seed)) for seed in (1, 1, 2))

    assert first == again != other
    assert [len(set(completions)) > 3 for completions in first] == [True] * 3


@vllm
def test_a_prompt_that_fills_the_context_window_is_named_and_the_engine_goes_on(engine: Any) -> None:
    with pytest.raises(EngineError, match=r"prompt 1 has 200 tokens, the context window is 128"):
        list(engine.sample(["x", "x" * 200], n=1, max_new_tokens=1))

    assert len(list(engine.sample(["x"], n=1, max_new_tokens=1))) == 1


@vllm
def test_all_its_processes_end_with_the_engine_or_with_whoever_opened_it(policy: Path) -> None:
    code = f"""
import sys
from restem.engines import open_engine
with open_engine("vllm", {str(policy)!r}, **{OPTIONS!r}) as engine:
    print(engine._worker._process.pid, flush=True)
    sys.stdin.readline()
"""
    for end in ("\n", None):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as opener:
            assert opener.stdin is not None
            assert opener.stdout is not None
            group = int(opener.stdout.readline())
            assert members(group)
            if end:
                opener.stdin.write(end)
                opener.stdin.flush()
            else:
                opener.send_signal(signal.SIGKILL)
            opener.wait()
        for _ in range(400):
            if not members(group):
                break
            time.sleep(0.1)
        assert members(group) == []


def members(group: int) -> list[int]:
    """Return the processes of a process group, but for those that have ended and wait to be buried."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _, process_group, *_ = rest.split()
        if int(process_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@vllm
def test_what_vllm_refuses_is_said(policy: Path) -> None:
    with (
        pytest.raises(EngineError, match="no_such_argument"),
        open_engine("vllm", policy, **{**OPTIONS, "args": {"no_such_argument": 1}}),
    ):
        pass


@vllm
def test_the_versions_of_its_environment_name_what_is_drawn() -> None:
    options = {**OPTIONS, "startup_timeout_s": 5}

    assert {"torch", "transformers"} < set(engine_versions("vllm", options))
    assert set(deciding_engine_options("vllm", options)) == {"dtype", "device", "args"}


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str], str]:
    """Return a maker of interpreters that do as a shell script says, for what a well vLLM does not do."""

    def make(script: str) -> str:
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return str(file)

    return make


def test_a_process_that_dies_is_quoted(tiny_policy: Callable[..., Path], stand_in: Callable[[str], str]) -> None:
    python = stand_in("echo 'No module named vllm' >&2; exit 1")

    with (
        pytest.raises(EngineError, match=r"(?s)ended.*No module named vllm"),
        open_engine("vllm", tiny_policy(), python=python),
    ):
        pass


def test_a_process_that_is_never_ready_is_killed(
    tiny_policy: Callable[..., Path], stand_in: Callable[[str], str]
) -> None:
    python = stand_in("sleep 100 & sleep 100")
    started = time.monotonic()

    with (
        pytest.raises(EngineError, match=r"not ready after startup_timeout_s = 0.5"),
        open_engine("vllm", tiny_policy(), python=python, startup_timeout_s=0.5),
    ):
        pass

    assert time.monotonic() - started < 10


def test_without_vllm_the_way_to_have_it_is_named(tiny_policy: Callable[..., Path]) -> None:
    with pytest.raises(EngineError, match=r"engine_options.python"), open_engine("vllm", tiny_policy()):
        pass
    with (
        pytest.raises(EngineError, match=r"there is no nowhere/python"),
        open_engine("vllm", tiny_policy(), python="nowhere/python"),
    ):
        pass


def test_a_folder_without_a_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="holds no policy"), open_engine("vllm", tmp_path, python=sys.executable):
        pass
