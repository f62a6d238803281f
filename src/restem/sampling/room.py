"""What must fit before anything is drawn: a prefill into a training row, a closing mark and an answer into a length."""

from collections.abc import Iterator

from restem.engines.file import drawing_engine
from restem.engines.loading import load_tokenizer
from restem.engines.reasoning import Reasoning, closing_tokens
from restem.errors import PromptError
from restem.parameters import Parameters
from restem.policies.policy import Policy

_TO_THE_TOKEN = ("transformers", "vllm")  # engines that close reasoning with the policy's own tokens


def refuse_what_does_not_fit(policy: Policy, parameters: Parameters) -> None:
    """Raise if there would be no room in the policy's tokens for what the parameters ask for.

    Raises:
        EngineError: If a mark of reasoning cannot be written.
        PromptError: If something is too long.
    """
    problems = [*_prefills(policy, parameters), *_reasoning(policy, parameters)]
    if problems:
        raise PromptError("; ".join(problems))


def lengths_of_completions(parameters: Parameters) -> dict[str, int]:
    """Return how many tokens completions may have, by the parameter that says so."""
    return {"sampling.max_new_tokens": parameters.sampling.max_new_tokens} | {
        f"evaluation.of_suite.{name}.max_new_tokens": own.max_new_tokens
        for name, own in parameters.evaluation.of_suite.items()
        if own.max_new_tokens is not None
    }


def _prefills(policy: Policy, parameters: Parameters) -> Iterator[str]:
    """Yield what is wrong with a prefill of questions that are trained on."""
    prefill, most = parameters.prompt.prefill, parameters.training.max_length
    if not prefill:
        return
    n = len(load_tokenizer(policy.folder)(prefill, add_special_tokens=False)["input_ids"])
    if n >= most:
        yield (
            f"prompt.prefill has {n} tokens ({prefill[:40]!r} ...), and training.max_length = {most} tokens is what a "
            "row may have with its question and answer: shorten it, or raise that"
        )


def _reasoning(policy: Policy, parameters: Parameters) -> Iterator[str]:
    """Yield where reasoning leaves no room for an answer."""
    sampling, asked = parameters.sampling, parameters.sampling.reasoning
    if asked is None:
        return
    n = len(asked.close.encode())  # as engines count it that know texts alone
    if drawing_engine(sampling.engine, sampling.engine_options)[0] in _TO_THE_TOKEN:
        n = len(closing_tokens(load_tokenizer(policy.folder), Reasoning(asked.open, asked.close, asked.budget, ())))
    for name, most in lengths_of_completions(parameters).items():
        if asked.budget + n >= most:
            yield (
                f"sampling.reasoning.budget = {asked.budget} tokens and the {n} of {asked.close!r} leave no room for "
                f"an answer within {name} = {most}: lower the budget, or raise that"
            )
