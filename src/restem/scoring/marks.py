"""What readers say of samples, beside the verdicts: marks and comments, and how often the two disagree."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from restem.evaluation.intervals import wilson_interval
from restem.schemas import CORRECT

RIGHT, WRONG, DOUBTFUL = "right", "wrong", "doubtful"
OPINIONS = (RIGHT, WRONG, DOUBTFUL)
MOST_TEXT = 10_000  # characters of a comment
MOST_NAME = 200  # of a reader's name


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What one reader said of one sample, and the verdict that was shown with it."""

    experiment: str
    question_id: str
    iteration: int
    stage: str  # drawn for training, or for evaluation
    decoding: str
    sample_index: int
    policy_id: str
    completion: str  # its fingerprint
    reward: float | None  # None: not judged then
    reason: str | None
    opinion: Literal["right", "wrong", "doubtful", ""]  # of the completion, whatever its verdict; "": none, or no more
    text: str
    who: str
    when: str  # ISO 8601, UTC

    @property
    def sample(self) -> tuple[Any, ...]:
        """What the mark is on."""
        return (
            self.experiment,
            self.question_id,
            self.iteration,
            self.stage,
            self.decoding,
            self.sample_index,
            self.policy_id,
            self.completion,
        )


def latest(marks: Iterable[Mark]) -> list[Mark]:
    """Return the last mark of every reader on every sample; one without opinion and text takes back what was said."""
    newest: dict[tuple[Any, ...], Mark] = {}
    for mark in marks:
        key = (mark.who, *mark.sample)
        if key not in newest or mark.when >= newest[key].when:
            newest[key] = mark
    return [mark for mark in newest.values() if mark.opinion or mark.text]


def summarise_marks(marks: Iterable[Mark]) -> dict[int, dict[str, Any]]:
    """Return, by iteration, how readers' marks agree with verdicts.

    Readers who disagree make a sample doubtful. `wrong_among_accepted` is the share of the accepted samples that they
    call wrong, of those that they call right or wrong; `right_among_rejected` the same of the others, the other way
    round. Each has its 95 % interval from `low` to `high`, and is None where there is no such sample. Readers choose
    what they read, so that neither is the share among all samples.
    """
    by_sample: dict[tuple[Any, ...], list[Mark]] = defaultdict(list)
    for mark in latest(marks):
        if mark.opinion and mark.reward is not None:
            by_sample[mark.sample].append(mark)
    of_iteration: dict[int, list[tuple[bool, str]]] = defaultdict(list)
    for given in by_sample.values():
        opinions = {mark.opinion for mark in given}
        opinion = opinions.pop() if len(opinions) == 1 else DOUBTFUL
        is_accepted = given[-1].reward is not None and given[-1].reward >= CORRECT
        of_iteration[given[-1].iteration].append((is_accepted, opinion))
    readers: dict[int, set[str]] = defaultdict(set)
    for given in by_sample.values():
        readers[given[-1].iteration].update(mark.who for mark in given)
    return {i: {"n_readers": len(readers[i]), **_counted(rows)} for i, rows in sorted(of_iteration.items())}


def _counted(rows: list[tuple[bool, str]]) -> dict[str, Any]:
    n = {
        name: sum(1 for is_accepted, opinion in rows if (is_accepted, opinion) == key)
        for name, key in {
            "accepted_right": (True, RIGHT),
            "accepted_wrong": (True, WRONG),
            "rejected_right": (False, RIGHT),
            "rejected_wrong": (False, WRONG),
        }.items()
    }
    return {
        "n_samples": len(rows),
        **n,
        "n_doubtful": sum(1 for _, opinion in rows if opinion == DOUBTFUL),
        "wrong_among_accepted": _share(n["accepted_wrong"], n["accepted_wrong"] + n["accepted_right"]),
        "right_among_rejected": _share(n["rejected_right"], n["rejected_wrong"] + n["rejected_right"]),
    }


def _share(n: int, total: int) -> Mapping[str, float] | None:
    if not total:
        return None
    low, high = wilson_interval(n, total)
    return {"value": n / total, "low": low, "high": high}
