"""What an iteration asks of a policy: training questions in the E-step, suites in the evaluation."""

from collections.abc import Collection
from typing import TypeVar

from restem.engines.file import drawing_engine
from restem.parameters import EvaluationParameters, PromptParameters, SamplingParameters, SuiteParameters
from restem.policies.policy import Policy
from restem.questions import suite_of
from restem.sampling.sampler import Decoding, Draw, EngineChoice
from restem.sampling.styles import adds_special_tokens
from restem.schemas import MAJORITY
from restem.store.fingerprints import question_seed
from restem.store.tables import Table

T = TypeVar("T")
TRAIN_SUITE = "train"
_EVALUATED_SPLITS = ("validation", "test")


def engine_choice(sampling: SamplingParameters, prompt: PromptParameters) -> EngineChoice:
    """Return the engine that draws from policies: for the E-step, unless its samples are in files, and evaluations."""
    name, options = drawing_engine(sampling.engine, sampling.engine_options)
    return EngineChoice(
        name=name,
        options=options,
        add_special_tokens=adds_special_tokens(prompt),
        questions_per_shard=sampling.questions_per_shard,
    )


def who_samples(sampling_policy: Policy, teacher: Policy) -> Policy:
    """Return the teacher in place of the current policy; a teacher that is the base policy is none."""
    return sampling_policy if teacher.fingerprint == sampling_policy.base else teacher


def training_draw(questions: Table, prompts: Table, sampling: SamplingParameters, *, iteration: int) -> Draw:
    """Return the E-step's draw: every training question of the iteration, `sampling.n` times."""
    chosen = training_questions(questions, sampling, iteration=iteration)
    chosen_prompts = prompts[prompts["question_id"].isin(chosen)].assign(suite=TRAIN_SUITE)
    return Draw(chosen_prompts, training_decoding(sampling), purpose="train", iteration=iteration)


def training_questions(questions: Table, sampling: SamplingParameters, *, iteration: int) -> list[str]:
    """Return the ids of the training questions that an iteration asks: all, or `sampling.n_questions`, or a share.

    The questions have one order, by the hash of their ids, and every iteration takes the next of them, so that all
    are asked before any is asked again.
    """
    trained = sorted(_of_split(questions, "train"), key=lambda name: question_seed(0, "question order", name))
    n = min(sampling.n_questions or max(1, round(sampling.share_of_questions * len(trained))), len(trained))
    start = (iteration - 1) * n
    return [trained[index % len(trained)] for index in range(start, start + n)]


def training_decoding(sampling: SamplingParameters) -> Decoding:
    """Return how the E-step's samples are drawn."""
    return Decoding(
        name="greedy" if sampling.temperature == 0 else "sampled",
        n=sampling.n,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        max_new_tokens=sampling.max_new_tokens,
        stop=tuple(sampling.stop),
        reasoning=sampling.reasoning,
    )


def evaluation_decodings(
    questions: Table, sampling: SamplingParameters, evaluation: EvaluationParameters
) -> dict[str, Decoding]:
    """Return how the n evaluation samples of every suite are drawn, by suite."""
    return {suite: _sampled(sampling, evaluation, suite) for suite in _members(questions)}


def _sampled(sampling: SamplingParameters, evaluation: EvaluationParameters, suite: str) -> Decoding:
    own = evaluation.of_suite.get(suite, SuiteParameters())
    return Decoding(
        name="sampled",
        n=_either(own.n, evaluation.n),
        temperature=_either(own.temperature, evaluation.temperature),
        top_k=_either(own.top_k, evaluation.top_k),
        top_p=_either(own.top_p, evaluation.top_p),
        max_new_tokens=_either(own.max_new_tokens, sampling.max_new_tokens),
        stop=tuple(_either(own.stop, sampling.stop)),
        reasoning=sampling.reasoning,
    )


def _either(own: T | None, of_all: T) -> T:
    return of_all if own is None else own


def greedy_decoding(sampling: SamplingParameters, own: SuiteParameters | None = None) -> Decoding:
    """Return how the one greedy completion is drawn that policies are compared by; lengths and stops are the E-step's.

    Args:
        sampling: For lengths and stops.
        own: What is different for the suite.
    """
    own = own or SuiteParameters()
    length, stop = _either(own.max_new_tokens, sampling.max_new_tokens), _either(own.stop, sampling.stop)
    return Decoding("greedy", 1, 0.0, 0, 1.0, length, tuple(stop), sampling.reasoning)


def evaluation_draws(  # noqa: PLR0913 - everything that decides what is measured
    questions: Table,
    prompts: Table,
    sampling: SamplingParameters,
    evaluation: EvaluationParameters,
    *,
    iteration: int,
    seed: int,
) -> list[Draw]:
    """Return the evaluation's draws over all suites: first the greedy completions, then the sampled ones.

    Suites that are drawn in the same way are one draw.

    Args:
        questions: The questions table.
        prompts: The prompts table.
        sampling: For lengths and stops.
        evaluation: For n, temperature and the size of the train suite.
        iteration: Of the policy that is measured.
        seed: Chooses the training questions of the train suite; the same ones for every policy.
    """
    import pandas as pd

    suites = _members(questions)
    train = sorted(suites[TRAIN_SUITE], key=lambda name: question_seed(seed, "train suite", name))
    suites[TRAIN_SUITE] = set(train[: evaluation.n_train_questions])
    of_suite = {
        suite: prompts[prompts["question_id"].isin(members)].assign(suite=suite) for suite, members in suites.items()
    }
    return [
        Draw(
            pd.concat([of_suite[suite] for suite in drawn_alike], ignore_index=True),
            decoding,
            purpose="evaluation",
            iteration=iteration,
            for_every_policy=True,
        )
        for decoding, drawn_alike in _suites_by_decoding(suites, sampling, evaluation).items()
    ]


def _suites_by_decoding(
    suites: Collection[str], sampling: SamplingParameters, evaluation: EvaluationParameters
) -> dict[Decoding, list[str]]:
    """Return the suites that are drawn in the same way, by that way: the greedy ones first."""
    alike: dict[Decoding, list[str]] = {}
    for suite in suites:
        alike.setdefault(greedy_decoding(sampling, evaluation.of_suite.get(suite)), []).append(suite)
    for suite in suites:
        alike.setdefault(_sampled(sampling, evaluation, suite), []).append(suite)
    return alike


def _members(questions: Table) -> dict[str, set[str]]:
    """Return the questions of every suite, by suite; of the train suite, all that it is chosen from."""
    suites = {split: set(_of_split(questions, split)) for split in _EVALUATED_SPLITS}
    for name, source in _transferred(questions):
        suites.setdefault(suite_of(source), set()).add(name)
    suites[TRAIN_SUITE] = set(_of_split(questions[questions["reward"] != MAJORITY], "train"))
    return suites


def _transferred(questions: Table) -> list[tuple[str, str]]:
    chosen = questions.loc[questions["split"] == "transfer", ["question_id", "source"]]
    return list(chosen.itertuples(index=False, name=None))


def _of_split(questions: Table, split: str) -> list[str]:
    return list(questions.loc[questions["split"] == split, "question_id"])
