"""The parts of a study's page that only some studies have: pass@k, the train-test gap, difficulty."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from restem.evaluation.breakdowns import DIFFICULTIES, difficulty
from restem.evaluation.intervals import paired_bootstrap
from restem.evaluation.metrics import GAP, pass_at_k
from restem.reporting import figures
from restem.reporting.sections import Grid, Section, drawing, interval, measured

if TYPE_CHECKING:
    from restem.studies.arms import Arm, Pair

_FEWEST = 2  # questions of which a mean has an interval


class Part(NamedTuple):
    """A section, and what it found in one sentence for the top of the page; no sentence where there is nothing."""

    section: Section
    conclusion: str


def _pass_at_k(arms: "Sequence[Arm]", pairs: "Sequence[Pair]", suite: str, seed: int) -> Part:
    """Return pass@k of every policy, and its change at every k: one that shrinks with k sharpens and adds little."""
    known = sorted(set.intersection(*(set(figures.pass_at_k_of(arm.numbers, suite=suite)) for arm in arms)))
    rows = []
    for pair in pairs:
        first, second = (_by_question(arm.evaluation, suite) for arm in (pair.reference, pair.arm))
        cells = []
        for k in known:
            before, after = (_at_k(frame, k) for frame in (first, second))
            changed = paired_bootstrap(before, after, seed=seed)
            cells.append(interval(*changed, signed=True))
        rows.append([f"{pair.arm.label} against {pair.reference.label}", *cells])
    caption = f"Change of pass@k on {suite}, with 95 % intervals over questions."
    curves = {arm.label: figures.pass_at_k_of(arm.numbers, suite=suite) for arm in arms}
    figure = figures.pass_at_k_of_policies(curves, title=f"pass@k on {suite}")
    section = Section(
        "pass@k",
        tables=[Grid(caption, ["policies", *(f"pass@{k}" for k in known)], rows)] if rows else [],
        drawings=[drawing("pass-at-k", f"pass@k on {suite}.", figure)],
    )
    changes = "; ".join(f"{policies} {cells[-1]}" for policies, *cells in rows)
    return Part(
        section, f"With {known[-1]} tries, the change of pass@{known[-1]} on {suite}: {changes}." if rows else ""
    )


def _gap(arms: "Sequence[Arm]", _pairs: "Sequence[Pair]", _suite: str, _seed: int) -> Part:
    """Return pass@1 on questions trained on and on those held out, and the difference."""
    names = ["train/pass_at_1", "test/pass_at_1", GAP]
    rows = []
    for arm in arms:
        numbers = [arm.numbers.get(name) for name in names]
        cells = [measured(number, signed=name == GAP) for name, number in zip(names, numbers, strict=True)]
        rows.append([arm.label, *cells])
    caption = "Sampled pass@1 on training and test questions, and their difference: a gap that grows is overfitting."
    gaps = "; ".join(f"{policy} {cells[-1]}" for policy, *cells in rows)
    return Part(
        Section("Train against test", tables=[Grid(caption, ["policy", "train", "test", "gap"], rows)]),
        f"Sampled pass@1 on training questions less that on test questions: {gaps}.",
    )


def _difficulty(_arms: "Sequence[Arm]", pairs: "Sequence[Pair]", suite: str, seed: int) -> Part:
    """Return the change of the greedy score by how often the reference's samples were right.

    Bins are made from the sampled completions and the change is of the greedy ones: a question would otherwise be in
    the lowest bin for bad luck, and seem to gain when luck returns to the mean.
    """
    rows = []
    for pair in pairs:
        first, second = (_by_question(arm.evaluation, suite) for arm in (pair.reference, pair.arm))
        bins = (first["n_correct"] / first["n"]).map(difficulty)
        cells = []
        for name in DIFFICULTIES:
            chosen = bins[bins == name].index
            cells.append(_change(first.loc[chosen], second.loc[chosen], seed))
        rows.append([f"{pair.arm.label} against {pair.reference.label}", *cells])
    caption = (
        f"Change of the greedy score on {suite}, by how often the reference's samples are right; n in questions. "
        "Bins come from sampled completions and the change from greedy ones, so that chance does not count as gain."
    )
    changes = "; ".join(
        f"{policies}: {', '.join(f'{name} {cell}' for name, cell in zip(DIFFICULTIES, cells, strict=True))}"
        for policies, *cells in rows
    )
    return Part(
        Section("By difficulty", tables=[Grid(caption, ["policies", *DIFFICULTIES], rows)] if rows else []),
        f"Change of the greedy score on {suite} by difficulty: {changes}." if rows else "",
    )


def _change(before: Any, after: Any, seed: int) -> str:
    n = len(before)
    if n < _FEWEST:
        return f"n = {n}"
    changed = paired_bootstrap(before["greedy_correct"], after["greedy_correct"], seed=seed)
    return f"{interval(*changed, signed=True)}, n = {n}"


def _by_question(evaluation: Any, suite: str) -> Any:
    return evaluation[evaluation["suite"] == suite].set_index("question_id").sort_index()


def _at_k(frame: Any, k: int) -> Any:
    return frame["n_correct"].map(partial(pass_at_k, n_samples=int(frame["n"].iloc[0]), k=k))


SECTIONS: Mapping[str, Callable[["Sequence[Arm]", "Sequence[Pair]", str, int], Part]] = {
    "pass_at_k": _pass_at_k,
    "gap": _gap,
    "difficulty": _difficulty,
}
