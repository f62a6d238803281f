"""Every parameter: its type, unit, range and source. One frozen dataclass per group of parameters.yml.

"Paper" is Singh et al. 2023, https://arxiv.org/abs/2312.06585. "Ours" marks what it does not report.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from restem.contradictions import contradictions
from restem.errors import ParameterError
from restem.scale.parameters import ScaleParameters

_STRICT = ConfigDict(extra="forbid")

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
TopP = Annotated[float, Field(gt=0.0, le=1.0)]
SentinelName = Literal["overfitting", "diversity_collapse", "transfer_loss", "worse_audit"]
LearnFrom = Literal["samples", "earlier", "human"]
Fault = Literal["no_answer", "truncated", "unparseable_answer", "timeout", "crashed", "forbidden", "wrong"]
Temperature = Annotated[float, Field(ge=0.0)]


@dataclass(frozen=True, config=_STRICT)
class EmParameters:
    """The loop."""

    iterations: Positive = 2  # paper: 3 on MATH, 2 on APPS
    iteration: Positive | None = None  # force em_iteration to be this one; None is the next that is not complete
    seed: NonNegative = 0  # of the experiment; every random number follows from it
    # What ends the experiment once an iteration shows it; by default it is only said. See restem.sentinels.
    stop_when: list[SentinelName] = Field(default_factory=list)
    keep_policies: Literal["all", "best", "last"] = "all"  # whose weights stay; best is by validation pass@1
    allow_changes: bool = False  # go on although earlier iterations were made with other parameters


@dataclass(frozen=True, config=_STRICT)
class PolicyParameters:
    """The base policy."""

    model: str = "builtin:smollm2-135m-instruct"  # builtin:NAME, a folder, or a Hugging Face model id
    teacher: str | None = None  # samples in its place, in every iteration; written as model is


@dataclass(frozen=True, config=_STRICT)
class QuestionsParameters:
    """Where questions come from."""

    source: str = "reasoning_gym"  # one of restem.questions, file, or a dotted path "package.module:function"
    seed: NonNegative = 0  # of which questions are in which split
    n_train: NonNegative | None = 224  # None: all that are left
    n_validation: NonNegative | None = 32
    n_test: Positive | None = 128
    n_exemplars: NonNegative = 2  # kept aside for few-shot prompts
    exemplars: str | None = None  # a file with columns text and solution, instead of training questions
    options: dict[str, Any] = Field(default_factory=dict)  # of the source; see restem.questions
    reward: str | None = None  # that judges them, transfer suites apart; None is what the source names for each
    # Sets that are only measured, each a suite: {humaneval: {hub: true}}; one that is null is left out.
    transfer: dict[str, dict[str, Any] | None] = Field(default_factory=dict)
    near_duplicates: Literal["remove", "keep", "fail"] = "remove"  # training questions that are evaluated too; ours
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7  # of word 5-grams (Jaccard); ours


@dataclass(frozen=True, config=_STRICT)
class LimitsParameters:
    """Limits for trying a whole path in minutes; the results mean nothing."""

    questions: Positive | None = None  # in every split and suite, exemplars apart; None is no limit
    samples: Positive | None = None  # per question, in sampling and evaluation


@dataclass(frozen=True, config=_STRICT)
class PromptParameters:
    """Question -> prompt."""

    style: str = "few_shot"  # paper; or zero_shot, chat, or a dotted path "package.module:function"
    template: str = "{question}"  # one question, as asked
    answer_prefix: str = ""  # follows the question; the completion follows it
    separator: str = "\n\n"  # between exemplars, and after the instruction
    instruction: str = ""  # before everything; the system message for chat
    of_suite: "dict[str, PromptParameters]" = Field(default_factory=dict)  # for transfer suites that want another


@dataclass(frozen=True, config=_STRICT)
class FollowUpParameters:
    """Further rounds of draws for questions that have too few correct samples."""

    rounds: NonNegative = 0  # at most, each of `sampling.n` samples per question; the budget
    until_correct: Positive = 1  # correct samples of a question that are enough
    hint: str = ""  # follows the question, as "(The answer is {answer}.)"; never part of a training prompt


@dataclass(frozen=True, config=_STRICT)
class SamplingParameters:
    """The E-step's draws."""

    engine: str = "transformers"  # transformers, vllm, openai, scripted, or a dotted path "package.module:function"
    engine_options: dict[str, Any] = Field(default_factory=dict)
    n: Positive = 16  # samples per question; paper: 32 on MATH, 64 on APPS
    temperature: Temperature = 0.7  # paper; 0 is greedy
    top_k: NonNegative = 40  # paper; 0 keeps all
    top_p: TopP = 1.0
    max_new_tokens: Positive = 64  # ours
    stop: list[str] = Field(default_factory=list)  # a completion ends before the first of these
    questions_per_shard: Positive = 64  # ours; at most this much work is lost to a kill
    n_questions: Positive | None = None  # of the training questions, others in every iteration; None is all
    share_of_questions: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # the same as a share of them
    follow_up: FollowUpParameters = Field(default_factory=FollowUpParameters)


