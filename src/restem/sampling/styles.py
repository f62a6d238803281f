"""How a question is written as a prompt: few-shot, zero-shot, as a chat, or by a function of the user's own."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

from restem.engines.model_code import from_folder
from restem.errors import PromptError
from restem.parameters import PromptParameters
from restem.policies.policy import Policy
from restem.sampling.chat_templates import ChatTemplate, write_chats
from restem.sampling.conversations import Asked, Turn, begun, conversation, texts_alone
from restem.store.importing import import_function

Renderer = Callable[[Sequence[Asked]], list[str]]  # questions -> their prompts


class Exemplar(NamedTuple):
    """A solved question that a few-shot prompt shows."""

    text: str
    solution: str


def renderer(
    exemplars: Sequence[Exemplar], policy: Policy, parameters: PromptParameters, *, path: str = "prompt"
) -> Renderer:
    """Return what writes questions as prompts.

    Args:
        exemplars: To show.
        policy: Whose chat template is used.
        parameters: How they are written.
        path: Of these parameters, as messages name them.

    Raises:
        PromptError: If few-shot prompts have no exemplars, chat prompts no chat template, or there is no such style.
    """
    if parameters.style == "chat":
        return _Chat(exemplars, policy, parameters, path=path)
    style = _PLAIN.get(parameters.style)
    if style is not None:
        return style(exemplars, parameters)
    own = partial(_own_style(parameters.style), exemplars=exemplars, parameters=parameters)
    return partial(_rendered_twice, own, name=parameters.style)


def _rendered_twice(style: Callable[[str], str], questions: Sequence[Asked], *, name: str) -> list[str]:
    """Return the prompts of a style of the user's own, which must be the same each time."""
    texts = texts_alone(questions, name)
    prompts = [style(text) for text in texts]
    for text, prompt in zip(texts, prompts, strict=True):
        again = style(text)
        if not isinstance(prompt, str):
            raise PromptError(f"prompt.style must return a text, got {prompt!r} for the question {text[:80]!r}")
        if again != prompt:
            raise PromptError(
                f"prompt.style returns another prompt each time for the question {text[:80]!r}: {prompt[-80:]!r} and "
                f"then {again[-80:]!r}; no sample could be drawn again, so it must depend on its arguments alone"
            )
    return prompts


def _own_style(path: str, *, parameter: str = "prompt.style") -> Callable[..., str]:
    """Return a function of the user's own: question, exemplars and parameters -> prompt."""
    return import_function(path, parameter=parameter, error=PromptError, takes=1, by_name=("exemplars", "parameters"))


def check_style(style: str, *, parameter: str = "prompt.style") -> None:
    """Raise unless prompts can be written in this style.

    Raises:
        PromptError: If it is a dotted path that names no function of question, exemplars and parameters.
    """
    if style not in STYLES:
        _own_style(style, parameter=parameter)


def adds_special_tokens(parameters: PromptParameters) -> bool:
    """Return whether the tokenizer adds its special tokens.

    A chat template has written them already, as has a style of the user's own with an attribute `adds_special_tokens`
    that is true.
    """
    if parameters.style in STYLES:
        return parameters.style != "chat"
    return not getattr(_own_style(parameters.style), "adds_special_tokens", False)


def _asked(text: str, parameters: PromptParameters) -> str:
    return parameters.template.replace("{question}", text) + parameters.answer_prefix


def as_completion(prompt: str, solution: str, *, prefill: str = "") -> str:
    """Return a solution as a policy would write it behind a prompt: after a space, if the prompt ends in none.

    Args:
        prompt: Whole, with its prefill.
        solution: Written by others. If it begins with the prefill, what follows that is returned.
        prefill: With which the prompt ends.
    """
    begun, said = prefill.lstrip(), solution.lstrip()
    if begun and said.startswith(begun):
        return said.removeprefix(begun)
    return solution if prompt[-1:].isspace() else f" {solution}"


class _Plain:
    """Renders text; with exemplars few-shot, without zero-shot."""

    def __init__(self, exemplars: Sequence[Exemplar], parameters: PromptParameters) -> None:
        examples = [_asked(exemplar.text, parameters) for exemplar in exemplars]
        shown = [
            text + as_completion(text, exemplar.solution) for text, exemplar in zip(examples, exemplars, strict=True)
        ]
        before = [parameters.instruction] if parameters.instruction else []
        self._before = "".join(part + parameters.separator for part in [*before, *shown])
        self._parameters = parameters

    def __call__(self, questions: Sequence[Asked]) -> list[str]:
        texts = texts_alone(questions, self._parameters.style)
        return [self._before + _asked(text, self._parameters) for text in texts]


class _Chat:
    """Renders with the chat template of the base policy's tokenizer; exemplars are earlier turns."""

    def __init__(
        self, exemplars: Sequence[Exemplar], policy: Policy, parameters: PromptParameters, *, path: str
    ) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(policy.path, **from_folder())
        if not tokenizer.chat_template:
            raise PromptError(
                f"prompt.style=chat needs a chat template, which the tokenizer of {policy.name} lacks; "
                "use prompt.style=few_shot or a chat model"
            )
        options, day = parameters.template_options or {}, date.fromisoformat(parameters.date)
        self._template = ChatTemplate(tokenizer, policy.name, day, options, path)
        self._chats = partial(chats, exemplars=exemplars, parameters=parameters)

    def __call__(self, questions: Sequence[Asked]) -> list[str]:
        return write_chats(self._chats(questions), self._template)


def chats(questions: Sequence[Asked], exemplars: Sequence[Exemplar], parameters: PromptParameters) -> list[list[Turn]]:
    """Return the turns of a chat for each question, up to where the policy answers."""
    instruction, system = parameters.instruction, parameters.system
    is_told_apart = system is not None and instruction != ""
    said = instruction if system is None else system
    before = [turn("system", said)] if said else []
    for exemplar in exemplars:
        before += [turn("user", _asked(exemplar.text, parameters)), turn("assistant", exemplar.solution)]
    turns = [conversation(before, question, _asked(question.text, parameters)) for question in questions]
    return [begun(chat, instruction + parameters.separator) for chat in turns] if is_told_apart else turns


def turn(role: str, content: str) -> Turn:
    """Return what someone says in a chat."""
    return {"role": role, "content": content}


def _few_shot(exemplars: Sequence[Exemplar], parameters: PromptParameters) -> _Plain:
    if not exemplars:
        raise PromptError(
            "prompt.style=few_shot needs questions of split exemplar, and there are none: give some questions that "
            "split, or raise questions.n_exemplars, or set prompt.style=zero_shot"
        )
    return _Plain(exemplars, parameters)


def _zero_shot(_exemplars: Sequence[Exemplar], parameters: PromptParameters) -> _Plain:
    return _Plain([], parameters)


_PLAIN: dict[str, Callable[[Sequence[Exemplar], PromptParameters], Renderer]] = {
    "few_shot": _few_shot,
    "zero_shot": _zero_shot,
}
STYLES = (*_PLAIN, "chat")
