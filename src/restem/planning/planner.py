"""What an experiment will take, before it is run: samples, tokens, time, disk and memory.

Counts are exact or upper bounds. Time needs a measured sample of this policy on this machine; memory and disk are
estimates from sizes.
"""

from typing import NamedTuple

from restem.engines import file
from restem.parameters import Parameters
from restem.planning.cost import ModelSize
from restem.sampling.draws import evaluation_draws, training_questions
from restem.sampling.existing import count_completions
from restem.store.ledger import Account, Taken
from restem.store.tables import Table

_BYTES_TRAINED = 16  # per parameter: weights, gradients and two moments in float32
_BYTES_FROZEN = 4  # per parameter that an adapter is added to
_BYTES_CHECKPOINT = 12  # per parameter: weights and two moments
_BYTES_OF_SAMPLE = 120  # of its row in a Parquet file, twice (samples and scored samples), beside its text
_BYTES_PER_TOKEN = 4  # of text, before compression
_MB = 1e6


class Speed(NamedTuple):
    """What a short run measured."""

    tokens_per_sample: float
    sampled_per_second: float  # tokens
    acceptance: float  # share of the samples that are correct
    verdicts_per_second: float
    tokens_per_row: float  # of a training row, its prompt included
    trained_per_second: float  # tokens; 0 if training was not measured
    peak_bytes: int  # of this process's memory, while it sampled and trained


class Workload(NamedTuple):
    """How much there is to do in an iteration; the base policy is only evaluated."""

    n_questions: int
    n_samples: int  # E-step
    n_evaluation_samples: int  # per policy, greedy ones included
    n_evaluation_tokens: int  # per policy, at most
    n_rows: int  # of the training set, at most
    n_iterations: int
    max_new_tokens: int
    epochs: int
    n_evaluation_prompts: int = 0  # per policy, each read once for all its samples
    is_read: bool = False  # whether the E-step's samples are in files; then n_samples is at most

    @property
    def n_drawn(self) -> int:
        """Return how many samples the E-step draws."""
        return 0 if self.is_read else self.n_samples

    def expected_rows(self, acceptance: float) -> float:
        """Return how many rows the filter keeps if so many samples are correct."""
        return min(self.n_rows, self.n_samples * acceptance)


def workload(questions: Table, prompts: Table, parameters: Parameters) -> Workload:
    """Return what the parameters ask for.

    Args:
        questions: The table `questions`, or `candidate_questions`.
        prompts: The table `prompts`; question_id is enough.
        parameters: All of them.
    """
    sampling = parameters.sampling
    n_questions = len(training_questions(questions, sampling, iteration=1))
    draws = evaluation_draws(questions, prompts, sampling, parameters.evaluation, iteration=0, seed=0)
    is_read = sampling.engine == file.NAME
    per_question = sampling.n * (1 + sampling.follow_up.rounds)
    n_samples = count_completions(sampling.engine_options) if is_read else n_questions * per_question
    return Workload(
        n_questions=n_questions,
        n_samples=n_samples,
        n_evaluation_samples=sum(len(draw.prompts) * draw.decoding.n for draw in draws),
        n_evaluation_tokens=sum(len(draw.prompts) * draw.decoding.n * draw.decoding.max_new_tokens for draw in draws),
        n_evaluation_prompts=sum(len(draw.prompts) for draw in draws),
        n_rows=min(n_samples, n_questions * parameters.filtering.max_per_question),
        n_iterations=parameters.em.iterations,
        max_new_tokens=sampling.max_new_tokens,
        epochs=parameters.training.epochs,
        is_read=is_read,
    )


def plan_rows(work: Workload, speed: Speed | None) -> list[list[str]]:
    """Return a row per stage: its name, samples or rows, tokens at most, and with a measured speed tokens and time.

    Training's tokens count a row's prompt, which is read again in every epoch.
    """
    n_policies = work.n_iterations + 1
    sampled, drawn = work.n_iterations * work.n_samples, work.n_iterations * work.n_drawn
    evaluated = n_policies * work.n_evaluation_samples
    rows = work.n_iterations * work.n_rows
    stages = [
        ("sampling", drawn, f"{drawn * work.max_new_tokens:,}", *_drawn(drawn, speed)),
        ("verdicts", sampled + evaluated, "-", "-", _verdicts(sampled + evaluated, speed)),
        ("training", rows, "-", *_trained(work, speed)),
        ("evaluation", evaluated, f"{n_policies * work.n_evaluation_tokens:,}", *_drawn(evaluated, speed)),
    ]
    total = "-"
    if speed is not None and speed.trained_per_second:
        total = duration(sum(_seconds(work, speed).values()))
    return [[name, f"{n:,}", *rest] for name, n, *rest in stages] + [["all", "", "", "", total]]


