"""Question -> prompt: the only place with prompt text. Sampling, training and evaluation read its table."""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from restem.engines.context import context_window_of
from restem.engines.encoding import encode_prompts, surrounding_tokens
from restem.engines.model_code import from_folder
from restem.errors import PromptError
from restem.parameters import PromptParameters
from restem.policies.policy import Policy
from restem.questions import suite_of
from restem.sampling.answers import prefills_of, with_prefills
from restem.sampling.conversations import Turn, asked, conversation
from restem.sampling.styles import Exemplar, adds_special_tokens, chats, renderer, turn
from restem.store.fingerprints import fingerprint
from restem.store.tables import Table

_logger = logging.getLogger(__name__)


def render_prompts(questions: Table, policy: Policy, parameters: PromptParameters) -> Table:
    """Return the `prompts` table: the exact text for every question that is not an exemplar.

    A prompt that fills the policy's context window is left out, and the log says so.

    Raises:
        PromptError: If few-shot prompts have no exemplars, chat prompts no chat template, or no prompt is left.
    """
    import pandas as pd

    bare = questions[questions["split"] != "exemplar"]
    rendered: dict[Any, _Rendered] = {}
    for rows, prompts in _rendered(bare, _exemplars(questions), policy, parameters):
        rendered.update(zip(rows, prompts, strict=True))
    of_row = [rendered[row] for row in bare.index]
    table = pd.DataFrame(
        {
            "question_id": bare["question_id"].to_list(),
            "prompt_id": [prompt.name for prompt in of_row],
            "prompt": [prompt.text for prompt in of_row],
        }
    )
    prompts_table = with_prefills(table, [prompt.prefill for prompt in of_row])
    return _readable(prompts_table, policy, add_special_tokens=adds_special_tokens(parameters))


class _Rendered(NamedTuple):
    """A prompt."""

    text: str  # whole
    prefill: str  # with which it ends

    @property
    def name(self) -> str:
        """Return its id. The same text with another prefill is judged otherwise, so it is another prompt."""
        return fingerprint([self.prefill, self.text]) if self.prefill else fingerprint(self.text)


def _rendered(
    questions: Table, exemplars: Sequence[tuple[str, Exemplar]], policy: Policy, parameters: PromptParameters
) -> Iterator[tuple[Sequence[Any], list[_Rendered]]]:
    """Yield the prompts of all questions, with their rows: first those of the experiment, then each transfer suite's.

    A transfer suite is asked in its own words, behind its own exemplars.
    """
    suites = questions["source"].where(questions["split"] == "transfer", "")
    transferred = set(suites) - {""}
    # Nothing is rendered that is not asked; but a style that cannot be had is noticed also where no question needs it.
    bare = [shown for source, shown in exemplars if source not in transferred]
    renderers = {"": (renderer(bare, policy, parameters), parameters.prefill or "")}
    for source in sorted(transferred):
        name = suite_of(source)
        of_suite = parameters.of_suite.get(name)
        path = "prompt" if of_suite is None else f"prompt.of_suite.{name}"
        own = [shown for of_source, shown in exemplars if of_source == source]
        asking = of_suite or parameters
        renderers[source] = renderer(own, policy, asking, path=path), asking.prefill or ""
    for source, of_source in questions.groupby(suites):
        write, prefill = renderers[str(source)]
        texts = write(asked(of_source))
        yield list(of_source.index), [_Rendered(text + prefill, prefill) for text in texts]


def conversations(questions: Table, parameters: PromptParameters) -> dict[str, list[Turn]]:
    """Return the turns that ask every training question, by its id.

    With prompt.style=chat they are what the chat template is given. Other styles have no turns: there the user asks the
    bare question, after the instruction as the system's turn; exemplars, which only show the form, are left out.
    """
    trained_on = questions[questions["split"] == "train"]
    if parameters.style == "chat":
        transferred = set(questions.loc[questions["split"] == "transfer", "source"])
        exemplars = [exemplar for source, exemplar in _exemplars(questions) if source not in transferred]
        turns = chats(asked(trained_on), exemplars, parameters)
    else:
        before = [turn("system", parameters.instruction)] if parameters.instruction else []
        turns = [conversation(before, question, question.text) for question in asked(trained_on)]
    return dict(zip(trained_on["question_id"], turns, strict=True))


def _exemplars(questions: Table) -> list[tuple[str, Exemplar]]:
    """Return the exemplars in order, each with its source."""
    chosen = questions.loc[questions["split"] == "exemplar", ["source", "text", "gold"]]
    return [
        (source, Exemplar(text, _solution(json.loads(gold)))) for source, text, gold in chosen.itertuples(index=False)
    ]


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
    _check_prefills(prompts, policy, tokenizer, window=window or 0)
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


def _check_prefills(prompts: Table, policy: Policy, tokenizer: Any, *, window: int) -> None:
    """Raise if a prefill alone fills the policy's context window.

    Raises:
        PromptError: With how long it is.
    """
    for prefill in sorted({*prefills_of(prompts)} - {""}):
        (ids,) = encode_prompts(tokenizer, [prefill], add_special_tokens=False)
        if len(ids) >= window:
            raise PromptError(
                f"prompt.prefill has {len(ids)} tokens ({prefill[:40]!r} ...), and the context window of {policy.name} "
                f"is {window}: shorten it, so that there is room for a question and an answer"
            )


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
