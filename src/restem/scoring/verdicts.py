"""Verdicts for samples, shard by shard, journaled under what decides them."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from restem import suggestions
from restem.errors import RewardError
from restem.evaluation.intervals import share_interval
from restem.parameters import Fault, ScoringParameters
from restem.parameters.scale import ScaleParameters
from restem.rewards import Reward, load_reward
from restem.rewards.judge import ModelJudge
from restem.rewards.scoring import SingleReward
from restem.sampling.answers import ANSWER_AT, CLOSING, judged_texts
from restem.sampling.progress import Progress
from restem.scale import LOCAL, CountDone, MakeShard, Shard, open_workers
from restem.schemas import CORRECT, MAJORITY, check
from restem.spending import spending
from restem.store.fingerprints import fingerprint
from restem.store.journal import Journal
from restem.store.tables import ShardedTable, Table, write_shard

_logger = logging.getLogger(__name__)
_FEWEST_ALIKE, _MOST_ALIKE = 2, 0.9  # questions; share of them beyond which n samples are no n samples
_open_rewards: dict[tuple[str, str, int], Reward] = {}  # by name, version, and number of worker processes


def score_samples(  # noqa: PLR0913 - what decides verdicts, where they are made, and what they are told as
    samples: ShardedTable,
    questions: Table,
    *,
    parameters: ScoringParameters,
    journal: Journal,
    scale: ScaleParameters = LOCAL,
    live_as: str = "",
) -> ShardedTable:
    """Return `scored_samples`: every sample with its verdict.

    Args:
        samples: All samples of a question in one shard.
        questions: With gold and reward.
        parameters: `scoring`.
        journal: Where finished shards are kept.
        scale: Where it is done; the verdicts are the same everywhere.
        live_as: What its readings are of; see restem.live.

    Raises:
        RewardError: If a reward is unknown, or its own machinery keeps failing.
    """
    rewards = {name: open_reward(name, parameters).version for name in sorted(set(questions["reward"]))}
    entry = journal.open(
        "scores",
        rewards=rewards,
        timeout_s=parameters.timeout_s,
        questions=fingerprint(sorted(questions[["question_id", "gold", "reward"]].to_numpy().tolist())),
    )
    names = [f"{name}.parquet" for name in samples.fingerprints()]
    files = dict(zip(names, samples.files, strict=True))
    by_id = questions.set_index("question_id", drop=False)
    with entry.making(names) as missing:
        shards = (_shard(files[name], by_id, entry.path(name)) for name in missing)
        with (
            open_workers(Scoring(parameters, rewards), scale, shared=journal.root) as workers,
            _progress(files, missing, live_as) as progress,
        ):
            workers.do(shards, n_shards=len(missing), advance=progress.advance)
    return ShardedTable([entry.path(name) for name in names])


class Scoring(NamedTuple):
    """Judging the samples of a shard; what it is given is their file, and the rows of their questions."""

    parameters: ScoringParameters
    rewards: Mapping[str, str]  # name -> version, where the run was started

    @property
    def kind(self) -> Literal["scoring"]:
        """Return the group of `scale`."""
        return "scoring"

    @contextmanager
    def open(self) -> Iterator[MakeShard]:
        """Return a context that holds the rewards; their processes are kept, as `open_reward` says.

        Raises:
            RewardError: If verdicts made here would not be those that the journal's entry is named for.
        """
        rewards = {name: open_reward(name, self.parameters) for name in self.rewards}
        for name, reward in rewards.items():
            if reward.version != self.rewards[name]:
                raise RewardError(
                    f"this worker has the reward {reward.version}, but the run was started with {self.rewards[name]}: "
                    "install the same versions of restem, Python and the reward's packages on all nodes"
                )

        def make(shard: Shard, advance: CountDone) -> None:
            file, questions = shard.inputs
            scored = check("scored_samples", _score(ShardedTable([file]).to_pandas(), questions, rewards))
            write_shard(scored, shard.target)
            n_accepted = int((scored["reward"] >= CORRECT).sum())
            advance(n_questions=len(questions), n_samples=len(scored), n_accepted=n_accepted)

        yield make


def _progress(files: Mapping[str, Path], missing: Sequence[str], live_as: str) -> Progress:
    """Return what counts the samples of the shards that are missing; the others were judged before."""
    n_questions = sum(len(_questions_of(files[name])) for name in missing)
    judged = [file for name, file in files.items() if name not in missing] if missing else []
    n_before = sum(len(ShardedTable([file])) for file in judged)
    return Progress("scoring", n_questions=n_questions, n_samples_before=n_before, live_as=live_as)


def _shard(file: Path, questions: Table, target: Path) -> Shard:
    names = _questions_of(file)
    rows: list[Any] = questions.loc[names].to_dict("records")
    return Shard(target.absolute(), tuple(names), (file.absolute(), {row["question_id"]: row for row in rows}))


def _questions_of(file: Path) -> list[str]:
    """Return the ids of a shard's questions, in order."""
    return list(ShardedTable([file])["question_id"].unique())


