"""One page about an experiment: the conclusion first, then the numbers, where they come from, and how it was made.

HTML and Markdown are two renderings of the same page. What a model or a user wrote is escaped in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from restem import suggestions
from restem.errors import EvaluationError
from restem.evaluation.best_policy import Recommendation
from restem.evaluation.comparisons import Comparison, compare, judge_together
from restem.evaluation.sentinels import NOT_SEEN, SHOWN, SUSPECTED
from restem.reporting.audit_section import audit_section
from restem.reporting.figures import Metrics
from restem.reporting.results import main_suite, readable, results_table
from restem.reporting.sections import (
    Grid,
    Page,
    Section,
    all_numbers,
    configuration_section,
    data_section,
    drawings_of,
    examples_section,
    first_ids,
    interval,
    lineage_section,
    measured,
    render,
    training_section,
    words,
)
from restem.reporting.table_sections import (
    Tables,
    breakdown_section,
    changed_questions_section,
    cost_section,
    sentinels_section,
)
from restem.spending import Measure
from restem.store.tables import Table


class Report(NamedTuple):
    """The page, twice, and its main table."""

    markdown: str
    html: str  # one file: styles and figures are inside
    table: Table  # as from results_table


@dataclass(frozen=True, kw_only=True)
class ReportInputs:
    """What a page shows; everything is by iteration, 0 being the base policy."""

    experiment: str
    metrics: Metrics  # from summarise_evaluation
    evaluations: Mapping[int, Table]
    filtering: Mapping[int, Mapping[str, Any]]  # the filtering_summary of every iteration from 1
    scoring: Mapping[int, Mapping[str, Any]]  # the scoring_summary of every iteration from 1
    records: Mapping[int, Mapping[str, Any]]  # where each policy came from: policy, parent, base, parameters ...
    examples: Sequence[Mapping[str, Any]] = ()  # iteration, question_id, question, completion, reason and kept of each
    training_logs: Mapping[int, Table] = field(default_factory=dict)  # from 1, with columns step and loss
    svgs: Mapping[str, str] = field(default_factory=dict)  # the figures of assemble.draw_figures by name
    marks: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)  # of readers, from summarise_marks
    tables: Tables = field(default_factory=Tables)  # of the catalog
    recommendation: Recommendation | None = None  # which iteration to keep
    seed: int = 0  # of the bootstrap
    taken: Sequence[Measure] = ()  # of what the experiment may take, over all its runs


def build_report(inputs: ReportInputs) -> Report:
    """Return the page about an experiment.

    Raises:
        EvaluationError: If the base policy or an iteration lacks its evaluation, or two cannot be compared.
    """
    suite = _main_suite(inputs.metrics, inputs.evaluations)
    table, records = results_table(inputs.metrics), inputs.records
    compared = _Compared.of(inputs.evaluations, suite=suite, seed=inputs.seed)
    sections = [
        _curves(suite, inputs.svgs),
        _numbers(table, inputs.metrics, compared),
        breakdown_section(inputs.tables.breakdown, suite=suite, svgs=inputs.svgs),
        changed_questions_section(inputs.tables.changed_questions, suite=suite),
        data_section(inputs.filtering, inputs.scoring, inputs.svgs),
        audit_section(records, inputs.marks),
        sentinels_section(records),
        training_section(inputs.training_logs, records, inputs.svgs),
        examples_section(inputs.examples),
        cost_section(inputs.tables.cost, inputs.taken),
        configuration_section(records),
        lineage_section(records),
    ]
    conclusions, kept = _conclusions(inputs.metrics, compared), _kept(inputs.recommendation)
    page = Page(
        experiment=inputs.experiment,
        model=_model(records),
        n_iterations=max(inputs.evaluations),
        summary=[*conclusions, *kept, *_warnings(records), *_alarms(records)],
        sections=[section for section in sections if any(section[1:])],
    )
    return Report(markdown=render("report.md.j2", page), html=render("report.html.j2", page), table=table)


class _Compared(NamedTuple):
    """The comparisons on the suite that carries the conclusion."""

    suite: str
    base: dict[int, Comparison]  # from the base policy, by iteration
    before: Comparison | None  # of the last iteration from the one before, where that is not the base policy

    @classmethod
    def of(cls, evaluations: Mapping[int, Table], *, suite: str, seed: int) -> "_Compared":
        last = max(evaluations)
        made = [i for i in sorted(evaluations) if i]
        alone = [compare(evaluations[0], evaluations[i], suite=suite, seed=seed) for i in made]
        base = dict(zip(made, judge_together(alone), strict=True))
        before = compare(evaluations[last - 1], evaluations[last], suite=suite, seed=seed) if last - 1 in base else None
        return cls(suite, base, before)


def _model(records: Mapping[int, Mapping[str, Any]]) -> str:
    return str(records[0].get("model", records[0]["base"])) if 0 in records else "the base policy"


def _main_suite(metrics: Metrics, evaluations: Mapping[int, Table]) -> str:
    if 0 not in evaluations:
        raise EvaluationError(f"the base policy has no evaluation; run: {suggestions.run('baseline')}")
    lone = sorted(set(metrics) ^ set(evaluations))
    if lone:
        raise EvaluationError(f"iterations {lone} lack their evaluation or their metrics; run those iterations again")
    return main_suite(metrics[0])


def _conclusions(metrics: Metrics, compared: _Compared) -> list[str]:
    suite, base, before = compared
    name = f"{suite}/pass_at_1"
    if not base:
        start = metrics[0][name]
        number = f"{measured(start)}, n = {start['n']} questions"
        return [f"Only the base policy has been measured: {suite} pass@1 {number}."]
    last = max(base)
    change, is_shown = base[last], base[last].conclusion in ("better", "worse")
    sentences = [
        f"Iteration {last} is {change.conclusion} than the base policy on {suite}."
        if is_shown
        else f"Iteration {last} against the base policy on {suite}: {change.conclusion}.",
        f"Sampled pass@1 went from {metrics[0][name]['value']:.3f} to {metrics[last][name]['value']:.3f}: "
        f"{interval(change.difference, change.low, change.high, signed=True)} over the same {change.n} questions.",
        f"Greedy pass@1 changed by {change.greedy_difference:+.3f} (exact McNemar p = {change.p_value:.2g}): "
        f"{len(change.newly_solved)} questions newly solved, {len(change.newly_lost)} newly lost.",
    ]
    if before is not None:
        changed = interval(before.difference, before.low, before.high, signed=True)
        sentences.append(f"Against iteration {last - 1}: {before.conclusion}; sampled pass@1 {changed}.")
    return sentences


def _kept(recommendation: Recommendation | None) -> list[str]:
    if recommendation is None:
        return []
    i, reason = recommendation
    return [f"Keep {'the base policy' if i == 0 else f'iteration {i}'} (best_policy): {reason}."]


def _alarms(records: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Return a sentence per sentinel of the last iteration that saw something."""
    last = max(records, default=0)
    rows = records[last].get("sentinels", ()) if records else ()
    seen = [row for sign in (SHOWN, SUSPECTED) for row in rows if row["sign"] == sign]
    if rows and not seen and any(row["sign"] == NOT_SEEN for row in rows):
        quiet = [words(row["sentinel"]) for row in rows if row["sign"] == NOT_SEEN]
        return [f"Watched for and not seen in iteration {last}: {', '.join(quiet)}."]
    return [
        f"{words(row['sentinel']).capitalize()} is {row['sign']} in iteration {last}: {row['evidence']}."
        for row in seen
    ]


