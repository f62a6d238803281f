"""How a question is put to a policy, and what stands between it and the answer. Pure data, as groups.py."""

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from restem.parameters.decides import Decides
from restem.parameters.ranges import Day, Positive, Stop, Unit

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def _are_options(options: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return options of a chat template, none of which is a text where true or false is meant."""
    for name, value in (options or {}).items():
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            raise ValueError(f"gives {name} a text, and any text is true to a template: write {value.strip().lower()}")
    return options


# What draws completions, and what of them is judged: as `sampling.max_new_tokens`, and verdicts beside that.
_Reasoning = Decides("samples", "policy", "evaluation")


@dataclass(frozen=True, config=_STRICT)
class ReasoningParameters:
    """Reasoning before an answer. The engine closes it when its budget is spent, and the answer behind it is judged."""

    open: Annotated[Stop, _Reasoning] = "<think>"  # mark that begins it, in a completion or at the end of a prompt
    close: Annotated[Stop, _Reasoning] = "</think>"  # mark that ends it; the engine writes it where the policy does not
    # Ours: of a completion, after which open reasoning is closed; the mark and the answer are within max_new_tokens.
    budget: Annotated[Positive, Unit("tokens"), _Reasoning] = 1024


@dataclass(frozen=True, config=_STRICT)
class PromptParameters:
    """Question -> prompt."""

    # Paper: few_shot; or zero_shot, chat, or a dotted path "package.module:function". It also decides whether the
    # tokenizer adds its special tokens, wherever a prompt is read.
    style: Annotated[str, Decides("prompts", "samples", "policy", "evaluation")] = "few_shot"
    template: Annotated[str, Decides("prompts")] = "{question}"  # one question, as asked
    answer_prefix: Annotated[str, Decides("prompts")] = ""  # follows the question; the completion follows it
    separator: Annotated[str, Decides("prompts")] = "\n\n"  # between exemplars, and after the instruction
    # What is to be done, said before everything; in a chat the system says it, unless `system` says what that says.
    instruction: Annotated[str, Decides("prompts")] = ""
    # The system's turn of a chat; "" is none. Then the instruction begins the first turn of the user. None: see above.
    system: Annotated[str | None, Decides("prompts")] = None
    # Of the chat template, as {enable_thinking: false}; one that the template does not read is refused.
    template_options: Annotated[dict[str, Any] | None, AfterValidator(_are_options), Decides("prompts")] = None
    # What every answer begins with: the policy goes on from there. It is read and judged, and not learnt.
    prefill: Annotated[str | None, Decides("prompts")] = None
    date: Annotated[Day, Decides("prompts")] = "2024-07-26"  # what a chat template that asks for today is told; ours
    of_suite: "dict[str, PromptParameters]" = Field(default_factory=dict)  # for transfer suites that want another
