"""The audit of an iteration's rewards: known cases, golds, and a second verifier on samples that were accepted.

It changes no verdict. What it finds is a table, a row per check, and its summary in the iteration's record.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from restem.evaluation.intervals import wilson_interval
from restem.parameters import ScoringParameters
from restem.rewards import check_golds
from restem.rewards.composition import checked_parts
from restem.rewards.golden import golden_cases
from restem.rewards.loading import COMPOSED, load_reward
from restem.rewards.verdicts import Verdict
from restem.schemas import CORRECT
from restem.scoring.verdicts import kept_open, open_reward
from restem.store.fingerprints import question_seed
from restem.store.tables import ShardedTable, Table

_logger = logging.getLogger(__name__)

GOLDEN, CANARY, SECOND, NO_SECOND = "golden", "canary", "second verifier", "no second verifier"
COLUMNS = ["check", "reward", "question_id", "sample_index", "agrees", "found"]
_CANNOT_SAY = "cannot say"


class Check(NamedTuple):
    """One look at a reward."""

    check: str
    reward: str  # for a part of a composed one, its own name
    question_id: str = ""
    sample_index: int = -1  # of an accepted sample
    agrees: str = "yes"  # or no, or cannot say
    found: str = ""  # what was seen


def audit_rewards(scored: ShardedTable | None, questions: Table, *, parameters: ScoringParameters, seed: int) -> Table:
    """Return the table `reward_audit`, a row per check.

    Args:
        scored: Samples with their verdicts; None looks at no samples.
        questions: Those that may have been judged, with gold and reward.
        parameters: `scoring`; `scoring.audit` says how much is looked at.
        seed: Of what is chosen.
    """
    import pandas as pd

    sampled = _chosen(questions, parameters.audit.n_questions, seed)
    accepted = None if scored is None else _accepted(scored, parameters.audit.n_samples, seed)
    rows: list[Check] = []
    for name in sorted(set(questions["reward"])):
        singles = list(_singles(name, parameters.options.get(name) or {}))
        rows += [row for single, options in singles for row in _golden(single, options, parameters)]
        rows += _canaries(sampled[sampled["reward"] == name], parameters)
        if accepted is not None:
            rows += _second(accepted.merge(questions[questions["reward"] == name]), singles, parameters)
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise_audit(audit: Table) -> dict[str, Any]:
    """Return how many checks were made and how many disagreed.

    `false_positive_rate` is the share of accepted samples that the second verifier refuses, with its 95 % interval
    from `low` to `high`; null where nothing could be checked. `n_unchecked` are those on which it cannot say anything.
    """
    seconds = audit[audit["check"] == SECOND]
    verdicts = Counter(seconds["agrees"])
    n_checked, n_disagreed = verdicts["yes"] + verdicts["no"], verdicts["no"]
    low, high = wilson_interval(n_disagreed, n_checked) if n_checked else (0.0, 1.0)
    without = audit[audit["check"] == NO_SECOND]
    summary: dict[str, Any] = {
        "n_checked": n_checked,
        "n_disagreed": n_disagreed,
        "n_unchecked": verdicts[_CANNOT_SAY],
        "false_positive_rate": n_disagreed / n_checked if n_checked else None,
        "low": low,
        "high": high,
        **_counts(audit, GOLDEN, "golden_cases", "golden_failed"),
        **_counts(audit, CANARY, "canaries", "canaries_failed"),
        "not_audited": dict(zip(without["reward"], without["found"], strict=True)),
    }
    for row in audit[(audit["agrees"] == "no") & (audit["check"] != SECOND)].itertuples():
        _logger.warning("the audit of the reward %s: a %s failed: %s", row.reward, row.check, row.found)
    if n_disagreed:
        _logger.warning("a second verifier refuses %d of %d accepted samples that it looked at", n_disagreed, n_checked)
    return summary


def _counts(audit: Table, check: str, total: str, failed: str) -> dict[str, int]:
    rows = audit[audit["check"] == check]
    return {total: len(rows), failed: int((rows["agrees"] == "no").sum())}


def _singles(name: str, options: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a reward and its options, or those that it is made of."""
    if name not in COMPOSED:
        yield name, dict(options)
        return
    for part, of_part in checked_parts(name, options.get("rewards")).items():
        yield from _singles(part, of_part)


def _golden(name: str, options: Mapping[str, Any], parameters: ScoringParameters) -> Iterator[Check]:
    cases = golden_cases(name, options)
    if not cases:
        return
    reward = kept_open(load_reward, name, options, parameters)
    questions = [case.question(f"golden case {number}") for number, case in enumerate(cases)]
    verdicts = reward.score(questions, [case.completion for case in cases])
    for question, case, verdict in zip(questions, cases, verdicts, strict=True):
        agrees = "yes" if verdict.reward == case.reward else "no"
        result = f"{case.completion!r} earns {verdict.reward:g} ({verdict.reason}), where {case.reward:g} is right"
        yield Check(GOLDEN, name, str(question["question_id"]), agrees=agrees, found="" if agrees == "yes" else result)


def _canaries(questions: Table, parameters: ScoringParameters) -> Iterator[Check]:
    faults = check_golds(questions, open_reward=partial(open_reward, parameters=parameters))
    reasons = dict(zip(faults["question_id"], faults["reason"], strict=True))
    for question_id, reward in zip(questions["question_id"], questions["reward"], strict=True):
        fault = reasons.get(question_id, "")
        yield Check(CANARY, str(reward), str(question_id), agrees="no" if fault else "yes", found=str(fault))


def _second(
    accepted: Table, singles: Sequence[tuple[str, dict[str, Any]]], parameters: ScoringParameters
) -> Iterator[Check]:
    from restem.rewards.second import load_second, why_no_second

    rows: list[Any] = accepted.to_dict("records")
    for name, options in singles:
        lacking = why_no_second(name)
        if lacking is not None:
            yield Check(NO_SECOND, name, agrees=_CANNOT_SAY, found=lacking)
        elif rows:
            second = kept_open(load_second, name, options, parameters)
            verdicts = second.score(rows, [row["completion"] for row in rows])
            for row, verdict in zip(rows, verdicts, strict=True):
                yield Check(SECOND, name, row["question_id"], row["sample_index"], *_answer_of(verdict))


def _answer_of(verdict: Verdict) -> tuple[str, str]:
    if verdict.reason == "correct":
        return "yes", ""
    shown = "" if verdict.answer is None else f": {verdict.answer}"
    return ("no" if verdict.reason in {"wrong", "crashed"} else _CANNOT_SAY), f"{verdict.reason}{shown}"


def _chosen(questions: Table, n: int, seed: int) -> Table:
    judged = questions[questions["split"] != "exemplar"]
    order = sorted(judged.index, key=lambda row: question_seed(seed, "audit", judged["question_id"][row]))
    return judged.loc[order[:n]]


def _accepted(scored: ShardedTable, n: int, seed: int) -> Table:
    """Return a seeded choice of accepted samples: question_id, sample_index, completion."""
    import pandas as pd

    columns = ["question_id", "sample_index", "completion"]
    kept = pd.DataFrame(columns=columns)
    for shard in scored:
        rows = pd.concat([kept, shard.loc[shard["reward"] >= CORRECT, columns]], ignore_index=True)
        keys = zip(rows["question_id"], rows["sample_index"], strict=True)
        order = [question_seed(seed, "audit", *key) for key in keys]
        kept = rows.assign(order=order).nsmallest(n, "order")[columns]
    return kept