def _warnings(records: Mapping[int, Mapping[str, Any]]) -> list[str]:
    stale = [str(i) for i, record in sorted(records.items()) if record.get("stale")]
    warnings = []
    if stale:
        warnings.append(
            f"Stale: iteration {', '.join(stale)} was made from a policy that has since been made anew; run again."
        )
    if len({record["questions_digest"] for record in records.values()}) > 1:
        warnings.append("The iterations were not made with the same questions; see Lineage.")
    opinions = {name: whose for record in records.values() for name, whose in record.get("opinions", {}).items()}
    warnings += [f"No check but an opinion: the reward {name} is {whose}." for name, whose in opinions.items()]
    return warnings


def _curves(suite: str, svgs: Mapping[str, str]) -> Section:
    drawings = drawings_of(
        svgs,
        pass_at_1="pass@1 by iteration with 95 % intervals.",
        train_against_test="Questions trained on against questions held out.",
        pass_at_k=f"pass@k on {suite}: the base policy against each trained one.",
    )
    return Section("Results by iteration", drawings=drawings)


def _numbers(table: Table, metrics: Metrics, compared: _Compared) -> Section:
    suite, base, _ = compared
    header, rows = readable(table)
    tables = [Grid(f"On {suite}, with 95 % intervals; n in questions; iteration 0 is the base policy.", header, rows)]
    changed = [
        [
            str(i),
            interval(change.difference, change.low, change.high, signed=True),
            f"{change.greedy_difference:+.3f}",
            f"{change.p_value:.2g}",
            first_ids(change.newly_solved),
            first_ids(change.newly_lost),
            change.conclusion,
        ]
        for i, change in base.items()
    ]
    if changed:
        names = [
            "iteration",
            "pass@1",
            "greedy",
            "McNemar p",
            "newly solved, greedy",
            "newly lost, greedy",
            "conclusion",
        ]
        tables.append(
            Grid(f"Change from the base policy on {suite}, question by question.", names, changed, numbers=False)
        )
    tables.append(all_numbers(metrics))
    return Section("Numbers by iteration", tables=tables)
