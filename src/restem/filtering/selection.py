"""Which scored samples are learned from, and what became of the others.

Source: the threshold on the reward and at most 10 solutions per question are Singh et al. 2023; that repeated
completions count once, and how the 10 are chosen, are our choices.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple

from restem.errors import EmptyTrainingSetError
from restem.filtering.solutions import HUMAN
from restem.parameters import FilteringParameters
from restem.schemas import CORRECT, check, training_columns
from restem.store.fingerprints import question_seed
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table, with_further_rows

DROPPED = {  # why samples are not learned from: keys of filtering_summary["dropped"], and what pages call them
    "over_cap": "over the cap",  # filtering.max_per_question
    "repeated": "repeated",  # filtering.distinct
    "truncated": "cut off by max_new_tokens",  # filtering.keep_truncated
    "below_min_reward": "reward too low",  # filtering.min_reward
}
_ARITHMETIC = frozenset("0123456789.,$% +-*/^x()\u00d7\u00f7")  # and the signs for times and divided by
_EQUALS_NUMBER = re.compile(r"=\s*\$?(-?\d[\d.,]*)")


class Sources(NamedTuple):
    """What an iteration can learn from."""

    samples: ShardedTable  # its first samples, scored
    follow_up: ShardedTable = ShardedTable([])  # scored samples of further rounds
    kept_before: ShardedTable = ShardedTable([])  # training rows of earlier iterations, and people's solutions

    def fingerprints(self) -> dict[str, Any]:
        """Return what decides what is in them."""
        return {name: table.fingerprints() for name, table in self._asdict().items()}


def select_training_set(
    sources: Sources, prompts: Table, *, parameters: FilteringParameters, seed: int, journal: Journal
) -> ShardedTable:
    """Return the `training_set`: of this iteration's samples one shard per shard of samples, then the others.

    Args:
        sources: What can be learned from.
        prompts: The prompts of all questions.
        parameters: `filtering`, as it is for the iteration: see `at_iteration`.
        seed: `em.seed`.
        journal: Where the shards are kept.

    Raises:
        EmptyTrainingSetError: If nothing is kept.
    """
    entry = journal.open(
        "training-set",
        **sources.fingerprints(),
        prompts=sorted(prompts["prompt_id"]),
        parameters=asdict(parameters),
        seed=seed,
    )
    own = _own_rows(sources, prompts, parameters, seed) if "samples" in parameters.learn_from else ()
    solved = _solved(sources) if parameters.only_solved else None
    rows = itertools.chain(own, _rows_from_before(sources.kept_before, parameters, solved))
    may_repeat = parameters.distinct and parameters.learn_from != ["samples"]  # a question's samples are in one shard
    files = [
        entry.shard(f"{number:05d}.parquet", partial(check, "training_set", part))
        for number, part in enumerate(_without_repeated(rows) if may_repeat else rows)
        if len(part)
    ]
    if not files:
        raise EmptyTrainingSetError(_why_empty(sources.samples, parameters))
    return ShardedTable(files)


def _without_repeated(tables: Iterable[Table]) -> Iterator[Table]:
    """Yield the rows of each table whose question and completion no table before it held."""
    seen: set[tuple[str, str]] = set()
    for rows in tables:
        fresh = rows.loc[[pair not in seen for pair in _pairs(rows)]]
        seen.update(_pairs(fresh))
        yield fresh


def at_iteration(parameters: FilteringParameters, iteration: int) -> FilteringParameters:
    """Return the parameters with the threshold that an iteration has."""
    risen = min(1.0, parameters.min_reward + parameters.min_reward_step * (iteration - 1))
    return replace(parameters, min_reward=risen, min_reward_step=0.0)


def _own_rows(sources: Sources, prompts: Table, parameters: FilteringParameters, seed: int) -> Iterator[Table]:
    """Yield the rows that are kept of each shard of samples and of the further samples of its questions."""
    text_of = prompts.set_index("question_id")["prompt"]
    for whole in with_further_rows(sources.samples, sources.follow_up):
        kept = best_distinct(whole, parameters=parameters, seed=seed)
        weights = _WEIGHTS[parameters.weight](kept["reward"].astype(float), parameters.weight_temperature)
        rows = kept.assign(prompt=kept["question_id"].map(text_of), weight=weights)
        yield rows.loc[rows["weight"] > 0].reindex(columns=training_columns(rows))


def _solved(sources: Sources) -> set[str]:
    """Return the questions that have a correct sample."""
    return {
        name
        for shard in itertools.chain(sources.samples, sources.follow_up)
        for name in shard.loc[shard["reward"] >= CORRECT, "question_id"]
    }


def _rows_from_before(
    kept_before: ShardedTable, parameters: FilteringParameters, solved: set[str] | None
) -> Iterator[Table]:
    """Yield the rows of earlier iterations and of people that are learned from; of people only what is in `solved`."""
    wanted = {"human": "human" in parameters.learn_from, "earlier": "earlier" in parameters.learn_from}
    if any(wanted.values()):
        for shard in kept_before:
            is_human = shard["policy_id"] == HUMAN
            chosen = is_human.map({True: wanted["human"], False: wanted["earlier"]})
            if solved is not None:
                chosen &= ~is_human | shard["question_id"].isin(solved)
            yield shard.loc[chosen].reindex(columns=training_columns(shard))


def _pairs(rows: Table) -> list[tuple[str, str]]:
    return list(zip(rows["question_id"], rows["completion"], strict=True))


def _why_empty(scored: ShardedTable, parameters: FilteringParameters) -> str:
    if parameters.learn_from == ["human"]:
        return (
            "filtering.learn_from is [human], but no training question has a human solution (gold.solution), so there "
            "is nothing to train on; use a source that has them, or learn from samples"
        )
    n_cut_off = sum(len(rewarded(shard, parameters)) for shard in scored)
    if n_cut_off:
        return (
            f"all of the {n_cut_off} samples that earned filtering.min_reward = {parameters.min_reward} were cut off "
            "by sampling.max_new_tokens, and filtering.keep_truncated is false, so there is nothing to train on; raise "
            "sampling.max_new_tokens, name a sampling.stop, or learn from them too with filtering.keep_truncated=true"
        )
    return (
        f"none of the {len(scored)} samples earned filtering.min_reward = {parameters.min_reward}, so there is "
        "nothing to train on. The samples and verdicts are kept (scored_samples). Ask easier questions, raise "
        "sampling.n or sampling.temperature, show exemplars (prompt.style=few_shot), or use a stronger policy.model"
    )


def best_distinct(scored: Table, *, parameters: FilteringParameters, seed: int) -> Table:
    """Return the rows that are kept, with their `rank` (1, 2, ...) within the question."""
    kept = acceptable(scored, parameters)
    kept = kept.sort_values(["question_id", "sample_index"], kind="stable")
    if parameters.distinct:
        kept = distinct(kept, parameters)
    order = _ORDERS[parameters.choose]
    chosen = [
        group.iloc[order(group, seed)[: parameters.max_per_question]]
        for _, group in kept.groupby("question_id", sort=False)
    ]
    if not chosen:
        empty: Table = kept.assign(rank=[])
        return empty
    import pandas as pd

    ranked: Table = pd.concat(chosen, ignore_index=True)
    return ranked.assign(rank=ranked.groupby("question_id", sort=False).cumcount() + 1)


def rewarded(scored: Table, parameters: FilteringParameters) -> Table:
    """Return the samples with enough reward."""
    return scored[scored["reward"] >= parameters.min_reward]


def acceptable(scored: Table, parameters: FilteringParameters) -> Table:
    """Return the samples with enough reward that ended of themselves, or may be cut off.

    One cut off before its first character has nothing to learn from.
    """
    enough = rewarded(scored, parameters)
    cut_off = enough["finish_reason"] == "length"
    if parameters.keep_truncated:
        cut_off &= enough["completion"] == ""
    return enough[~cut_off]


def distinct(rows: Table, parameters: FilteringParameters) -> Table:
    """Return the first of the rows of a question that are the same."""
    gist = rows["completion"].map(_GISTS[parameters.distinct_by])
    return rows[~rows.assign(gist=gist).duplicated(["question_id", "gist"], keep="first")]


def summarise_filtering(
    scored: ShardedTable,
    kept: ShardedTable,
    *,
    parameters: FilteringParameters,
    follow_up: ShardedTable | None = None,
    iteration: int = 1,
) -> dict[str, Any]:
    """Return how many samples were kept and why the others were not; the counts add up to all samples.

    `n_from_before` training rows are not of these samples, but people's solutions or earlier iterations' samples.
    """
    parameters = at_iteration(parameters, iteration)
    n_samples = n_correct = n_whole = n_distinct = 0
    policies: set[str] = set()
    for shard in itertools.chain(scored, follow_up or ()):
        whole = acceptable(shard, parameters)
        n_samples += len(shard)
        n_correct += len(rewarded(shard, parameters))
        n_whole += len(whole)
        n_distinct += len(distinct(whole, parameters)) if parameters.distinct else len(whole)
        policies.update(shard["policy_id"])
    n_own = sum(int(shard["policy_id"].isin(policies).sum()) for shard in kept)
    n_kept = n_own if "samples" in parameters.learn_from else 0
    return {
        "n_samples": n_samples,
        "n_correct": n_correct,
        "n_kept": n_kept,
        "n_from_before": len(kept) - n_kept,
        "n_questions": sum(int(shard["question_id"].nunique()) for shard in scored),
        "n_questions_kept": len({name for shard in kept for name in shard["question_id"].unique()}),
        "dropped": {
            "over_cap": n_distinct - n_kept,
            "repeated": n_whole - n_distinct,
            "truncated": n_correct - n_whole,
            "below_min_reward": n_samples - n_correct,
        },
    }


def equations(completion: str) -> str:
    """Return the equations of a solution in order, without spaces; the solution itself if it has none.

    Source: Yuan et al. 2023, https://arxiv.org/abs/2308.01825, section 3.3: two solutions with the same list of
    equations reason in the same way. They read GSM8K's calculator marks; here an equation is arithmetic = a number.
    """
    equals, done = [], 0
    for match in _EQUALS_NUMBER.finditer(completion):
        start = match.start()
        while start > done and completion[start - 1] in _ARITHMETIC:
            start -= 1
        left = re.sub(r"[\s$,]", "", completion[start : match.start()])
        if left:
            equals.append(f"{left}={match[1].rstrip('.,').replace(',', '')}")
        done = match.end()
    return ";".join(equals) or completion


def _exponential(rewards: Any, temperature: float) -> Any:
    """Return exp((reward - 1) / temperature), which is 1 for a correct sample.

    Source: Peters and Schaal 2007, https://doi.org/10.1145/1273496.1273590, up to a constant factor.
    """
    import numpy as np

    return np.exp((rewards - 1.0) / temperature)


def _reward_itself(rewards: Any, _temperature: float) -> Any:
    return rewards


def _random(group: Table, seed: int) -> list[int]:
    import numpy as np

    generator = np.random.default_rng(question_seed(seed, "filter", group["question_id"].iloc[0]))
    return [int(row) for row in generator.permutation(len(group))]


def _shortest(group: Table, _seed: int) -> list[int]:
    return sorted(range(len(group)), key=lambda row: len(group["completion"].iloc[row]))


def _first(group: Table, _seed: int) -> list[int]:
    return list(range(len(group)))


def _best(group: Table, seed: int) -> list[int]:
    """Return the rows by reward, the best first, equal ones at random."""
    return sorted(_random(group, seed), key=lambda row: -float(group["reward"].iloc[row]))


_ORDERS: dict[str, Callable[[Table, int], list[int]]] = {
    "random": _random,
    "shortest": _shortest,
    "first": _first,
    "best": _best,
}
_GISTS: dict[str, Callable[[str], str]] = {"text": str, "equations": equations}
_WEIGHTS: dict[str, Callable[[Any, float], Any]] = {"reward": _reward_itself, "exponential": _exponential}