def open_reward(name: str, parameters: ScoringParameters) -> Reward:
    """Return the named reward with its options from `scoring.options`; its processes are kept for the next time."""
    return kept_open(load_reward, name, parameters.options.get(name) or {}, parameters)


def kept_open(
    load: Callable[..., Reward], name: str, options: Mapping[str, Any], parameters: ScoringParameters
) -> Reward:
    """Return what `load` makes of a reward's name and options, or the same one that was opened before.

    An experiment judges many times: the worker processes, which take seconds to import their libraries, are kept
    for the next time and end with this process.
    """
    reward = load(name, timeout_s=parameters.timeout_s, workers=parameters.workers, **options)
    return _open_rewards.setdefault((reward.name, reward.version, parameters.workers), reward)


def refuse_unpaid_opinions(rewards: Iterable[str], parameters: ScoringParameters) -> None:
    """Raise if one of these rewards would ask a server, and what the experiment may take is spent.

    Raises:
        BudgetError: With what is spent, what is kept and how to go on.
    """
    if any(_asks_a_server(open_reward(name, parameters)) for name in sorted(set(rewards))):
        spending.refuse_if_spent()


def _asks_a_server(reward: Reward) -> bool:
    own = isinstance(reward, SingleReward) and isinstance(reward.judge, ModelJudge)
    return own or any(map(_asks_a_server, reward.parts.values()))


def summarise_scoring(scored: ShardedTable, *, warn_above: Mapping[Fault, float]) -> dict[str, Any]:
    """Return how many samples earned what: `n`, `by_reason`, `n_questions`, `questions_with_correct`, `n_tokens`.

    `acceptance` is the share of correct ones, with its 95 % interval over questions in `acceptance_low` and `_high`.
    `accepted_by_found` counts them by how their answers were found. `rates` are the shares of the reasons in
    `warn_above`; `warnings`, which are logged too, name those that are higher. `questions_all_same` have several
    samples that are one and the same text. `n_tokens` is null where files do not say it. Of questions that are labelled
    by the majority of their samples, `majority` says how many there are, how many got a label, and which share of the
    samples agreed with it. `reasoning` says how many samples' the engine closed, and how many have no answer behind it.
    """
    by_reason, by_found, reasoning, n_correct = Counter[str](), Counter[str](), Counter[str](), 0
    rates, agreed, same, n_tokens = list[float](), list[float](), list[bool](), list[int | None]()
    for shard in scored:
        by_reason.update(shard["reason"])
        correct = shard["reward"] >= CORRECT
        rates += correct.groupby(shard["question_id"]).mean().tolist()
        by_found.update(shard.loc[correct, "found_by"].fillna("not said"))
        agreed, same = agreed + _agreed(shard), same + _all_same(shard)
        reasoning.update(_reasoning(shard))
        n_correct += int(correct.sum())
        n_tokens.append(None if shard["n_tokens"].isna().any() else int(shard["n_tokens"].sum()))
    n = by_reason.total()
    low, high = share_interval(rates, seed=0) if rates else (0.0, 1.0)
    shares = {reason: by_reason[reason] / n if n else 0.0 for reason in sorted(warn_above)}
    return {
        "n": n,
        "by_reason": dict(sorted(by_reason.items())),
        "rates": shares,
        "warnings": _logged([*_too_many(shares, warn_above), *_too_alike(same)]),
        "accepted_by_found": dict(sorted(by_found.items())),
        "acceptance": n_correct / n if n else 0.0,
        "acceptance_low": low,
        "acceptance_high": high,
        "n_questions": len(rates),
        "questions_with_correct": sum(rate > 0 for rate in rates),
        "questions_all_same": sum(same),
        "majority": _majority(agreed),
        "reasoning": dict(reasoning),
        "n_tokens": _sum_if_known(n_tokens),
    }


