import inspect
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from restem.engines import Completion, Engine, open_engine, resolve_arithmetic
from restem.engines.arguments import check_request
from restem.engines.arithmetic import fastest_device, native_dtype
from restem.errors import EngineError


@contextmanager
def shouting_engine(policy_path: str, mark: str = "!") -> Iterator[Any]:
    class Shouting:
        def sample(self, prompts: list[str], **_: Any) -> Iterator[list[Completion]]:
            return ([Completion(f"{prompt}{mark} {policy_path}", 1, "stop")] for prompt in prompts)

    yield Shouting()


def test_an_engine_of_ones_own_is_named_by_a_dotted_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_engines", sys.modules[__name__])

    with open_engine("my_engines:shouting_engine", "here", mark="?") as engine:
        drawn = list(engine.sample(["a", "b"], n=1, max_new_tokens=1))

    assert [completions[0].text for completions in drawn] == ["a? here", "b? here"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vlm", "there is no engine 'vlm'; restem has file, openai, scripted, transformers, vllm"),
        ("no_such_package.module:engine", "cannot be imported: No module named 'no_such_package'"),
        ("restem.engines.scripted:nothing", "'restem.engines.scripted' has no attribute 'nothing'"),
    ],
)
def test_an_unknown_engine_is_refused_with_what_there_is(name: str, message: str) -> None:
    with pytest.raises(EngineError, match=message), open_engine(name, "anywhere"):
        pass


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"temperature": -0.1}, "temperature must be 0, which is greedy, or from 0.001 to 1000, got -0.1"),
        ({"temperature": float("nan")}, "temperature must be 0, which is greedy, or from 0.001 to 1000, got nan"),
        ({"top_k": -1}, r"top_k must be at least 0 \(0 keeps all tokens\), got -1"),
        ({"temperature": 1e-300}, "temperature must be 0, which is greedy, or from 0.001 to 1000, got 1e-300"),
        ({"top_p": 1e-300}, "top_p must be from 0.0001 to 1, got 1e-300"),
        ({"top_p": 0.0}, "top_p must be from 0.0001 to 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be from 0.0001 to 1, got 1.1"),
        ({"min_p": 1.0}, "min_p must be at least 0 and below 1, got 1.0"),
        ({"stop": "\n"}, r"stop must be a list of texts, got the text '\\n'"),
        ({"stop": ["a", ""]}, "stop must hold non-empty texts, got ''"),
        ({"stop": [3]}, "stop must hold non-empty texts, got 3"),
        ({"prompts": ["a", ""]}, "prompt 1 is empty"),
        ({"prompts": ["a", 7]}, "prompt 1 must be a text, got int"),
        ({"prompts": "a"}, "prompts must be a list of texts, got one text"),
        ({"seed": [1, 2]}, "seed must be one number or 1, one per prompt; got 2"),
        ({"seed": [-1]}, r"seed 0 must be at least 0 and below 2\*\*64, got -1"),
    ],
)
def test_an_argument_out_of_range_is_named_before_anything_is_drawn(arguments: dict[str, Any], message: str) -> None:
    with open_engine("scripted", "anywhere") as engine, pytest.raises(EngineError, match=message):
        engine.sample(**{"prompts": ["a"], "n": 1, "max_new_tokens": 4, **arguments})


def test_naming_engines_does_not_import_torch() -> None:
    code = "import sys, restem.engines; assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.auto_dtype
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("transformers", {"dtype": "bfloat16", "device": "cuda:1"}, ("bfloat16", "cuda")),
        ("transformers", {"dtype": "float32", "device": "cpu"}, ("float32", "cpu")),
        ("transformers", {"device": "cpu"}, (native_dtype("cpu"), "cpu")),
        ("transformers", {}, (native_dtype(fastest_device()), fastest_device())),
        ("vllm", {"dtype": "float32"}, ("float32", fastest_device())),
        ("openai", {}, None),
        ("scripted", {}, None),
    ],
)
def test_what_the_options_become_on_this_machine_is_said(
    name: str, options: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    assert resolve_arithmetic(name, options) == expected


def test_a_dtype_that_is_asked_for_is_resolved_without_torch() -> None:
    code = (
        "import sys, restem.engines as e; e.resolve_arithmetic('transformers', {'dtype': 'float32', 'device': 'cpu'}); "
        "assert 'torch' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_an_engine_documents_is_what_is_checked() -> None:
    documented = list(inspect.signature(Engine.sample).parameters.values())[1:]

    assert documented == list(inspect.signature(check_request).parameters.values())
