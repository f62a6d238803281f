"""The parts of the report that are made from tables of the catalog: difficulty, changes, sentinels and cost."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from restem import suggestions
from restem.evaluation.breakdowns import DIFFICULTIES
from restem.evaluation.metrics import Measured
from restem.evaluation.solved_and_lost import LOST, SOLVED
from restem.reporting import figures
from restem.reporting.figures import Metrics
from restem.reporting.sections import (
    ABSENT,
    Grid,
    Link,
    Section,
    ShownSample,
    drawings_of,
    interval,
    readable_at,
    words,
)
from restem.spending import Measure, shown
from restem.store.tables import Table

_SHOWN_EACH = 5  # changed questions whose answers the page shows
_MOST_GROUPS = 30  # levels or sources; breakdown has them all
_MOST_CHARACTERS = 2_000  # of a question or a completion


class Tables(NamedTuple):
    """Tables of the catalog that the page shows, where there are any."""

    breakdown: Table | None = None
    pass_at_k: Table | None = None
    changed_questions: Table | None = None
    cost: Table | None = None


def curves_of(pass_at_k: Table, *, suite: str) -> dict[str, dict[int, Measured]]:
    """Return pass@k on a suite by k, by what a policy is called."""
    rows = pass_at_k[pass_at_k["suite"] == suite]
    iterations = [int(i) for i in rows["iteration"].unique()]
    return {
        figures.policy_label(i): {int(row["k"]): _measured(row) for row in _records(rows[rows["iteration"] == i])}
        for i in iterations
    }


def difficulty_metrics(breakdown: Table, *, suite: str) -> Metrics:
    """Return sampled pass@1 on a suite by iteration and difficulty."""
    rows = _rows(breakdown, suite, "difficulty")
    iterations = [int(i) for i in rows["iteration"].unique()]
    return {i: {row["group"]: _measured(row) for row in _records(rows[rows["iteration"] == i])} for i in iterations}


def breakdown_section(breakdown: Table | None, *, suite: str, svgs: Mapping[str, str]) -> Section:
    """Return sampled pass@1 by difficulty, level and source."""
    title = "Difficulty, level and source"
    if breakdown is None or breakdown.empty:
        return Section(title)
    tables = [_groups(_rows(breakdown, suite, by), by, suite) for by in ("difficulty", "level", "source")]
    caption = f"pass@1 on {suite} by the base policy's share of correct samples, with 95 % intervals."
    drawn = drawings_of(svgs, difficulty=caption) if len(_rows(breakdown, suite, "difficulty")) else []
    text = (
        "The base policy's own luck sorts the questions by difficulty: its number is too low in the hardest group and "
        "too high in the easiest. Compare the trained policies there."
    )
    return Section(title, text=[text], tables=[table for table in tables if table.rows], drawings=drawn)


def _records(table: Table) -> list[dict[str, Any]]:
    rows: list[Any] = table.to_dict("records")
    return rows


def _rows(breakdown: Table, suite: str, by: str) -> Table:
    chosen = (breakdown["suite"] == suite) & (breakdown["by"] == by) & (breakdown["metric"] == "pass_at_1")
    return breakdown[chosen]


def _groups(rows: Table, by: str, suite: str) -> Grid:
    iterations = sorted(set(rows["iteration"]))
    groups = list(dict.fromkeys(rows["group"]))
    if by == "difficulty":
        groups = [name for name in DIFFICULTIES if name in groups]
    cells = {(row["iteration"], row["group"]): row for row in _records(rows)}
    shown = []
    for group in groups[:_MOST_GROUPS]:
        of_group = [cells.get((i, group)) for i in iterations]
        n = next(row["n"] for row in of_group if row)
        numbers = [interval(row["value"], row["low"], row["high"]) if row else ABSENT for row in of_group]
        shown.append([str(group) or "none", str(int(n)), *numbers])
    more = f" The first {_MOST_GROUPS} of {len(groups)}; breakdown.csv has all." if len(groups) > _MOST_GROUPS else ""
    header = [by, "n", *(figures.policy_label(int(i)) for i in iterations)]
    return Grid(f"Sampled pass@1 on {suite} by {by}, with 95 % intervals.{more}", header, shown)


def changed_questions_section(changed: Table | None, *, suite: str) -> Section:
    """Return what the last policy newly solves and loses, with the answers of the base policy and its own."""
    title = "Newly solved and newly lost"
    if changed is None or changed.empty:
        return Section(title)
    last = int(changed["iteration"].max())
    rows = changed[(changed["iteration"] == last) & (changed["suite"] == suite)]
    shown = [row for change in (SOLVED, LOST) for row in _records(rows[rows["change"] == change].head(_SHOWN_EACH))]
    counts = ", ".join(f"{int((rows['change'] == change).sum())} {change}" for change in (SOLVED, LOST))
    text = (
        f"Greedy answers of iteration {last} against those of the base policy on {suite}: {counts}. All of them are in "
        f"changed_questions; {suggestions.restem('trace', 'QUESTION_ID', on_page=True)} shows a question's whole way. "
        f"{readable_at()}"
    )
    table = Grid(
        f"The first {_SHOWN_EACH} of each.",
        ["question", "change", "gold", "before", "after"],
        [
            [Link(row["question_id"], _anchor(row)), row["change"], row["gold"], *map(_answer, _answers(row))]
            for row in shown
        ],
        numbers=False,
    )
    return Section(title, text=[text], tables=[table] if shown else [], examples=[_example(row, last) for row in shown])


def _answers(row: Mapping[str, Any]) -> Sequence[Any]:
    return row["answer_before"], row["answer_after"]


def _answer(answer: Any) -> str:
    missing = answer is None or (isinstance(answer, float) and math.isnan(answer))
    return "no answer" if missing else str(answer)


def _anchor(row: Mapping[str, Any]) -> str:
    # Only what may stand in an id of HTML and a fragment of a URL.
    return "sample-" + "".join(character if character.isalnum() else "-" for character in str(row["question_id"]))


def _example(row: Mapping[str, Any], iteration: int) -> ShownSample:
    after = f"Base policy:\n{_cut(row['before'])}\n\nIteration {iteration}:\n{_cut(row['after'])}"
    return ShownSample(
        heading=f"{row['change'].capitalize()}: question {row['question_id']}, gold {row['gold'] or 'is a test'}",
        question=_cut(row["question"]),
        completion=after,
        anchor=_anchor(row),
        page=suggestions.page_of(str(row["question_id"])),
    )


def _cut(text: Any) -> str:
    whole = str(text).strip()
    return whole if len(whole) <= _MOST_CHARACTERS else f"{whole[:_MOST_CHARACTERS]} ... ({len(whole):,} characters)"


def sentinels_section(records: Mapping[int, Mapping[str, Any]]) -> Section:
    """Return what was watched for, what was seen, and the evidence."""
    rows = [
        [str(i), words(row["sentinel"]), row["sign"], row["evidence"]]
        for i, record in sorted(records.items())
        for row in record.get("sentinels", ())
    ]
    if not rows:
        return Section("Sentinels")
    caption = "Shown: the intervals leave no room for chance. Suspected: the numbers point that way."
    return Section("Sentinels", tables=[Grid(caption, ["iteration", "sentinel", "sign", "evidence"], rows, False)])


def cost_section(cost: Table | None, taken: Sequence[Measure] = ()) -> Section:
    """Return tokens, operations, time and gain by iteration, and what all runs took of what they may."""
    of_all = [_taken_grid(taken)] if taken else []
    if cost is None or cost.empty:
        return Section("Cost", tables=of_all)
    columns = {
        "tokens sampled": ("tokens_sampled", "{:,.0f}"),
        "tokens trained": ("tokens_trained", "{:,.0f}"),
        "tokens evaluated": ("tokens_evaluated", "{:,.0f}"),
        "FLOPs sampling": ("flops_sampling", "{:.2g}"),
        "FLOPs training": ("flops_training", "{:.2g}"),
        "FLOPs evaluation": ("flops_evaluation", "{:.2g}"),
        "accepted per 1,000 tokens": ("accepted_per_1000_tokens", "{:.2f}"),
    }
    seconds = [name for name in cost.columns if name.startswith("seconds_")]
    times = {name.removeprefix("seconds_"): (name, "{:,.0f}") for name in seconds} | {"all": ("seconds", "{:,.0f}")}
    tables = [
        _cost_grid(
            "Tokens and floating-point operations: 2 per parameter and token read or drawn, 6 trained.", cost, columns
        ),
        _cost_grid("Seconds by stage: wall clock of the longest run of each node.", cost, times),
        Grid(
            "Gain of sampled pass@1 from the policy before, and per hour of the iteration.",
            ["iteration", "gain", "gain per hour"],
            [_gain(row) for row in _records(cost) if row["iteration"]],
        ),
    ]
    return Section("Cost", tables=[*(table for table in tables if table.rows), *of_all])


def _taken_grid(taken: Sequence[Measure]) -> Grid:
    caption = "What all runs took until this page was written, what was begun and lost to a kill included."
    rows = [[each.name, shown(each.taken), ABSENT if each.limit is None else shown(each.limit)] for each in taken]
    return Grid(caption, ["", "taken", "limits.budget"], rows)


def _cost_grid(caption: str, cost: Table, columns: Mapping[str, tuple[str, str]]) -> Grid:
    known = {title: of for title, of in columns.items() if of[0] in cost.columns}
    rows = [
        [str(int(row["iteration"])), *(_number(row[name], form) for name, form in known.values())]
        for row in _records(cost)
    ]
    return Grid(caption, ["iteration", *known], rows if known else [])


def _gain(row: Mapping[str, Any]) -> list[str]:
    gain = interval(row["gain"], row["gain_low"], row["gain_high"], signed=True)
    return [str(int(row["iteration"])), gain, _number(row.get("gain_per_hour", math.nan), "{:+.2f}")]


def _number(value: float, form: str) -> str:
    return ABSENT if value is None or math.isnan(value) else form.format(value)


def _measured(row: Mapping[str, Any]) -> Measured:
    return Measured(value=row["value"], low=row["low"], high=row["high"], n=int(row["n"]))
