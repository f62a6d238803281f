"""What an iteration asks of a policy: training questions in the E-step, suites in the evaluation."""

from restem.fingerprints import question_seed
from restem.parameters import EvaluationParameters, PromptParameters, SamplingParameters
from restem.policy import Policy
from restem.prompts import adds_special_tokens
from restem.questions import suite_of
from restem.sampling import Decoding, Draw, EngineChoice
from restem.tables import Table

TRAIN_SUITE = "train"
_EVALUATED_SPLITS = ("validation", "test")


def engine_choice(sampling: SamplingParameters, prompt: PromptParameters) -> EngineChoice:
    """Return the engine that both the E-step and the evaluation draw with."""
    return EngineChoice(
        name=sampling.engine,
        options=dict(sampling.engine_options),
        add_special_tokens=adds_special_tokens(prompt),
        questions_per_shard=sampling.questions_per_shard,
    )


def who_samples(sampling_policy: Policy, teacher: Policy) -> Policy:
    """Return the teacher in place of the current policy; a teacher that is the base policy is none."""
    return sampling_policy if teacher.fingerprint == sampling_policy.base else teacher


def training_draw(questions: Table, prompts: Table, sampling: SamplingParameters, *, iteration: int) -> Draw:
    """Return the E-step's draw: every training question of the iteration, `sampling.n` times."""
    chosen = training_questions(questions, sampling, iteration=iteration)
    asked = prompts[prompts["question_id"].isin(chosen)].assign(suite=TRAIN_SUITE)
    return Draw(asked, training_decoding(sampling), purpose="train", iteration=iteration)


def training_questions(questions: Table, sampling: SamplingParameters, *, iteration: int) -> list[str]:
    """Return the ids of the training questions that an iteration asks: all, or `sampling.n_questions` of them.

    The questions have one order, by the hash of their ids, and every iteration takes the next of them, so that all
    are asked before any is asked again.
    """
    trained = sorted(_of_split(questions, "train"), key=lambda name: question_seed(0, "question order", name))
    n = min(sampling.n_questions or len(trained), len(trained))
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
    )


def evaluation_decoding(sampling: SamplingParameters, evaluation: EvaluationParameters) -> Decoding:
    """Return how the n evaluation samples are drawn; lengths and stops are the E-step's."""
    return Decoding(
        name="sampled",
        n=evaluation.n,
        temperature=evaluation.temperature,
        top_k=evaluation.top_k,
        top_p=evaluation.top_p,
        max_new_tokens=sampling.max_new_tokens,
        stop=tuple(sampling.stop),
    )


def greedy_decoding(sampling: SamplingParameters) -> Decoding:
    """Return how the one greedy completion is drawn that policies are compared by; lengths and stops as above."""
    return Decoding("greedy", 1, 0.0, 0, 1.0, sampling.max_new_tokens, tuple(sampling.stop))


def evaluation_draws(  # noqa: PLR0913 - everything that decides what is measured
    questions: Table,
    prompts: Table,
    sampling: SamplingParameters,
    evaluation: EvaluationParameters,
    *,
    iteration: int,
    seed: int,
) -> list[Draw]:
    """Return the evaluation's draws over all suites: one greedy completion, then `evaluation.n` sampled ones.

    Args:
        questions: The questions table.
        prompts: The prompts table.
        sampling: For lengths and stops.
        evaluation: For n, temperature and the size of the train suite.
        iteration: Of the policy that is measured.
        seed: Chooses the training questions of the train suite; the same ones for every policy.
    """
    import pandas as pd

    train = sorted(_of_split(questions, "train"), key=lambda name: question_seed(seed, "train suite", name))
    suites = {split: set(_of_split(questions, split)) for split in _EVALUATED_SPLITS}
    for name, source in _transferred(questions):
        suites.setdefault(suite_of(source), set()).add(name)
    suites[TRAIN_SUITE] = set(train[: evaluation.n_train_questions])
    asked = pd.concat(
        [prompts[prompts["question_id"].isin(members)].assign(suite=suite) for suite, members in suites.items()],
        ignore_index=True,
    )
    decodings = (greedy_decoding(sampling), evaluation_decoding(sampling, evaluation))
    return [Draw(asked, decoding, purpose="evaluation", iteration=iteration) for decoding in decodings]


def _transferred(questions: Table) -> list[tuple[str, str]]:
    chosen = questions.loc[questions["split"] == "transfer", ["question_id", "source"]]
    return list(chosen.itertuples(index=False, name=None))


def _of_split(questions: Table, split: str) -> list[str]:
    return list(questions.loc[questions["split"] == split, "question_id"])
