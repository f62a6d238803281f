"""Question -> prompt: the only place with prompt text. Sampling, training and evaluation read its table."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from restem.engines.context import context_window_of
from restem.engines.encoding import encode_prompts, surrounding_tokens
from restem.engines.model_code import from_folder
from restem.errors import PromptError
from restem.parameters import PromptParameters
from restem.policies.policy import Policy
from restem.questions import suite_of
from restem.sampling.chat_templates import ChatTemplate, write_chats
from restem.sampling.conversations import Asked, Turn, asked, conversation, texts_alone
from restem.store.fingerprints import fingerprint
from restem.store.importing import import_function
from restem.store.tables import Table

_logger = logging.getLogger(__name__)

Renderer = Callable[[Sequence[Asked]], list[str]]  # questions -> their prompts


class Exemplar(NamedTuple):
    """A solved question that a few-shot prompt shows."""

    text: str
    solution: str


def render_prompts(questions: Table, policy: Policy, parameters: PromptParameters) -> Table:
    """Return the `prompts` table: the exact text for every question that is not an exemplar.

    A prompt that fills the policy's context window is left out, and the log says so.

    Raises:
        PromptError: If few-shot prompts have no exemplars, chat prompts no chat template, or no prompt is left.
    """
    import pandas as pd

    bare = questions[questions["split"] != "exemplar"]
    exemplars = _exemplars(questions)
    transferred = set(bare.loc[bare["split"] == "transfer", "source"])
    own = [exemplar for source, exemplar in exemplars if source not in transferred]
    render = _renderer(own, policy, parameters)
    # A transfer suite is asked in its own words, behind its own exemplars.
    renderers = {
        source: _renderer(
            [exemplar for of_source, exemplar in exemplars if of_source == source],
            policy,
            parameters.of_suite.get(suite_of(source), parameters),
        )
        for source in sorted(transferred)
    }
    suites = bare["source"].where(bare["split"] == "transfer", "")
    rendered: dict[Any, str] = {}
    for suite, of_suite in bare.groupby(suites):
        written = (renderers[str(suite)] if suite else render)(asked(of_suite))
        rendered.update(zip(of_suite.index, written, strict=True))
    prompts = [rendered[row] for row in bare.index]
    table = pd.DataFrame(
        {
            "question_id": bare["question_id"].to_list(),
            "prompt_id": [fingerprint(prompt) for prompt in prompts],
            "prompt": prompts,
        }
    )
    return _readable(table, policy, add_special_tokens=adds_special_tokens(parameters))


def conversations(questions: Table, parameters: PromptParameters) -> dict[str, list[Turn]]:
    """Return the turns that ask every training question, by its id.

    With prompt.style=chat they are what the chat template is given. Other styles have no turns: there the user asks the
    bare question, after the instruction as the system's turn; exemplars, which only show the form, are left out.
    """
    trained_on = questions[questions["split"] == "train"]
    if parameters.style == "chat":
        transferred = set(questions.loc[questions["split"] == "transfer", "source"])
        exemplars = [exemplar for source, exemplar in _exemplars(questions) if source not in transferred]
        chats = _chats(asked(trained_on), exemplars, parameters)
    else:
        before = [_turn("system", parameters.instruction)] if parameters.instruction else []
        chats = [conversation(before, question, question.text) for question in asked(trained_on)]
    return dict(zip(trained_on["question_id"], chats, strict=True))


def _exemplars(questions: Table) -> list[tuple[str, Exemplar]]:
    """Return the exemplars in order, each with its source."""
    chosen = questions.loc[questions["split"] == "exemplar", ["source", "text", "gold"]]
    return [
        (source, Exemplar(text, _solution(json.loads(gold)))) for source, text, gold in chosen.itertuples(index=False)
    ]


def _renderer(exemplars: Sequence[Exemplar], policy: Policy, parameters: PromptParameters) -> Renderer:
    style = _RENDERERS.get(parameters.style)
    if style is not None:
        return style(exemplars, policy, parameters)
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
    if style not in _RENDERERS:
        _own_style(style, parameter=parameter)


def adds_special_tokens(parameters: PromptParameters) -> bool:
    """Return whether the tokenizer adds its special tokens.

    A chat template has written them already, as has a style of the user's own with an attribute `adds_special_tokens`
    that is true.
    """
    if parameters.style in _RENDERERS:
        return parameters.style != "chat"
    return not getattr(_own_style(parameters.style), "adds_special_tokens", False)


def check_teacher(teacher: Policy, policy: Policy, parameters: PromptParameters) -> None:
    """Raise if a teacher would read prompts that were written for another: chat templates must be the same.

    Raises:
        PromptError: With what to use instead.
    """
    if parameters.style != "chat" or teacher.fingerprint == policy.fingerprint:
        return
    from transformers import AutoTokenizer

    theirs, ours = (
        AutoTokenizer.from_pretrained(side.path, **from_folder()).chat_template for side in (teacher, policy)
    )
    if theirs != ours:
        raise PromptError(
            f"prompt.style=chat writes prompts with the chat template of {policy.name}, and the teacher {teacher.name} "
            f"has {'another' if theirs else 'none'}; use prompt.style=few_shot, or a teacher of the same family"
        )


def _readable(prompts: Table, policy: Policy, *, add_special_tokens: bool) -> Table:
    """Return the prompts that leave room for an answer."""
    import pandas as pd
    from transformers import AutoTokenizer

    window = context_window_of(policy.path)
    if prompts.empty:
        return prompts
    tokenizer = AutoTokenizer.from_pretrained(policy.path, **from_folder())
    encoded = encode_prompts(tokenizer, prompts["prompt"].to_list(), add_special_tokens=add_special_tokens)
    _check_special_tokens(encoded, prompts, tokenizer, add_special_tokens=add_special_tokens)
    n_tokens = pd.Series([len(ids) for ids in encoded], index=prompts["question_id"])
    # The window is None for a model without a limit.
    too_long = n_tokens[n_tokens >= (window or float("inf"))].sort_values(ascending=False)
    if too_long.empty:
        return prompts
    faults = (
        f"{len(too_long)} of {len(prompts)} prompts leave no room for an answer: that of question {too_long.index[0]} "
        f"has {too_long.iloc[0]} tokens, and the context window of {policy.name} is {window}"
    )
    if len(too_long) == len(prompts):
        raise PromptError(
            f"{faults}; shorten the questions, lower questions.n_exemplars, or use prompt.style=zero_shot"
        )
    _logger.warning("%s; these questions are not asked", faults)
    return prompts[~prompts["question_id"].isin(too_long.index)].reset_index(drop=True)


def _check_special_tokens(
    encoded: Sequence[Sequence[int]], prompts: Table, tokenizer: Any, *, add_special_tokens: bool
) -> None:
    """Raise if a prompt begins twice, or ends before the policy could say anything.

    Raises:
        PromptError: With the question, the tokens, and what to do.
    """
    added = surrounding_tokens(tokenizer).before if add_special_tokens else ()
    n = len(added)
    for ids, question_id in zip(encoded, prompts["question_id"], strict=True):
        if n and tuple(ids[n : 2 * n]) == added:
            raise PromptError(
                f"the prompt of question {question_id} begins twice with {tokenizer.decode(added)!r}: it is in the "
                "text, and the tokenizer adds it. Take it out of prompt.template and prompt.instruction; a function in "
                "prompt.style that writes it says so with its attribute adds_special_tokens = True"
            )
        if ids and ids[-1] == tokenizer.eos_token_id and len(ids) > n:
            raise PromptError(
                f"the prompt of question {question_id} ends in {tokenizer.eos_token!r}, after which a policy says "
                "nothing: end it where the answer is to begin"
            )


def _solution(gold: dict[str, Any]) -> str:
    return str(gold.get("solution", gold.get("answer", "")))


def _asked(text: str, parameters: PromptParameters) -> str:
    return parameters.template.replace("{question}", text) + parameters.answer_prefix


def as_completion(prompt: str, solution: str) -> str:
    """Return a solution as a policy would write it behind a prompt: after a space, if the prompt ends in none."""
    return solution if prompt[-1:].isspace() else f" {solution}"


class _Plain:
    """Renders text; with exemplars few-shot, without zero-shot."""

    def __init__(self, exemplars: Sequence[Exemplar], _policy: Policy, parameters: PromptParameters) -> None:
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

    def __init__(self, exemplars: Sequence[Exemplar], policy: Policy, parameters: PromptParameters) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(policy.path, **from_folder())
        if not tokenizer.chat_template:
            raise PromptError(
                f"prompt.style=chat needs a chat template, which the tokenizer of {policy.name} lacks; "
                "use prompt.style=few_shot or a chat model"
            )
        self._template = ChatTemplate(tokenizer, policy.name, date.fromisoformat(parameters.date))
        self._chats = partial(_chats, exemplars=exemplars, parameters=parameters)

    def __call__(self, questions: Sequence[Asked]) -> list[str]:
        return write_chats(self._chats(questions), self._template)


def _chats(questions: Sequence[Asked], exemplars: Sequence[Exemplar], parameters: PromptParameters) -> list[list[Turn]]:
    """Return the turns of a chat template for each question, up to where the policy answers."""
    before = [_turn("system", parameters.instruction)] if parameters.instruction else []
    for exemplar in exemplars:
        before += [_turn("user", _asked(exemplar.text, parameters)), _turn("assistant", exemplar.solution)]
    return [conversation(before, question, _asked(question.text, parameters)) for question in questions]


def _turn(role: str, content: str) -> Turn:
    return {"role": role, "content": content}


def _few_shot(exemplars: Sequence[Exemplar], policy: Policy, parameters: PromptParameters) -> _Plain:
    if not exemplars:
        raise PromptError(
            "prompt.style=few_shot needs questions of split exemplar, and there are none: give some questions that "
            "split, or raise questions.n_exemplars, or set prompt.style=zero_shot"
        )
    return _Plain(exemplars, policy, parameters)


def _zero_shot(_exemplars: Sequence[Exemplar], policy: Policy, parameters: PromptParameters) -> _Plain:
    return _Plain([], policy, parameters)


_RENDERERS: dict[str, Callable[[Sequence[Exemplar], Policy, PromptParameters], Renderer]] = {
    "few_shot": _few_shot,
    "zero_shot": _zero_shot,
    "chat": _Chat,
}
