"""Further rounds of draws for the questions that have too few correct samples.

With a hint that gives the answer away this is STaR's rationalization; without one, a budget that goes to where it is
needed. Hints are in the prompts of these draws only: a training prompt is always the question's own.

Source: Zelikman et al. 2022, https://arxiv.org/abs/2203.14465, section 3.3, for rationalization. That rounds repeat
until enough samples are correct is ours.
"""

import json
from collections import Counter
from typing import NamedTuple

from restem.parameters import PromptParameters, SamplingParameters, ScoringParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.sampling.draws import TRAIN_SUITE, training_decoding
from restem.sampling.prompts import render_prompts
from restem.sampling.sampler import Draw, EngineChoice, draw_samples
from restem.scale import LOCAL
from restem.schemas import CORRECT, LEARNED_FROM
from restem.scoring.verdicts import score_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table


class Judging(NamedTuple):
    """What the samples of a round are judged with, and where that and the drawing are done."""

    questions: Table
    scoring: ScoringParameters
    journal: Journal
    scale: ScaleParameters = LOCAL


def follow_up_samples(  # noqa: PLR0913 - everything that decides what is drawn
    scored: ShardedTable,
    prompts: Table,
    policy: Policy,
    judging: Judging,
    *,
    sampling: SamplingParameters,
    prompt: PromptParameters,
    choice: EngineChoice,
    iteration: int,
    seed: int,
) -> ShardedTable:
    """Return the scored samples of all further rounds; none if `sampling.follow_up.rounds` is 0.

    Args:
        scored: The first round's scored samples.
        prompts: Of all questions; replaced where there is a hint.
        policy: Who answers.
        judging: The questions, and how to judge.
        sampling: For the decoding, the rounds and the hint.
        prompt: How hinted questions are rendered.
        choice: The engine.
        iteration: That the samples are for.
        seed: `em.seed`.
    """
    if not sampling.follow_up.rounds:
        return ShardedTable([])
    n_correct = _count_correct(scored)
    asked_in = (
        _hinted(judging.questions, policy, prompt, sampling.follow_up.hint) if sampling.follow_up.hint else prompts
    )
    found = ShardedTable([])
    for number in range(1, sampling.follow_up.rounds + 1):
        short = {name for name, n in n_correct.items() if n < sampling.follow_up.until_correct}
        asked = asked_in[asked_in["question_id"].isin(short)].assign(suite=TRAIN_SUITE)
        if asked.empty:
            break
        draw = Draw(
            asked,
            training_decoding(sampling),
            purpose=f"follow-up-{number}",
            iteration=iteration,
            first_index=number * sampling.n,
        )
        journal, scale = judging.journal, judging.scale
        samples = draw_samples([draw], policy, choice=choice, journal=journal, experiment_seed=seed, scale=scale)
        judged = score_samples(samples, judging.questions, parameters=judging.scoring, journal=journal, scale=scale)
        n_correct.update(_count_correct(judged))
        found = ShardedTable([*found.files, *judged.files])
    return found


def _count_correct(scored: ShardedTable) -> Counter[str]:
    """Return the number of correct samples by question; 0 for those that have none."""
    counts: Counter[str] = Counter()
    for shard in scored:
        counts.update(
            {str(name): int(n) for name, n in (shard["reward"] >= CORRECT).groupby(shard["question_id"]).sum().items()}
        )
    return counts


def _hinted(questions: Table, policy: Policy, prompt: PromptParameters, hint: str) -> Table:
    """Return prompts in which every question, and every exemplar, is followed by its hint.

    A question whose gold has no answer to give away has none.
    """
    own = questions[questions["split"].isin(LEARNED_FROM)]
    answers = [json.loads(gold).get("answer") for gold in own["gold"]]
    texts = [
        text if answer is None else f"{text} {hint.replace('{answer}', str(answer))}"
        for text, answer in zip(own["text"], answers, strict=True)
    ]
    known = [answer is not None for answer in answers]
    rendered = render_prompts(own.assign(text=texts), policy, prompt)
    return rendered[rendered["question_id"].isin(own.loc[known, "question_id"])]
