"""Every parameter: its type, unit, range, source and what it decides. A frozen dataclass per group of parameters.yml.

Pure data: nothing here opens a file or knows what is installed. "Paper" is Singh et al. 2023,
https://arxiv.org/abs/2312.06585; "ours" marks what it does not report. `Decides` names the stages that a parameter
changes the result of, `Harmless` says that it changes none: see decides.py; ranges are in ranges.py.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from restem.parameters.decides import Decides, Harmless
from restem.parameters.evaluation import EvaluationParameters
from restem.parameters.limits import LimitsParameters
from restem.parameters.output import DisplayParameters, TrackingParameters
from restem.parameters.prompting import PromptParameters, ReasoningParameters
from restem.parameters.ranges import (
    Float,
    Int,
    NonNegative,
    Positive,
    PositiveShare,
    Samples,
    Seconds,
    Seed,
    Share,
    Stop,
    Temperature,
    TopP,
    Unit,
)
from restem.parameters.scale import ScaleParameters

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
SentinelName = Literal["overfitting", "diversity_collapse", "transfer_loss", "worse_audit"]
LearnFrom = Literal["samples", "earlier", "human"]
Fault = Literal["no_answer", "truncated", "unparseable_answer", "timeout", "crashed", "forbidden", "wrong"]

# What draws completions: those of the E-step, of the evaluation, and of the validation during training.
_Drawing = Decides("samples", "policy", "evaluation")


@dataclass(frozen=True, config=_STRICT)
class EmParameters:
    """The loop."""

    iterations: Annotated[Int, Field(ge=1, le=100), Unit("iterations"), Harmless] = 2  # paper: 3 on MATH, 2 on APPS
    # Force em_iteration to be this; None is the next to make.
    iteration: Annotated[Positive | None, Unit("iterations"), Harmless] = None
    # Of the experiment: of what is drawn, chosen and resampled. The order of training has its own.
    seed: Annotated[Seed, Decides("samples", "training_set", "evaluation")] = 0
    # What ends the experiment once an iteration shows it; by default it is only said. See restem.evaluation.sentinels.
    stop_when: Annotated[list[SentinelName], Harmless] = Field(default_factory=list)
    keep_policies: Annotated[Literal["all", "best", "last"], Harmless] = "all"  # whose weights stay; best: validation
    allow_changes: Annotated[bool, Harmless] = False  # go on although earlier iterations were made otherwise


@dataclass(frozen=True, config=_STRICT)
class PolicyParameters:
    """The base policy."""

    # builtin:NAME, a folder, or a Hugging Face model id
    model: Annotated[str, Decides("prompts", "samples", "policy", "evaluation")] = "builtin:smollm2-135m-instruct"
    teacher: Annotated[str | None, Decides("samples")] = None  # samples in its place, always; written as model is
    # Let Python code that lies in the model's folder run, here, with the user's rights.
    run_code_from_model_folder: Annotated[bool, Decides("prompts", "samples", "policy", "evaluation")] = False


@dataclass(frozen=True, config=_STRICT)
class QuestionsParameters:
    """Where questions come from."""

    # One of restem.questions, file, hub, or a dotted path "package.module:function".
    source: Annotated[str, Decides("questions")] = "reasoning_gym"
    seed: Annotated[Seed, Decides("questions")] = 0  # of which questions are in which split
    n_train: Annotated[NonNegative | None, Unit("questions"), Decides("questions")] = 224  # at most; None is all
    n_validation: Annotated[NonNegative | None, Unit("questions"), Decides("questions")] = (
        32  # likewise, for the M-step
    )
    n_test: Annotated[Positive | None, Unit("questions"), Decides("questions")] = 128  # likewise, held out
    n_exemplars: Annotated[NonNegative, Unit("questions"), Decides("questions")] = 2  # kept aside for few-shot prompts
    exemplars: Annotated[str | None, Decides("questions")] = None  # a file: columns text, solution; in their place
    options: Annotated[dict[str, Any], Decides("questions")] = Field(
        default_factory=dict
    )  # of the source; sources.py has those of file and hub
    reward: Annotated[str | None, Decides("questions")] = None  # judges all but transfer; None is what the source names
    train_reward: Annotated[str | None, Decides("questions")] = None  # judges those to train on in its place
    # Sets that are only measured, each a suite: {humaneval: {hub: true}}; one that is null is left out.
    transfer: Annotated[dict[str, dict[str, Any] | None], Decides("questions")] = Field(default_factory=dict)
    # Training questions that are evaluated too, and how like they are, by word 5-grams; both ours.
    near_duplicates: Annotated[Literal["remove", "keep", "fail"], Decides("questions")] = "remove"
    near_duplicate_similarity: Annotated[Float, Field(ge=0.05, le=1.0), Unit("Jaccard"), Decides("questions")] = (
        0.7  # or more
    )


@dataclass(frozen=True, config=_STRICT)
class FollowUpParameters:
    """Further rounds of draws for questions that have too few correct samples."""

    # At most, each of `sampling.n` samples per question; the budget.
    rounds: Annotated[Int, Field(ge=0, le=1000), Unit("rounds"), Decides("samples")] = 0
    # Correct samples of a question that are enough.
    until_correct: Annotated[Positive, Unit("samples"), Decides("samples")] = 1
    # Follows the question, as "(The answer is {answer}.)"; never part of a training prompt.
    hint: Annotated[str, Decides("samples")] = ""


@dataclass(frozen=True, config=_STRICT)
class SamplingParameters:
    """The E-step's draws."""

    # transformers, vllm, openai, scripted, file, or a dotted path "package.module:function"
    engine: Annotated[str, _Drawing] = "transformers"
    engine_options: Annotated[dict[str, Any], _Drawing] = Field(default_factory=dict)  # each says itself, see engines
    n: Annotated[Samples, Decides("samples")] = 16  # per question; paper: 32 on MATH, 64 on APPS
    temperature: Annotated[Temperature, Decides("samples")] = 0.7  # paper; divides them; 0 is greedy
    top_k: Annotated[NonNegative, Unit("tokens"), Decides("samples")] = 40  # paper; the likeliest; 0 keeps all
    top_p: Annotated[TopP, Decides("samples")] = 1.0  # ours: of the likeliest tokens; 1 keeps all
    max_new_tokens: Annotated[Positive, Unit("tokens"), _Drawing] = 64  # ours; of a completion
    stop: Annotated[list[Stop], _Drawing] = Field(default_factory=list)  # a completion ends before the first of these
    # Ours; at most this much work is lost to a kill. Questions of a shard share batches, which round otherwise in
    # another size.
    questions_per_shard: Annotated[Positive, Unit("questions"), _Drawing] = 64
    # To train on, others every time; None is all.
    n_questions: Annotated[Positive | None, Unit("questions"), Decides("samples")] = None
    share_of_questions: Annotated[PositiveShare, Decides("samples")] = 1.0  # the same as a share of them
    reasoning: ReasoningParameters | None = None  # None: completions are answers as they are
    follow_up: FollowUpParameters = Field(default_factory=FollowUpParameters)


