"""Draw completions shard by shard, journaled: the E-step's draws and every evaluation's.

A shard is a fixed block of questions, so a rerun draws the same batches and gives the same bytes.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

from restem.engines import (
    Engine,
    counts_tokens,
    deciding_engine_options,
    engine_versions,
    open_engine,
    resolve_arithmetic,
    tells_tokens,
)
from restem.engines.arithmetic import Arithmetic
from restem.errors import EngineError, ScaleError
from restem.parameters import ReasoningParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.sampling.answers import ANSWER_AT, CLOSING, PREFILL, answer_places, draw_completions
from restem.sampling.batch_widths import BatchWidth
from restem.sampling.progress import Progress
from restem.scale import LOCAL, CountDone, MakeShard, Shard, Workers, open_workers
from restem.schemas import check
from restem.screen import screen
from restem.spending import spending
from restem.store.fingerprints import fingerprint, question_seed
from restem.store.journal import Journal, JournalEntry
from restem.store.provenance import OF_SAMPLING, unlike, versions
from restem.store.tables import ShardedTable, Table, write_shard

_logger = logging.getLogger(__name__)
_OF_ENGINES = ("n", "temperature", "top_k", "top_p", "max_new_tokens")  # of a decoding


class Decoding(NamedTuple):
    """How completions are drawn; fields as in `sampling` and `evaluation`."""

    name: str  # greedy or sampled
    n: int
    temperature: float
    top_k: int
    top_p: float
    max_new_tokens: int
    stop: tuple[str, ...]
    reasoning: ReasoningParameters | None = None

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "Decoding":
        """Return what was written by `deciding`."""
        reasoning = written.get("reasoning")
        read = None if reasoning is None else ReasoningParameters(**reasoning)
        return cls(**{**written, "stop": tuple(written["stop"]), "reasoning": read})

    def arguments(self) -> dict[str, Any]:
        """Return what an engine is told of it."""
        return {**{name: getattr(self, name) for name in _OF_ENGINES}, "stop": list(self.stop)}

    def deciding(self) -> dict[str, Any]:
        """Return all of it, as JSON-like values; reasoning only where there is any."""
        reasoning = {} if self.reasoning is None else {"reasoning": asdict(self.reasoning)}
        return {"name": self.name, **self.arguments(), **reasoning}

    def __str__(self) -> str:
        """Return the part of it that decides the distribution."""
        return f"temperature={self.temperature} top_k={self.top_k} top_p={self.top_p}"


class Draw(NamedTuple):
    """A number of completions for every one of some questions."""

    prompts: Table  # columns question_id, prompt_id, prompt, suite
    decoding: Decoding
    purpose: str  # separates the random numbers of draws: "train", "evaluation"
    iteration: int  # the one that the samples are for
    first_index: int = 0  # sample_index of the first sample of a question
    longest_prompt: str = ""  # of the whole draw, where this is one shard of it
    for_every_policy: bool = False  # the same random numbers whatever the iteration, so that policies can be compared

    @property
    def random_stream(self) -> tuple[object, ...]:
        """Return what its random numbers follow from, beside the experiment's seed and the question."""
        return (self.purpose,) if self.for_every_policy else (self.purpose, self.iteration)

    @property
    def live_as(self) -> str:
        """Return what its readings are of, see restem.live; of those during a training the reward alone is told."""
        measured = f"evaluation/{self.decoding.name}"
        return {"train": "sampling", "evaluation": measured, "validation": ""}.get(self.purpose, self.purpose)

    def __str__(self) -> str:
        """Return what it is called in the log."""
        # What is measured during training is of no iteration's policy yet.
        of = "" if self.purpose == "validation" else f", iteration {self.iteration}"
        return f"{self.purpose}{of}, {self.decoding.name}"


class EngineChoice(NamedTuple):
    """Which engine draws, and how a prompt is read."""

    name: str
    options: dict[str, Any]
    add_special_tokens: bool
    questions_per_shard: int

    def deciding(self) -> dict[str, Any]:
        """Return all of it that decides what is drawn, as it becomes on this machine, as JSON-like values.

        Raises:
            EngineError: If the engine cannot be had.
        """
        options = deciding_engine_options(self.name, self.options)
        return self._asdict() | {"options": options, "versions": engine_versions(self.name, self.options)}


