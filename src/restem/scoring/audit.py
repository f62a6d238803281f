"""The audit of an iteration's rewards: known cases, golds, and a second verifier on samples that were accepted.

It changes no verdict. What it finds is a table, a row per check, and its summary in the iteration's record.
"""

import bisect
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
from restem.sampling.answers import judged_texts
from restem.schemas import CORRECT
from restem.scoring.verdicts import kept_open, open_reward, refuse_unpaid_opinions
from restem.store.fingerprints import question_seed
from restem.store.tables import ShardedTable, Table

_logger = logging.getLogger(__name__)

GOLDEN, CANARY, SECOND, NO_SECOND = "golden", "canary", "second verifier", "no second verifier"
RARE = "second verifier, rare"  # of samples that were chosen for their form, or for how their answer was found
ACCEPTED = "accepted"  # no check: how many there are of a form, found in a way
COLUMNS = ["check", "reward", "question_id", "sample_index", "agrees", "found", "form", "found_by", "n"]
_CANNOT_SAY = "cannot say"


class Check(NamedTuple):
    """One look at a reward."""

    check: str
    reward: str  # for a part of a composed one, its own name
    question_id: str = ""
    sample_index: int = -1  # of an accepted sample
    agrees: str = "yes"  # or no, or cannot say
    found: str = ""  # what was seen
    form: str = ""  # of answer, by which an accepted sample was judged
    found_by: str = ""  # how its answer was found
    n: int = 1  # samples that the row stands for


def audit_rewards(scored: ShardedTable | None, questions: Table, *, parameters: ScoringParameters, seed: int) -> Table:
    """Return the table `reward_audit`, a row per check.

    Args:
        scored: Samples with their verdicts; None looks at no samples.
        questions: Those that may have been judged, with gold and reward.
        parameters: `scoring`; `scoring.audit` says how much is looked at.
        seed: Of what is chosen.

    Raises:
        BudgetError: If a server is to be asked, and what the experiment may take is spent.
    """
    import pandas as pd

    refuse_unpaid_opinions(questions["reward"], parameters)
    sampled = _chosen(questions, parameters.audit.n_questions, seed)
    judged = questions.set_index("question_id", drop=False)
    accepted = None if scored is None else Accepted(scored, judged, parameters, seed)
    rows: list[Check] = []
    for name in sorted(set(questions["reward"])):
        singles = list(_singles(name, parameters.options.get(name) or {}))
        rows += [row for single, options in singles for row in _golden(single, options, parameters)]
        rows += _canaries(sampled[sampled["reward"] == name], parameters)
        if accepted is not None:
            rows += accepted.listed(name)
            rows += _second(SECOND, accepted.of(name, accepted.chosen), singles, parameters)
            rows += _second(RARE, accepted.of(name, accepted.rare), singles, parameters)
    return pd.DataFrame(rows, columns=COLUMNS)