def _rates_to_warn_above() -> dict[Fault, float]:
    return {"timeout": 0.02, "unparseable_answer": 0.1, "no_answer": 0.25}


@dataclass(frozen=True, config=_STRICT)
class AuditParameters:
    """How much of an iteration the audit of its rewards looks at. Ours."""

    n_samples: Annotated[NonNegative, Unit("samples"), Harmless] = 100  # accepted ones that a second verifier looks at
    # And so many of each form of answer and way to find it, where fewer are among these.
    n_per_form: Annotated[NonNegative, Unit("samples"), Harmless] = 3
    n_questions: Annotated[NonNegative, Unit("questions"), Harmless] = 50  # whose gold and spoilt gold are tried again


# Golds are tried before anything is sampled, and the reward of weights in training is measured, by the same verdicts.
_Judging = Decides("questions", "verdicts", "policy")


@dataclass(frozen=True, config=_STRICT)
class ScoringParameters:
    """Verdicts."""

    timeout_s: Annotated[Seconds, _Judging] = 5.0  # wall clock per verdict
    workers: Annotated[Int, Field(ge=1, le=1024), Unit("processes"), Harmless] = 2  # of this machine
    # By reward name: {"math": {...}}; each option says itself, see rewards.
    options: Annotated[dict[str, dict[str, Any] | None], _Judging] = Field(default_factory=dict)
    # Shares of verdicts by reason above which a warning is logged and reported; ours.
    warn_above: Annotated[dict[Fault, Share], Harmless] = Field(default_factory=_rates_to_warn_above)
    audit: AuditParameters = Field(default_factory=AuditParameters)


@dataclass(frozen=True, config=_STRICT)
class FilteringParameters:
    """What is kept of the scored samples."""

    min_reward: Annotated[Share, Unit("reward"), Decides("training_set")] = 1.0  # paper: correct or not
    # Ours: those that max_new_tokens cut off, also where what there is was judged correct.
    keep_truncated: Annotated[bool, Decides("training_set")] = False
    max_per_question: Annotated[Positive, Unit("samples"), Decides("training_set")] = 10  # paper; at most
    distinct: Annotated[bool, Decides("training_set")] = True  # ours: the same completion of a question is kept once
    # Ours: which, when there are more.
    choose: Annotated[Literal["random", "shortest", "first", "best"], Decides("training_set")] = "random"
    distinct_by: Annotated[Literal["text", "equations"], Decides("training_set")] = "text"  # what makes two the same
    # That min_reward rises by per iteration, up to 1.
    min_reward_step: Annotated[Share, Unit("reward"), Decides("training_set")] = 0.0
    # Of an example in the loss; exponential: exp((reward - 1) / T).
    weight: Annotated[Literal["reward", "exponential"], Decides("training_set")] = "reward"
    weight_temperature: Annotated[Float, Field(ge=1e-3, le=1e6), Unit("reward"), Decides("training_set")] = (
        1.0  # the T of exponential
    )
    # The policy's own samples, with earlier: of all iterations so far, human: solutions that questions come with.
    learn_from: Annotated[list[LearnFrom], Field(min_length=1), Decides("training_set")] = Field(
        default_factory=lambda: list[LearnFrom](("samples",))
    )
    # Human solutions only of questions that have a correct sample; paper, figure 6.
    only_solved: Annotated[bool, Decides("training_set")] = False


