"""A short sample of what an experiment does, on this machine: how fast it samples, judges and trains."""

import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from restem.engines import Completion, open_engine
from restem.parameters import Parameters, ReasoningParameters
from restem.planning.planner import Speed
from restem.policies.policy import Policy
from restem.sampling.answers import ANSWER_AT, answer_places, draw_completions, judged_texts
from restem.sampling.draws import engine_choice, training_decoding, training_questions
from restem.sampling.styles import adds_special_tokens
from restem.schemas import CORRECT
from restem.scoring.verdicts import open_reward
from restem.store.tables import Table

_SAMPLING_S = 20.0  # no new block is begun after this
_TRAINING_S = 20.0  # if the smallest training takes longer, no larger one is tried
_FIRST_QUESTIONS = 2


def measure(questions: Table, prompts: Table, policy: Policy, parameters: Parameters) -> Speed:
    """Return how fast the base policy samples its training questions, is judged and is trained.

    Blocks of twice as many questions are drawn until 20 seconds are over; the largest counts. Of their completions
    one batch, then three, are trained on for an epoch: the difference is two batches without the set-up.
    """
    drawn, rate = _sampled(questions, prompts, policy, parameters)
    rows: list[Any] = questions.set_index("question_id", drop=False).loc[[name for name, _ in drawn]].to_dict("records")
    texts = _judged_texts(drawn, prompts, parameters.sampling.reasoning)
    started = time.perf_counter()
    verdicts = [
        verdict
        for name in sorted({row["reward"] for row in rows})
        for verdict in _judged(name, [(row, text) for row, text in zip(rows, texts, strict=True)], parameters)
    ]
    judged_per_second = len(drawn) / (time.perf_counter() - started)
    tokens_per_row, trained_rate = _trained(drawn, prompts, policy, parameters)
    return Speed(
        tokens_per_sample=sum(completion.n_tokens for _, completion in drawn) / len(drawn),
        sampled_per_second=rate,
        acceptance=sum(verdict.reward >= CORRECT for verdict in verdicts) / len(verdicts),
        verdicts_per_second=judged_per_second,
        tokens_per_row=tokens_per_row,
        trained_per_second=trained_rate,
        peak_bytes=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


def _judged_texts(
    drawn: list[tuple[str, Completion]], prompts: Table, reasoning: ReasoningParameters | None
) -> list[str]:
    asked = prompts.set_index("question_id").loc[[name for name, _ in drawn]].reset_index()
    samples = asked.assign(completion=[completion.text for _, completion in drawn])
    if reasoning is not None:
        samples[ANSWER_AT] = answer_places(asked, samples["completion"].to_list(), reasoning)
    return judged_texts(samples)


def _sampled(
    questions: Table, prompts: Table, policy: Policy, parameters: Parameters
) -> tuple[list[tuple[str, Completion]], float]:
    """Return completions by question, and the tokens per second of the largest block."""
    chosen = training_questions(questions, parameters.sampling, iteration=1)
    by_id = prompts.set_index("question_id", drop=False)
    choice, decoding = engine_choice(parameters.sampling, parameters.prompt), training_decoding(parameters.sampling)
    drawn: list[tuple[str, Completion]] = []
    rate, size, done = 0.0, _FIRST_QUESTIONS, 0
    with open_engine(choice.name, policy.path, **choice.options) as engine:
        begun = time.perf_counter()
        while done < len(chosen) and time.perf_counter() - begun < _SAMPLING_S / 2:
            block = chosen[done : done + size]
            started = time.perf_counter()
            completions = list(
                draw_completions(
                    engine,
                    by_id.loc[block],
                    decoding.reasoning,
                    **decoding.arguments(),
                    seed=list(range(len(block))),
                    add_special_tokens=choice.add_special_tokens,
                )
            )
            seconds = time.perf_counter() - started
            rate = sum(sample.n_tokens for of_one in completions for sample in of_one) / seconds
            drawn += [(name, sample) for name, of_one in zip(block, completions, strict=True) for sample in of_one]
            done, size = done + size, 2 * size
    return drawn, rate


def _judged(name: str, samples: list[tuple[dict[str, Any], str]], parameters: Parameters) -> list[Any]:
    own = [(row, text) for row, text in samples if row["reward"] == name]
    return open_reward(name, parameters.scoring).score([row for row, _ in own], [text for _, text in own])


def _trained(
    drawn: list[tuple[str, Completion]], prompts: Table, policy: Policy, parameters: Parameters
) -> tuple[float, float]:
    """Return the tokens of a training row, and the tokens trained per second; 0 if there were too few rows."""
    import pandas as pd

    size = parameters.training.batch_size
    usable = [(name, sample) for name, sample in drawn if sample.text][: 3 * size]
    if not usable:
        return 0.0, 0.0
    texts = prompts.set_index("question_id")["prompt"]
    table = pd.DataFrame(
        {
            "policy_id": policy.fingerprint,
            "question_id": [name for name, _ in usable],
            "sample_index": range(len(usable)),
            "prompt": [texts[name] for name, _ in usable],
            "completion": [sample.text for _, sample in usable],
            "finish_reason": [sample.finish_reason for _, sample in usable],
            "weight": 1.0,
            "rank": 1,
        }
    )
    first = _training_run(table.iloc[:size], policy, parameters)
    if len(usable) <= size or first.seconds > _TRAINING_S:
        return first.n_tokens / max(1, min(size, len(usable))), first.n_tokens / first.seconds
    three = _training_run(table, policy, parameters)
    tokens_per_row = three.n_tokens / len(table)
    seconds = three.seconds - first.seconds
    # On a toy the difference is noise.
    rate = (
        (three.n_tokens - first.n_tokens) / seconds if seconds > 0.1 * first.seconds else three.n_tokens / three.seconds
    )
    return tokens_per_row, rate


class _Run(NamedTuple):
    """A training of one epoch, timed."""

    n_tokens: float
    seconds: float


def _training_run(rows: Table, policy: Policy, parameters: Parameters) -> _Run:
    from restem.training.run import train

    once = replace(parameters.training, epochs=1, eval_every=None, launcher="in_process")
    add_special_tokens = adds_special_tokens(parameters.prompt)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        output = Path(folder) / "policy"
        result = train(rows, policy, parameters=once, output=output, add_special_tokens=add_special_tokens)
        seconds = time.perf_counter() - started
    return _Run(sum(step["n_tokens_total"] for step in result.log), seconds)