def expected_account(work: Workload, speed: Speed, *, prompt_tokens: float) -> Account:
    """Return what the whole experiment is expected to take, further rounds and what a judge is asked apart.

    Args:
        work: How much there is to do.
        speed: As measured.
        prompt_tokens: Mean length of a prompt.
    """
    n_policies = work.n_iterations + 1
    drawn = work.n_iterations * work.n_drawn + n_policies * work.n_evaluation_samples
    n_asked = 0 if work.is_read else work.n_iterations * work.n_questions
    read = (n_asked + n_policies * work.n_evaluation_prompts) * prompt_tokens
    seconds = sum(_seconds(work, speed).values()) if speed.trained_per_second else 0.0
    return Account(Taken(0, round(read), round(drawn * speed.tokens_per_sample)), seconds=seconds)


def _seconds(work: Workload, speed: Speed) -> dict[str, float]:
    judged, drawn = work.n_iterations * work.n_samples, work.n_iterations * work.n_drawn
    evaluated = (work.n_iterations + 1) * work.n_evaluation_samples
    rows = work.n_iterations * work.expected_rows(speed.acceptance)
    return {
        "drawn": (drawn + evaluated) * speed.tokens_per_sample / speed.sampled_per_second,
        "verdicts": (judged + evaluated) / speed.verdicts_per_second,
        "trained": rows * work.epochs * speed.tokens_per_row / speed.trained_per_second,
    }


def _drawn(n_samples: int, speed: Speed | None) -> tuple[str, str]:
    if speed is None:
        return "-", "-"
    tokens = n_samples * speed.tokens_per_sample
    return f"{tokens:,.0f}", duration(tokens / speed.sampled_per_second)


def _verdicts(n: int, speed: Speed | None) -> str:
    return "-" if speed is None else duration(n / speed.verdicts_per_second)


def _trained(work: Workload, speed: Speed | None) -> tuple[str, str]:
    if speed is None or not speed.trained_per_second:
        return "-", "-"
    rows = work.n_iterations * work.expected_rows(speed.acceptance)
    tokens = rows * work.epochs * speed.tokens_per_row
    return f"{tokens:,.0f}", duration(tokens / speed.trained_per_second)


def disk_and_memory(work: Workload, size: ModelSize, parameters: Parameters, speed: Speed | None) -> list[list[str]]:
    """Return what the disk and the memory must hold, a row each: what, MB, how it is counted."""
    tokens = work.max_new_tokens if speed is None else speed.tokens_per_sample
    per_sample = _BYTES_OF_SAMPLE + 2 * _BYTES_PER_TOKEN * tokens
    n_samples = work.n_iterations * work.n_samples + (work.n_iterations + 1) * work.n_evaluation_samples
    kept = {"all": work.n_iterations, "best": 2, "last": 1}[parameters.em.keep_policies]
    lora = parameters.training.lora is not None
    trained = size.n_parameters * (_BYTES_FROZEN if lora else _BYTES_TRAINED)
    policies = _mb(min(kept, work.n_iterations) * size.n_bytes)
    rows = [
        ["disk: policies", policies, f"em.keep_policies={parameters.em.keep_policies}"],
        ["disk: a training that goes on", _mb(size.n_parameters * _BYTES_CHECKPOINT + size.n_bytes), "until it ends"],
        ["disk: samples and verdicts", _mb(n_samples * per_sample), "before compression"],
        ["memory: sampling", _mb(size.n_bytes), "the weights; keys and values come on top"],
        ["memory: training", _mb(trained), "adapters and the frozen weights" if lora else "16 bytes per parameter"],
    ]
    if speed is not None:
        rows.append(["memory: measured", _mb(speed.peak_bytes), "of this process, on the CPU, at its most"])
    return rows


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    if seconds < 90:  # noqa: PLR2004 - a minute and a half
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - an hour and a half


def _mb(n_bytes: float) -> str:
    return f"{n_bytes / _MB:,.0f}"