def _rates_to_warn_above() -> dict[Fault, float]:
    return {"timeout": 0.02, "unparseable_answer": 0.1, "no_answer": 0.25}


@dataclass(frozen=True, config=_STRICT)
class AuditParameters:
    """How much of an iteration the audit of its rewards looks at. Ours."""

    n_samples: NonNegative = 100  # accepted ones that a second verifier looks at
    n_questions: NonNegative = 50  # whose gold and spoilt gold are tried again


@dataclass(frozen=True, config=_STRICT)
class ScoringParameters:
    """Verdicts."""

    timeout_s: Annotated[float, Field(gt=0.0)] = 5.0  # wall clock per verdict
    workers: Positive = 2  # processes
    options: dict[str, Any] = Field(default_factory=dict)  # by reward name: {"math": {...}}
    # Shares of verdicts by reason above which a warning is logged and reported; ours.
    warn_above: dict[Fault, Share] = Field(default_factory=_rates_to_warn_above)
    audit: AuditParameters = Field(default_factory=AuditParameters)


@dataclass(frozen=True, config=_STRICT)
class FilteringParameters:
    """What is kept of the scored samples."""

    min_reward: Share = 1.0  # paper: correct or not
    max_per_question: Positive = 10  # paper
    distinct: bool = True  # ours: the same completion of a question is kept once
    choose: Literal["random", "shortest", "first", "best"] = "random"  # ours: which, when there are more
    distinct_by: Literal["text", "equations"] = "text"  # what makes two completions the same
    min_reward_step: Share = 0.0  # that min_reward rises by with every iteration, up to 1
    weight: Literal["reward", "exponential"] = "reward"  # of an example in the loss; exponential: exp((reward - 1) / T)
    weight_temperature: Annotated[float, Field(gt=0.0)] = 1.0  # T of the exponential weight
    learn_from: list[LearnFrom] = Field(default_factory=lambda: list[LearnFrom](("samples",)))
    only_solved: bool = False  # human solutions only of questions that have a correct sample; paper, figure 6


@dataclass(frozen=True, config=_STRICT)
class LoraParameters:
    """Low-rank adapters in place of full fine-tuning. All ours."""

    rank: Positive = 16
    alpha: Positive = 32  # the adapters' scale is alpha / rank
    targets: str | list[str] = "all-linear"  # or names of layers, as [q_proj, v_proj]


@dataclass(frozen=True, config=_STRICT)
class TrainingParameters:
    """The M-step. The paper reports none of these but where to start and what stops it: the others are ours."""

    start_from: Literal["base", "previous"] = "base"  # paper: base; previous is ReST's ablation
    epochs: Positive = 3  # at most; the reward on validation questions may stop it earlier
    eval_every: Annotated[float, Field(gt=0.0)] | None = 1.0  # epochs between validations; None trains all epochs
    patience: Positive = 2  # validations in a row without a better reward that end the training
    checkpoint_every_s: Annotated[float, Field(ge=0.0)] = 300.0  # what a kill can cost; 0 is every optimizer step
    learning_rate: Annotated[float, Field(gt=0.0)] = 1e-4  # peak
    batch_size: Positive = 16  # examples per optimizer step
    micro_batch_size: Positive | None = 16  # examples per forward pass; None is as many as fit, which GPUs can tell
    warmup_share: Share = 0.1  # of the optimizer steps
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0.0)] = 1.0
    max_length: Positive = 2048  # tokens, prompt and completion; a longer row stops the run
    allow_truncation: bool = False  # cut longer rows instead
    seed: NonNegative = 0  # of the order of examples
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # of the arithmetic; weights are float32
    gradient_checkpointing: bool = False
    packing: bool = False  # the rows of a micro batch one after another, without padding
    lora: LoraParameters | None = None  # None trains all weights
    launcher: Literal["in_process", "accelerate", "ray"] = (
        "in_process"  # many processes: of this machine, or a cluster's
    )
    launcher_config: str = "conf/accelerate/ddp.yaml"  # a file of accelerate's, for both of them
    processes: Positive | None = None  # over all machines; None is what launcher_config says, else 1
    machines: Positive | None = None  # likewise; on a cluster its nodes, else restem says what to start on the others


