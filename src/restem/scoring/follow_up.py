"""Further rounds of draws for the questions that have too few correct samples.

With a hint that gives the answer away this is STaR's rationalization; without one, a budget that goes to where it is
needed. Hints are in the prompts of these draws only: a training prompt is always the question's own.

Source: Zelikman et al. 2022, https://arxiv.org/abs/2203.14465, section 3.3, for rationalization. That rounds repeat
until enough samples are correct is ours.
"""

import json
from collections import Counter
from dataclasses import dataclass

from restem.parameters import PromptParameters, SamplingParameters, ScoringParameters
from restem.parameters.scale import ScaleParameters
from restem.policies.policy import Policy
from restem.sampling.draws import TRAIN_SUITE, engine_choice, training_decoding
from restem.sampling.prompts import render_prompts
from restem.sampling.sampler import Draw, draw_samples
from restem.scale import LOCAL
from restem.schemas import CORRECT, LEARNED_FROM, MAJORITY
from restem.scoring.verdicts import score_samples
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How the further rounds of an iteration are drawn and judged, and where."""

    questions: Table
    sampling: SamplingParameters  # the decoding, the rounds and the hint
    prompt: PromptParameters  # how hinted questions are rendered
    scoring: ScoringParameters
    iteration: int  # that the samples are for
    seed: int  # em.seed
    journal: Journal
    scale: ScaleParameters = LOCAL


def follow_up_samples(scored: ShardedTable, prompts: Table, policy: Policy, rounds: Rounds) -> ShardedTable:
    """Return the scored samples of all further rounds; none if `sampling.follow_up.rounds` is 0.

    Args:
        scored: The first round's scored samples.
        prompts: Of all questions; replaced where there is a hint.
        policy: Who answers.
        rounds: How they are drawn and judged.
    """
    sampling, follow_up = rounds.sampling, rounds.sampling.follow_up
    if not follow_up.rounds:
        return ShardedTable([])
    # A majority is of all samples of a question: more of them cannot be judged apart.
    voting = set(rounds.questions.loc[rounds.questions["reward"] == MAJORITY, "question_id"])
    n_correct = Counter({name: n for name, n in _count_correct(scored).items() if name not in voting})
    if follow_up.hint:
        prompts = _hinted(rounds.questions, policy, rounds.prompt, follow_up.hint)
    judged = ShardedTable([])
    for number in range(1, follow_up.rounds + 1):
        short = {name for name, n in n_correct.items() if n < follow_up.until_correct}
        left = prompts[prompts["question_id"].isin(short)].assign(suite=TRAIN_SUITE)
        if left.empty:
            break
        purpose, first_index = f"follow-up-{number}", number * sampling.n
        draw = Draw(left, training_decoding(sampling), purpose, rounds.iteration, first_index=first_index)
        latest = _drawn_and_judged(draw, policy, rounds)
        n_correct.update(_count_correct(latest))
        judged = ShardedTable([*judged.files, *latest.files])
    return judged


def _drawn_and_judged(draw: Draw, policy: Policy, rounds: Rounds) -> ShardedTable:
    journal, scale = rounds.journal, rounds.scale
    choice = engine_choice(rounds.sampling, rounds.prompt)
    samples = draw_samples([draw], policy, choice=choice, journal=journal, experiment_seed=rounds.seed, scale=scale)
    return score_samples(
        samples,
        rounds.questions,
        parameters=rounds.scoring,
        journal=journal,
        scale=scale,
        live_as=f"{draw.live_as}/scoring",
    )


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
