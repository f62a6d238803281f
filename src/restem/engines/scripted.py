"""An engine without a model, for tests: it reads its completions from a script."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from restem.engines import Completion
from restem.engines.arguments import Request, check_request
from restem.engines.randomness import uniforms
from restem.engines.texts import stop_place
from restem.errors import EngineError
from restem.parameters.decides import Decides


class ScriptedEngine:
    """Draws from the completions that the script has for a prompt."""

    def __init__(self, answers: Mapping[str, Sequence[str]], default: Sequence[str]) -> None:
        """Use the script.

        Args:
            answers: Completions by a part of the prompt; the first part that occurs counts.
            default: Completions of all other prompts.
        """
        self._answers = {part: _texts(part, texts) for part, texts in answers.items()}
        self._default = _texts("default", default)

    def sample(self, prompts: Sequence[str], **arguments: Any) -> Iterator[list[Completion]]:
        """Return an iterator over n completions per prompt; see `restem.engines.Engine.sample`."""
        request = check_request(prompts, **arguments)
        return (
            [self._draw(request, prompt, seed, index) for index in range(request.n)]
            for prompt, seed in zip(request.prompts, request.seeds, strict=True)
        )

    def _draw(self, request: Request, prompt: str, seed: int, sample_index: int) -> Completion:
        texts = next((texts for part, texts in self._answers.items() if part in prompt), self._default)
        share = 0.0 if request.temperature == 0 else float(uniforms(seed, sample_index, 1)[0])
        text = texts[int(share * len(texts))]
        # Words stand for tokens here; one more for the end.
        words = text.split(" ")
        if len(words) + 1 > request.max_new_tokens:
            return Completion(" ".join(words[: request.max_new_tokens]), request.max_new_tokens, "length")
        return Completion(text[: stop_place(text, request.stop)], len(words) + 1, "stop")


@contextmanager
def open_scripted(
    policy_path: str | Path,
    answers: Annotated[Mapping[str, Sequence[str]] | None, Decides("samples")] = None,
    default: Annotated[Sequence[str], Decides("samples")] = ("",),
) -> Iterator[ScriptedEngine]:
    """Return the engine; the policy is not looked at."""
    yield ScriptedEngine(answers or {}, default)


def _texts(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str) or not texts:
        raise EngineError(
            f"the script of the engine 'scripted' needs a list of completions for {name!r}, got {texts!r}"
        )
    return tuple(texts)