@dataclass(frozen=True, config=_STRICT)
class SuiteParameters:
    """What is different for one suite; None is as for all."""

    n: Positive | None = None
    temperature: Temperature | None = None
    top_k: NonNegative | None = None
    top_p: TopP | None = None
    max_new_tokens: Positive | None = None  # of greedy completions too
    stop: list[str] | None = None  # likewise


@dataclass(frozen=True, config=_STRICT)
class EvaluationParameters:
    """How every policy is measured, the base policy included."""

    n: Positive = 8  # samples per question, for pass@k and majority vote; paper: 64
    temperature: Temperature = 1.0  # paper
    top_k: NonNegative = 0
    top_p: TopP = 0.95  # paper
    k: list[Positive] = Field(default_factory=lambda: [1, 2, 4, 8])  # of pass@k; at most n
    n_train_questions: NonNegative = 64  # seeded sample of the training questions, for the train-test gap
    of_suite: dict[str, SuiteParameters] = Field(default_factory=dict)  # {bbh: {n: 1, max_new_tokens: 512}}


@dataclass(frozen=True, config=_STRICT)
class TrackingParameters:
    """MLflow. The tracking server is MLFLOW_TRACKING_URI, or this project's own store."""

    enabled: bool = True
    mlflow_experiment: str = "restem"  # the MLflow experiment that holds the runs
    timeout_s: Positive = 10  # per request to a tracking server
    max_table_rows: Positive = 5000  # of a table of samples in the UI, in whole questions; the catalog has them all


@dataclass(frozen=True, config=_STRICT)
class Parameters:
    """All of parameters.yml."""

    em: EmParameters
    policy: PolicyParameters
    questions: QuestionsParameters
    prompt: PromptParameters
    sampling: SamplingParameters
    scoring: ScoringParameters
    filtering: FilteringParameters
    training: TrainingParameters
    evaluation: EvaluationParameters
    tracking: TrackingParameters
    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]  # names the folder and the MLflow run
    limits: LimitsParameters = Field(default_factory=LimitsParameters)
    scale: ScaleParameters = Field(default_factory=ScaleParameters)
    method: str = "rest_em"  # one of methods.yml, whose differences are in the values above


def check_parameters(raw: Mapping[str, Any]) -> Parameters:
    """Return the typed parameters.

    Args:
        raw: parameters.yml after overlays and --params.

    Raises:
        ParameterError: If any is unknown, of a wrong type or out of range; all are named, by the path
            that the user types.
    """
    try:
        parameters = TypeAdapter(Parameters).validate_python(dict(raw))
    except ValidationError as error:
        problems = [_explain(detail) for detail in error.errors()]
        raise ParameterError("; ".join(problems)) from error
    problems = contradictions(parameters)
    if problems:
        raise ParameterError("; ".join(problems))
    return parameters


_RULES = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be greater than"),
    "less_than_equal": ("le", "must be at most"),
    "literal_error": ("expected", "must be one of"),
    "string_pattern_mismatch": ("pattern", "must match"),
}


def _explain(detail: Any) -> str:
    path = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "unexpected_keyword_argument":
        return f"{path} is not a parameter"
    if detail["type"] == "missing":
        return f"{path} is missing"
    key, rule = _RULES.get(detail["type"], ("", ""))
    if not rule:
        return f"{path}: {detail['msg'][0].lower()}{detail['msg'][1:]}, got {detail['input']!r}"
    return f"{path} {rule} {detail['ctx'][key]:}, got {detail['input']!r}"
