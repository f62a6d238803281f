"""The group `evaluation` of parameters.yml. "Paper" and "ours" are as in groups.py."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from restem.parameters.decides import Decides
from restem.parameters.ranges import NonNegative, Positive, Samples, Stop, Temperature, TopP, Unit

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class SuiteParameters:
    """What is different for one suite; None is as for all."""

    n: Annotated[Samples | None, Decides("evaluation")] = None  # as evaluation.n
    temperature: Annotated[Temperature | None, Decides("evaluation")] = None  # as evaluation.temperature
    top_k: Annotated[NonNegative | None, Unit("tokens"), Decides("evaluation")] = None  # as evaluation.top_k
    top_p: Annotated[TopP | None, Decides("evaluation")] = None  # as evaluation.top_p
    # Of greedy completions too.
    max_new_tokens: Annotated[Positive | None, Unit("tokens"), Decides("evaluation")] = (
        None  # as evaluation.max_new_tokens
    )
    stop: Annotated[list[Stop] | None, Decides("evaluation")] = None  # of greedy completions too


@dataclass(frozen=True, config=_STRICT)
class EvaluationParameters:
    """How every policy is measured, the base policy included."""

    n: Annotated[Samples, Decides("evaluation")] = 8  # per question, for pass@k and majority vote; paper: 64
    temperature: Annotated[Temperature, Decides("evaluation")] = 1.0  # paper; divides them
    top_k: Annotated[NonNegative, Unit("tokens"), Decides("evaluation")] = 0  # the likeliest; 0 keeps all
    top_p: Annotated[TopP, Decides("evaluation")] = 0.95  # paper; of the likeliest tokens
    # Of pass@k; at most n.
    k: Annotated[list[Samples], Field(min_length=1), Decides("evaluation")] = Field(
        default_factory=lambda: [1, 2, 4, 8]
    )
    # Seeded sample of the training questions, for the train-test gap.
    n_train_questions: Annotated[NonNegative, Unit("questions"), Decides("evaluation")] = 64
    of_suite: dict[str, SuiteParameters] = Field(default_factory=dict)  # {bbh: {n: 1, max_new_tokens: 512}}