@dataclass(frozen=True, config=_STRICT)
class LoraParameters:
    """Low-rank adapters in place of full fine-tuning. All ours."""

    rank: Annotated[Int, Field(ge=1, le=4096), Unit("dimensions"), Decides("policy")] = 16  # of the adapters
    alpha: Annotated[Positive, Unit("dimensions"), Decides("policy")] = 32  # the adapters' scale is alpha / rank
    targets: Annotated[str | list[str], Decides("policy")] = "all-linear"  # or names of layers, as [q_proj, v_proj]


@dataclass(frozen=True, config=_STRICT)
class TrainingParameters:
    """The M-step. The paper reports none of these but where to start and what stops it: the others are ours."""

    start_from: Annotated[Literal["base", "previous"], Decides("policy")] = "base"  # paper: base; previous: ablation
    # At most; the reward on validation questions may stop it earlier.
    epochs: Annotated[Int, Field(ge=1, le=1000), Unit("epochs"), Decides("policy")] = 3
    # epochs between validations; None trains all epochs
    eval_every: Annotated[Annotated[Float, Field(ge=1e-3, le=10_000)] | None, Unit("epochs"), Decides("policy")] = 1.0
    # Validations in a row without a better reward that end it.
    patience: Annotated[Positive, Unit("validations"), Decides("policy")] = 2
    # What a kill can cost; 0 is every optimizer step.
    checkpoint_every_s: Annotated[Float, Field(ge=0.0, le=1e9), Unit("seconds"), Harmless] = 300.0
    learning_rate: Annotated[Float, Field(ge=1e-12, le=1e30), Unit("1/step"), Decides("policy")] = 1e-4  # its peak
    batch_size: Annotated[Positive, Unit("rows"), Decides("policy")] = 16  # examples per optimizer step
    # Examples per forward pass; None is as many as fit, which GPUs can tell. Sums are rounded by it.
    micro_batch_size: Annotated[Positive | None, Unit("rows"), Decides("policy")] = 16
    warmup_share: Annotated[Share, Decides("policy")] = 0.1  # of the optimizer steps
    schedule: Annotated[Literal["linear", "cosine", "constant"], Decides("policy")] = "linear"  # of its decay
    weight_decay: Annotated[Float, Field(ge=0.0, le=1.0), Unit("1/step"), Decides("policy")] = 0.0  # times the rate
    max_grad_norm: Annotated[Float, Field(ge=1e-6, le=1e9), Unit("norm"), Decides("policy")] = 1.0  # clipped to it
    # Tokens, prompt and completion; a longer row stops the run.
    max_length: Annotated[Int, Field(ge=2, le=10_000_000), Unit("tokens"), Decides("policy")] = 2048
    allow_truncation: Annotated[bool, Decides("policy")] = False  # cut longer rows instead
    # Ours: a string, as </think>: what a completion says up to the last of them is read, and not learnt. None: all is.
    learn_after: Annotated[Stop | None, Decides("policy")] = None
    seed: Annotated[Seed, Decides("policy")] = 0  # of the order of examples
    # Of the arithmetic; weights are float32.
    dtype: Annotated[Literal["auto", "float32", "bfloat16"], Decides("policy")] = "auto"
    # Rows that share a prompt are computed apart with it, which rounds otherwise.
    gradient_checkpointing: Annotated[bool, Decides("policy")] = False
    packing: Annotated[bool, Decides("policy")] = False  # the rows of a micro batch one after another, unpadded
    lora: LoraParameters | None = None  # None trains all weights
    # Many processes: of this machine, or a cluster's. How many there are decides, and how weights are divided.
    launcher: Annotated[Literal["in_process", "accelerate", "ray"], Decides("policy")] = "in_process"
    launcher_config: Annotated[str, Decides("policy")] = "conf/accelerate/ddp.yaml"  # of accelerate, for both of them
    # Over all machines; None is what launcher_config says, else 1.
    processes: Annotated[Positive | None, Unit("processes"), Decides("policy")] = None
    # Likewise; on a cluster its nodes, else restem says what to start on the others.
    machines: Annotated[Positive | None, Unit("machines"), Harmless] = None


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
    # Names the folder and the MLflow run.
    experiment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=200), Harmless]
    limits: LimitsParameters = Field(default_factory=LimitsParameters)
    scale: ScaleParameters = Field(default_factory=ScaleParameters)
    display: DisplayParameters = Field(default_factory=DisplayParameters)
    method: Annotated[str, Harmless] = "rest_em"  # one of methods.yml, whose differences are in the values above
