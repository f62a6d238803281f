"""Engines: policy + prompts -> completions. All of them take the same arguments and give the same results.

>>> with open_engine("transformers", folder, dtype="auto") as engine:
...     for completions in engine.sample(prompts, n=32, temperature=0.7, top_k=40, max_new_tokens=512, seed=0):
...         ...  # n completions of one prompt; prompts in order

An engine of one's own is named by a dotted path, `my_pkg.my_module:my_engine`: a callable that takes the
policy folder and the options and returns a context manager over an object with `sample`. An option that changes no
sample is declared so: `patience_s: Annotated[float, Harmless] = 60.0`, of `restem.parameters.decides`.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from restem.engines.arithmetic import Arithmetic
from restem.errors import EngineError
from restem.parameters.decides import deciding_options
from restem.parameters.ranges import option_problems
from restem.store.importing import import_function


class Completion(NamedTuple):
    """What a policy returned for a prompt."""

    text: str  # ends before the stop string; holds no end-of-sequence token
    n_tokens: int  # generated tokens, the end-of-sequence or stop tokens included
    finish_reason: str  # "stop": end of sequence or a stop string; "length": out of tokens
    logprob: float | None = None  # natural log of the policy's probability of these tokens; on request
    token_ids: tuple[int, ...] | None = None  # the n_tokens; on request, from engines that know them
    # From and up to which of its characters the text is the engine's own: where it closed the reasoning. See
    # restem.engines.reasoning.
    closing: tuple[int, int] | None = None


class Engine(Protocol):
    """What samples."""

    def sample(  # noqa: PLR0913 - one argument per decoding parameter, all but one by name
        self,
        prompts: Sequence[str],
        *,
        n: int,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        seed: int | Sequence[int] = 0,
        stop: Sequence[str] = (),
        add_special_tokens: bool = True,
        logprobs: bool = False,
        token_ids: bool = False,
    ) -> Iterator[list[Completion]]:
        """Return an iterator over one list of n completions per prompt, in order.

        Args:
            prompts: Exact texts.
            n: Completions per prompt.
            max_new_tokens: Per completion; less where the context window ends earlier.
            temperature: 0 is greedy: drawn once and given n times.
            top_k: Most likely tokens to draw from; 0 is all.
            top_p: Share of the probability to draw from, after top_k.
            min_p: Tokens less likely than this share of the likeliest are left out.
            seed: One per prompt, or one for all from which each prompt's is derived by its place.
            stop: Strings that end a completion.
            add_special_tokens: False for prompts that hold theirs already, as chat templates write them.
            logprobs: Fill in `Completion.logprob`.
            token_ids: Fill in `Completion.token_ids`; an engine of one's own that does not take this is not asked.

        An engine that takes `reasoning` too (restem.engines.reasoning.Reasoning) closes reasoning itself.

        Raises:
            EngineError: If an argument is out of range, before anything is drawn.
        """
        ...


@runtime_checkable
class Batched(Engine, Protocol):
    """An engine whose samples depend, as far as rounding goes, on how many rows it draws at once.

    Whoever wants the same samples another time asks for the width, and from then on gives it to `sample`, as
    `batch_width`, and what is to be called if memory does not allow it any more, as `narrowed`.
    """

    def batch_width(self, prompts: Sequence[str], **arguments: Any) -> int:
        """Return how many rows `sample` would draw at once, with the same arguments, in the memory that is free now."""
        ...


_ENGINES = {
    "transformers": "restem.engines.transformers:open_transformers",
    "vllm": "restem.engines.vllm:open_vllm",
    "openai": "restem.engines.openai:open_openai",
    "scripted": "restem.engines.scripted:open_scripted",
    "file": "restem.engines.file:open_file",
}


def known_engines() -> list[str]:
    """Return the names of the built-in engines."""
    return sorted(_ENGINES)


@contextmanager
def open_engine(name: str, policy_path: str | Path, **options: Any) -> Iterator[Engine]:
    """Return a context in which the engine lives; all its memory is free afterwards.

    Args:
        name: One of the built-in engines, or a dotted path "package.module:callable".
        policy_path: Folder of the policy.
        options: Of the engine.

    Raises:
        EngineError: If there is no such engine, or it has no such option.
        PolicyError: If the folder cannot be used.
    """
    factory = _load(name)
    _check_names(name, factory, options)
    with factory(policy_path, **options) as engine:
        yield engine


def counts_tokens(engine: Engine) -> bool:
    """Return whether the engine itself tells `restem.spending` what it takes, and not only the tokens of prompts.

    One of a user's own that asks a server may do so, and says it by an attribute `counts_tokens = True`.
    """
    return bool(getattr(engine, "counts_tokens", False))


def tells_tokens(engine: Engine) -> bool:
    """Return whether the engine can be asked for the tokens that it generated."""
    parameters = inspect.signature(engine.sample).parameters
    return "token_ids" in parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def deciding_engine_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides, of an engine's options, what is drawn: the part that names journal entries.

    What the engine declares as `Harmless` (restem.parameters.decides) is left out, and what repeats a default. What it
    computes in is given as it becomes on this machine. An engine's module may say it all by itself, in a function
    `deciding(options)`.

    Raises:
        EngineError: As `resolve_arithmetic`.
    """
    say: Callable[[Mapping[str, Any]], dict[str, Any]] | None = getattr(_module_of(name), "deciding", None)
    if say is not None:
        return say(options)
    arithmetic = resolve_arithmetic(name, options)
    return deciding_options(_load(name), options) | ({} if arithmetic is None else arithmetic._asdict())