def _reasoning(shard: Table) -> dict[str, int]:
    """Return how many samples ended within their reasoning, and in how many the engine closed it."""
    if ANSWER_AT not in shard:
        return {}
    n_closed = int(shard[CLOSING].notna().sum()) if CLOSING in shard else 0  # nothing is closed in files
    n_open = sum(not text for text in judged_texts(shard))
    return {"n_closed_by_engine": n_closed, "n_without_answer": n_open}


def _sum_if_known(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _agreed(shard: Table) -> list[float]:
    """Return of every question that is labelled by a majority the share of its samples that agree; 0: no label."""
    voting = shard[shard["reward_version"].str.startswith(f"{MAJORITY}-")]
    return [float(share) for share in (voting["reward"] >= CORRECT).groupby(voting["question_id"]).mean()]


def _majority(agreed: Sequence[float]) -> dict[str, Any]:
    labelled = [share for share in agreed if share > 0]
    share = {"agreement": sum(labelled) / len(labelled)} if labelled else {}
    return {"n_questions": len(agreed), "n_labelled": len(labelled), **share} if agreed else {}


def _all_same(shard: Table) -> list[bool]:
    """Return of every question with several samples whether these are one and the same text."""
    counts = shard.groupby("question_id")["completion"].agg(["size", "nunique"])
    several = counts.loc[counts["size"] > 1, "nunique"] == 1
    return [bool(one) for one in several]


def _too_many(shares: Mapping[Fault, float], limits: Mapping[Fault, float]) -> list[str]:
    return [
        f"{share:.1%} of the verdicts are {reason}, more than scoring.warn_above.{reason} = {limits[reason]:g}; "
        f"look at some with: {suggestions.restem('inspect', '--reason', reason)}"
        for reason, share in shares.items()
        if share > limits[reason]
    ]


def _too_alike(same: Sequence[bool]) -> list[str]:
    if len(same) < _FEWEST_ALIKE or sum(same) <= _MOST_ALIKE * len(same):
        return []
    return [
        f"all samples of a question are one and the same text for {sum(same)} of {len(same)} questions, although they "
        "were drawn at a temperature above 0: a server may give one answer n times, keep answers in a cache, or "
        "take no seed and no temperature; else the policy has become certain"
    ]


def _logged(warnings: list[str]) -> list[str]:
    for warning in warnings:
        _logger.warning("%s", warning)
    return warnings


def _score(shard: Table, questions: Mapping[str, dict[str, Any]], rewards: Mapping[str, Reward]) -> Table:
    scored = shard.copy()
    rows_of = [questions[question_id] for question_id in shard["question_id"]]
    verdicts: list[Any] = [None] * len(shard)
    versions: list[str] = [""] * len(shard)
    texts = judged_texts(shard)
    for name, reward in rewards.items():
        rows = [row for row, question in enumerate(rows_of) if question["reward"] == name]
        answers = [texts[row] for row in rows]
        for row, verdict in zip(rows, reward.score([rows_of[row] for row in rows], answers), strict=True):
            verdicts[row] = verdict
            versions[row] = reward.version
    scored["reward"] = [float(verdict.reward) for verdict in verdicts]
    scored["reason"] = [
        _reason(verdict.reason, finish) for verdict, finish in zip(verdicts, shard["finish_reason"], strict=True)
    ]
    scored["answer"] = [verdict.answer for verdict in verdicts]
    scored["found_by"] = [verdict.found_by for verdict in verdicts]
    scored["reward_version"] = versions
    scored["seconds"] = [float(int(verdict.seconds)) for verdict in verdicts]
    return scored


def _reason(reason: str, finish_reason: str) -> str:
    """Return the verdict's reason; a completion without an answer that ran out of tokens was truncated."""
    return "truncated" if reason == "no_answer" and finish_reason == "length" else reason