def draw_samples(  # noqa: PLR0913 - everything that decides what is drawn, and where
    draws: Sequence[Draw],
    policy: Policy,
    *,
    choice: EngineChoice,
    journal: Journal,
    experiment_seed: int,
    scale: ScaleParameters = LOCAL,
    width_in: Path | None = None,
) -> ShardedTable:
    """Return the `samples` of all draws, drawing only what the journal does not hold.

    Args:
        draws: What to draw, in order.
        policy: Who answers.
        choice: The engine; opened once by every worker, and only if a shard is missing.
        journal: Where finished shards are kept.
        experiment_seed: `em.seed`.
        scale: Where it is done; the same is drawn everywhere.
        width_in: A folder that holds the rows at once of these and other draws, which are to be compared; every
            draw has its own if not given.
    """
    arithmetic = resolve_arithmetic(choice.name, choice.options)
    _refuse_hidden_gpu(arithmetic, scale)
    work = Sampling(policy, choice, experiment_seed, versions(*OF_SAMPLING), arithmetic, width_in)
    with open_workers(work, scale, shared=journal.root) as workers:
        return ShardedTable([file for draw in draws for file in _shards(draw, work, workers, journal)])


class Sampling(NamedTuple):
    """Drawing the samples of a shard; what it is given is the draw, of the shard's questions only."""

    policy: Policy
    choice: EngineChoice
    experiment_seed: int
    versions: Mapping[str, str]  # of what decides over samples, where the run was started
    arithmetic: Arithmetic | None  # that the engine computes in there
    width_in: Path | None = None  # as for `draw_samples`

    @property
    def kind(self) -> Literal["sampling"]:
        """Return the group of `scale`."""
        return "sampling"

    @contextmanager
    def open(self) -> Iterator[MakeShard]:
        """Return a context that holds the policy in an engine.

        Raises:
            EngineError: If samples drawn here would not be those that the journal's entry is named for.
            PolicyError: If the policy's weights were deleted.
        """
        difference = unlike(self.versions)
        if difference:
            raise EngineError(f"this worker {difference}")
        here = resolve_arithmetic(self.choice.name, self.choice.options)
        if here != self.arithmetic:
            raise EngineError(
                f"this worker would compute in {here}, and the run was started where it is {self.arithmetic}, which "
                "draws other samples. Give workers what the run has, or say what all are to use: "
                "sampling.engine_options.dtype and sampling.engine_options.device"
            )
        self.policy.refuse_if_deleted()
        with open_engine(self.choice.name, self.policy.path, **self.choice.options) as engine:

            def make(shard: Shard, advance: CountDone) -> None:
                write_shard(check("samples", _sample(shard, engine, self, advance)), shard.target)

            yield make


def _refuse_hidden_gpu(arithmetic: Arithmetic | None, scale: ScaleParameters) -> None:
    """Raise if workers would draw on CPUs although samples are to come from a GPU."""
    if scale.backend == "ray" and arithmetic and arithmetic.device == "cuda" and not scale.sampling.gpus:
        raise ScaleError(
            "sampling is to use a GPU, and scale.sampling.gpus=0 hides it from the workers, which would draw other "
            "samples on their CPUs: set scale.sampling.gpus=1, or sampling.engine_options.device=cpu"
        )


def _shards(draw: Draw, work: Sampling, workers: Workers, journal: Journal) -> list[Path]:
    """Return the files of a draw, making those that are missing."""
    entry = _journal_entry(draw, work, journal)
    size = work.choice.questions_per_shard
    blocks = {
        f"{number:05d}.parquet": slice(start, start + size)
        for number, start in enumerate(range(0, len(draw.prompts), size))
    }
    longest = max(draw.prompts["prompt"], key=len, default="")
    with entry.making(list(blocks)) as missing:
        n_missing = sum(len(draw.prompts.iloc[blocks[name]]) for name in missing)
        _say_reused(draw, [entry.path(name) for name in blocks if name not in missing], len(blocks))
        parts = (draw._replace(prompts=draw.prompts.iloc[blocks[name]], longest_prompt=longest) for name in missing)
        shards = (_shard(part, entry.path(name)) for part, name in zip(parts, missing, strict=True))
        n, n_before = len(draw.prompts), len(draw.prompts) - n_missing
        before = {"n_before": n_before, "n_samples_before": n_before * draw.decoding.n}
        with Progress(str(draw), n_questions=n, **before, live_as=draw.live_as) as progress:
            workers.do(shards, n_shards=len(missing), advance=progress.advance)
    return [entry.path(name) for name in blocks]