def engine_versions(name: str, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions that decide what is drawn, of packages that an engine has elsewhere than in this process.

    They are what the engine's module has a function `versions(options)` say; None are what an engine without one has.

    Raises:
        EngineError: If they cannot be had.
    """
    say: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = getattr(_module_of(name), "versions", None)
    return {} if say is None else dict(say(options))


def resolve_arithmetic(name: str, options: Mapping[str, Any]) -> Arithmetic | None:
    """Return what an engine with these options computes a policy in on this machine; no policy is loaded.

    None for engines that do not compute here, and for those whose module has no function `arithmetic(options)`.

    Raises:
        EngineError: If there is no such engine or dtype, or `auto` cannot be resolved for want of the device.
    """
    say: Callable[[Mapping[str, Any]], Arithmetic] | None = getattr(_module_of(name), "arithmetic", None)
    return None if say is None else say(options)


def _module_of(name: str) -> ModuleType:
    return importlib.import_module(_load(name).__module__)


def _load(name: str) -> Callable[..., AbstractContextManager[Engine]]:
    module_name, _, attribute = _ENGINES.get(name, name).partition(":")
    if not module_name or not attribute:
        raise EngineError(
            f"there is no engine {name!r}; restem has {', '.join(known_engines())}, "
            "and takes a dotted path like my_pkg.my_module:my_engine"
        )
    return import_function(f"{module_name}:{attribute}", parameter="the engine", error=EngineError)


def check_engine(name: str, options: Mapping[str, Any]) -> None:
    """Raise unless there is such an engine and it takes these options, as far as can be said before it is opened.

    Raises:
        EngineError: With the option, and what it must be.
    """
    factory = _load(name)
    _check_names(name, factory, options)
    problems = option_problems(factory, options, prefix="sampling.engine_options")
    if problems:
        raise EngineError("; ".join(problems))
    look: Callable[[Mapping[str, Any]], None] | None = getattr(_module_of(name), "check", None)
    if look is not None:
        look(options)
    resolve_arithmetic(name, options)


def _check_names(name: str, factory: Callable[..., Any], options: Mapping[str, Any]) -> None:
    signature = inspect.signature(factory)
    parameters = list(signature.parameters.values())
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        known = [parameter.name for parameter in parameters[1:]]
        for option in options:
            if option not in known:
                raise EngineError(
                    f"{option} is not an option of the engine {name!r}; it has {', '.join(known) or 'none'}"
                )
    try:
        signature.bind(None, **options)
    except TypeError as error:
        raise EngineError(
            f"the engine {name!r} cannot be opened with the options {sorted(options)}: {error}"
        ) from error