def summarise_audit(audit: Table) -> dict[str, Any]:
    """Return how many checks were made and how many disagreed.

    `false_positive_rate` is the share of accepted samples that the second verifier refuses, with its 95 % interval
    from `low` to `high`; null where nothing could be checked. `n_unchecked` are those on which it cannot say anything.
    Samples that were looked at because their form is rare are counted apart, in `rare_checked` and `rare_disagreed`:
    they are not a random sample. `accepted` has a row per reward, form, and way of finding answers.
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
        **_rare(audit),
        **_counts(audit, GOLDEN, "golden_cases", "golden_failed"),
        **_counts(audit, CANARY, "canaries", "canaries_failed"),
        "not_audited": dict(zip(without["reward"], without["found"], strict=True)),
        "accepted": _by_form(audit),
    }
    for row in audit[(audit["agrees"] == "no") & ~audit["check"].isin([SECOND, RARE])].itertuples():
        _logger.warning("the audit of the reward %s: a %s failed: %s", row.reward, row.check, row.found)
    if n_disagreed:
        _logger.warning("a second verifier refuses %d of %d accepted samples that it looked at", n_disagreed, n_checked)
    return summary


def _rare(audit: Table) -> dict[str, int]:
    agrees = Counter(audit.loc[audit["check"] == RARE, "agrees"])
    return {"rare_checked": agrees["yes"] + agrees["no"], "rare_disagreed": agrees["no"]}


def _by_form(audit: Table) -> list[dict[str, Any]]:
    """Return how many samples were accepted by form and way of finding answers, and what second verifiers said."""
    seconds = audit[audit["check"].isin([SECOND, RARE]) & (audit["agrees"] != _CANNOT_SAY)]
    ways = Counter(zip(seconds["form"], seconds["found_by"], strict=True))
    refused = seconds[seconds["agrees"] == "no"]
    wrong = Counter(zip(refused["form"], refused["found_by"], strict=True))
    listed: list[Any] = audit[audit["check"] == ACCEPTED].to_dict("records")
    return [
        {
            **{name: row[name] for name in ("reward", "form", "found_by", "n")},
            "n_checked": ways[row["form"], row["found_by"]],
            "n_disagreed": wrong[row["form"], row["found_by"]],
        }
        for row in sorted(listed, key=lambda row: (-row["n"], row["form"], row["found_by"]))
    ]


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
    check: str, rows: list[Any], singles: Sequence[tuple[str, dict[str, Any]]], parameters: ScoringParameters
) -> Iterator[Check]:
    from restem.rewards.second import load_second, why_no_second

    for name, options in singles:
        lacking = why_no_second(name)
        if lacking is not None and check == SECOND:
            yield Check(NO_SECOND, name, agrees=_CANNOT_SAY, found=lacking)
        elif lacking is None and rows:
            second = kept_open(load_second, name, options, parameters)
            verdicts = second.score(rows, [row["judged"] for row in rows])
            for row, verdict in zip(rows, verdicts, strict=True):
                agrees, found = _answer_of(verdict)
                where = row["question_id"], row["sample_index"]
                yield Check(check, name, *where, agrees, found, row["form"], row["found_by"])


def _answer_of(verdict: Verdict) -> tuple[str, str]:
    if verdict.reason == "correct":
        return "yes", ""
    shown = "" if verdict.answer is None else f": {verdict.answer}"
    return ("no" if verdict.reason in {"wrong", "crashed"} else _CANNOT_SAY), f"{verdict.reason}{shown}"


def _chosen(questions: Table, n: int, seed: int) -> Table:
    judged = questions[questions["split"] != "exemplar"]
    order = sorted(judged.index, key=lambda row: question_seed(seed, "audit", judged["question_id"][row]))
    return judged.loc[order[:n]]


class Accepted:
    """The accepted samples: how many of each form, and which are looked at, in an order of the seed."""

    def __init__(self, scored: ShardedTable, questions: Table, parameters: ScoringParameters, seed: int) -> None:
        """Go through the samples, holding few at a time; `questions` are named by their ids."""
        self._questions = questions
        self.counts: Counter[tuple[str, str, str]] = Counter()  # by reward, form, and way of finding answers
        n, each = parameters.audit.n_samples, parameters.audit.n_per_form
        first: list[_Sample] = []
        of_group: dict[tuple[str, str, str], list[_Sample]] = {}
        for sample in _accepted(scored, _Forms(questions, parameters), seed):
            self.counts[sample.group] += 1
            _insert(first, sample, n)
            _insert(of_group.setdefault(sample.group, []), sample, each)
        self.chosen = [sample.row for sample in first]
        keys = {sample.key for sample in first}
        self.rare = [sample.row for group in of_group.values() for sample in group if sample.key not in keys]

    def of(self, reward: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return those rows whose questions are judged by a reward, with these questions."""
        asked = [(row, self._questions.loc[row["question_id"]]) for row in rows]
        return [{**question.to_dict(), **row} for row, question in asked if question["reward"] == reward]

    def listed(self, reward: str) -> Iterator[Check]:
        """Yield how many samples a reward accepted by each form and way of finding answers."""
        for (name, form, found_by), n in sorted(self.counts.items()):
            if name == reward:
                yield Check(ACCEPTED, name, agrees="", form=form, found_by=found_by, n=n)


class _Sample(NamedTuple):
    key: tuple[int, str, int]  # its place in the order of the seed first
    group: tuple[str, str, str]
    row: dict[str, Any]


class _Forms:
    """By which reward and form of answers questions are judged."""

    def __init__(self, questions: Table, parameters: ScoringParameters) -> None:
        self._questions = questions
        self._rewards = {name: open_reward(name, parameters) for name in sorted(set(questions["reward"]))}
        self._known: dict[str, tuple[str, str] | None] = {}

    def of(self, name: str) -> tuple[str, str] | None:
        """Return them for a question; None if it is not among these."""
        if name not in self._known:
            question = self._questions.loc[name] if name in self._questions.index else None
            self._known[name] = None if question is None else self._read(question)
        return self._known[name]

    def _read(self, question: Any) -> tuple[str, str]:
        reward = str(question["reward"])
        return reward, self._rewards[reward].form_of(question) or "any"


def _accepted(scored: ShardedTable, forms: _Forms, seed: int) -> Iterator[_Sample]:
    columns = ["question_id", "sample_index", "found_by", "judged"]
    for shard in scored:
        right = shard[shard["reward"] >= CORRECT]
        for name, index, found_by, text in right.assign(judged=judged_texts(right))[columns].itertuples(index=False):
            judged = forms.of(name)
            if judged is not None:
                way = found_by if isinstance(found_by, str) else "not said"
                key = (question_seed(seed, "audit", name, index), name, index)
                row = {"question_id": name, "sample_index": index, "judged": text}
                yield _Sample(key, (*judged, way), {**row, "form": judged[1], "found_by": way})


def _insert(first: list[_Sample], sample: _Sample, most: int) -> None:
    """Put a sample among the first ones, of which there are at most so many."""
    if len(first) < most or (first and sample.key < first[-1].key):
        bisect.insort(first, sample, key=lambda one: one.key)
        del first[most:]