def _shard(draw: Draw, target: Path) -> Shard:
    return Shard(target.absolute(), tuple(draw.prompts["question_id"]), draw)


def _say_reused(draw: Draw, files: Sequence[Path], n_shards: int) -> None:
    if files:
        n_samples = len(ShardedTable(files))
        screen.note(f"{n_samples} samples in the journal, not drawn again")
        _logger.info(
            "%s: %d samples in %d of %d shards are in the journal and are not drawn again",
            draw,
            n_samples,
            len(files),
            n_shards,
        )


def _journal_entry(draw: Draw, work: Sampling, journal: Journal) -> JournalEntry:
    prompts = draw.prompts[["question_id", "prompt_id", "suite"]].to_numpy().tolist()
    return journal.open(
        "-".join(map(str, ["samples", *draw.random_stream, draw.decoding.name])),
        policy=work.policy.fingerprint,
        prompts=fingerprint(prompts),
        decoding=draw.decoding.deciding(),
        random_stream=list(draw.random_stream),
        engine=work.choice.deciding(),
        seed=work.experiment_seed,
        versions=work.versions,
    )


def _sample(shard: Shard, engine: Engine, work: Sampling, advance: CountDone) -> Table:
    import pandas as pd

    draw: Draw = shard.inputs
    questions, decoding = draw.prompts, draw.decoding
    seeds = [question_seed(work.experiment_seed, *draw.random_stream, name) for name in questions["question_id"]]
    arguments = {**decoding.arguments(), "add_special_tokens": work.choice.add_special_tokens}
    lengths = [*questions["prompt"], draw.longest_prompt or questions["prompt"].iloc[0]]
    width = BatchWidth(shard.target, work.width_in).arguments(engine, lengths, **arguments)
    tokens: dict[str, Any] = {"token_ids": True} if tells_tokens(engine) else {}
    drawn = draw_completions(engine, questions, decoding.reasoning, seed=seeds, **arguments, **width, **tokens)
    rows: list[dict[str, Any]] = []
    for question, seed, completions in zip(questions.itertuples(), seeds, drawn, strict=True):
        of_question = {
            "policy_id": work.policy.fingerprint,
            "question_id": question.question_id,
            "suite": question.suite,
            "decoding": decoding.name,
            **({PREFILL: question.prefill} if PREFILL in questions else {}),
        }
        rows += [
            of_question
            | {
                "sample_index": draw.first_index + index,
                "prompt_id": question.prompt_id,
                "completion": completion.text,
                "n_tokens": completion.n_tokens,
                "finish_reason": completion.finish_reason,
                "seed": seed,
                "token_ids": None if completion.token_ids is None else list(completion.token_ids),
                **({CLOSING: completion.closing and list(completion.closing)} if decoding.reasoning else {}),
            }
            for index, completion in enumerate(completions)
        ]
        n_tokens = sum(completion.n_tokens for completion in completions)
        if not counts_tokens(engine):
            spending.take("sampling", completion_tokens=n_tokens)
        advance(n_questions=1, n_samples=len(completions), n_tokens=n_tokens)
    samples = pd.DataFrame(rows)
    return samples if decoding.reasoning is None else with_answers(samples, questions, decoding.reasoning)


def with_answers(samples: Table, prompts: Table, reasoning: ReasoningParameters) -> Table:
    """Return samples with the place of each answer behind its reasoning."""
    asked = prompts.set_index("question_id").loc[samples["question_id"]].reset_index()
    return samples.assign(**{ANSWER_AT: answer_places(asked, samples["completion"].to_list(), reasoning)})
