"""The reward of a policy on the validation questions, greedily: what decides when training has gone far enough.

Source: Singh et al. 2023, https://arxiv.org/abs/2312.06585, section 3: train while the reward on a validation set
improves, not its loss. How often it is measured, and how long it may fail to improve, are our choices.
"""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from restem.errors import TrainingError
from restem.filtering.selection import best_distinct
from restem.parameters import FilteringParameters, SamplingParameters, ScoringParameters
from restem.policies.policy import Policy
from restem.sampling.draws import greedy_decoding
from restem.sampling.sampler import Draw, EngineChoice, draw_samples
from restem.schemas import check, training_columns
from restem.scoring.verdicts import open_reward, score_samples
from restem.spending import spending
from restem.store.fingerprints import fingerprint
from restem.store.journal import Journal
from restem.store.provenance import OF_SAMPLING, versions
from restem.store.tables import ShardedTable, Table

_SPLIT = "validation"


class Validation(NamedTuple):
    """What weights in training are measured on."""

    questions: Table  # those of the validation split
    draw: Draw  # one greedy completion of each
    choice: EngineChoice
    scoring: ScoringParameters
    solutions: Table  # `validation_set`: correct solutions to them, for the loss


def make_validation(  # noqa: PLR0913 - everything that decides what is measured
    questions: Table,
    prompts: Table,
    solutions: Table,
    *,
    every: float | None,
    choice: EngineChoice,
    sampling: SamplingParameters,
    scoring: ScoringParameters,
) -> Validation | None:
    """Return how the weights of a training are measured; None if they are not to be.

    Args:
        questions: All of them; those of the validation split are asked.
        prompts: The table `prompts`.
        solutions: The table `validation_set`; may be empty.
        every: `training.eval_every`.
        choice: The engine.
        sampling: For lengths and stops.
        scoring: How answers are judged.

    Raises:
        TrainingError: If there is no validation question.
    """
    refuse_without_questions(questions, every=every)
    if every is None:
        return None
    own = questions[questions["split"] == _SPLIT]
    prompted = prompts[prompts["question_id"].isin(own["question_id"])].assign(suite=_SPLIT)
    return Validation(own, Draw(prompted, greedy_decoding(sampling), "validation", 0), choice, scoring, solutions)


def refuse_without_questions(questions: Table, *, every: float | None) -> None:
    """Raise if the reward is to be measured and there is no question to measure it on.

    Raises:
        TrainingError: With what to set.
    """
    if every is not None and not (questions["split"] == _SPLIT).any():
        raise TrainingError(
            "training.eval_every asks for the reward on validation questions, and there are none, or none whose gold "
            "can be judged (see quarantined_questions): set questions.n_validation (or give questions of your own the "
            "split 'validation'), or train all epochs with training.eval_every=null"
        )


def greedy_reward(folder: Path, validation: Validation, *, width_in: Path | None = None) -> float:
    """Return the mean reward of a policy folder's greedy answers to the validation questions, 0 to 1.

    Args:
        folder: Of the policy.
        validation: The questions, and how they are asked and judged.
        width_in: Where measurements that are to be compared hold the width that they are drawn with.
    """
    policy = Policy(folder.as_posix(), fingerprint=folder.name, iteration=0, name=folder.name, base=folder.name)
    with tempfile.TemporaryDirectory() as scratch, spending.uninterrupted():
        journal = Journal(scratch)
        samples = draw_samples(
            [validation.draw], policy, choice=validation.choice, journal=journal, experiment_seed=0, width_in=width_in
        )
        scored = score_samples(samples, validation.questions, parameters=validation.scoring, journal=journal)
        return float(scored["reward"].mean())


def validation_decided_by(validation: Validation) -> dict[str, Any]:
    """Return all that the measurements depend on besides the weights, as JSON-like values."""
    questions, draw = validation.questions, validation.draw
    names = sorted(set(questions["reward"]))
    return {
        "questions": fingerprint(questions[["question_id", "gold", "reward"]].to_numpy().tolist()),
        "prompts": fingerprint(draw.prompts[["question_id", "prompt_id"]].to_numpy().tolist()),
        "decoding": draw.decoding.deciding(),
        "engine": validation.choice.deciding(),
        "versions": versions(*OF_SAMPLING),
        "rewards": {name: open_reward(name, validation.scoring).version for name in names},
        "timeout_s": validation.scoring.timeout_s,
        "solutions": fingerprint(validation.solutions.astype(object).to_numpy().tolist()),
    }


def select_validation_set(scored: ShardedTable, prompts: Table, *, parameters: FilteringParameters, seed: int) -> Table:
    """Return the correct solutions to validation questions among a policy's evaluation samples.

    They are chosen as the training set is, so that the loss on them is comparable with the training loss.
    """
    import pandas as pd

    text_of = prompts.set_index("question_id")["prompt"]
    parts = []
    for shard in scored:
        sampled = shard[(shard["suite"] == _SPLIT) & (shard["decoding"] == "sampled")]
        sampled = sampled[sampled["reward"] > 0]  # a method may learn from wrong ones too, but they solve nothing
        parts.append(best_distinct(sampled, parameters=parameters, seed=seed))
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.assign(
        prompt=rows["question_id"].map(text_of), weight=rows["reward"].astype(float), rank=rows["rank"].astype("int64")
    )
    return check("training_set", rows.reindex(columns=training_columns(rows)))
