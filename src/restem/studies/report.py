"""One page about a study: which experiments differ, and in what; which are missing; what the study does not show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from restem import suggestions
from restem.errors import EvaluationError, StudyError
from restem.evaluation.comparisons import NOT_SHOWN, SHOWN, compare, judge_together
from restem.reporting import figures
from restem.reporting.sections import ABSENT, Grid, Page, Section, drawing, interval, measured, render, words
from restem.schemas import OWN_SUITES
from restem.studies.arms import Arm, Made, Pair, Shared
from restem.studies.sections import SECTIONS
from restem.studies.study import BASE, Study


class StudyReport(NamedTuple):
    """The page, twice."""

    markdown: str
    html: str


def build_study_report(
    study: Study, made: Sequence[Made], *, missing: Mapping[str, str], shared: Shared, seed: int
) -> StudyReport:
    """Return the page about a study.

    Args:
        study: The study.
        made: Its experiments that are complete, in order.
        missing: The others: what each lacks.
        shared: What they have in common.
        seed: Of the bootstrap.

    Raises:
        StudyError: If no experiment is complete, or they were not measured on the same questions.
    """
    if not made:
        raise StudyError(f"study {study.name!r} has no complete experiment; first: {_go_on(study)}")
    arms = list(_arms(study, made))
    suites = _suites(arms)
    pairs = {suite: _pairs(study, made, arms, suite=suite, seed=seed) for suite in suites}
    parts = [SECTIONS[name](arms, pairs[suites[0]], suites[0], seed) for name in study.sections]
    sections = [
        _experiments(made, missing),
        _results(arms, suites),
        _differences(pairs),
        *(part.section for part in parts),
        _scope(study, arms, shared),
    ]
    shown = [suites[0], *(suite for suite in suites if "transfer" in study.needs and suite not in OWN_SUITES)]
    conclusions = [*(_conclusion(study, pairs[suite], suite) for suite in shown), *(part.conclusion for part in parts)]
    page = Page(
        experiment=study.title,
        model=str(made[0].records[0].get("model", made[0].records[0]["base"])),
        n_iterations=max(arm.iteration for arm in arms),
        summary=[study.question, *dict.fromkeys(filter(None, conclusions)), *_missing(study, missing)],
        sections=[section for section in sections if any(section[1:])],
    )
    return StudyReport(markdown=render("study.md.j2", page), html=render("study.html.j2", page))


def _arms(study: Study, made: Sequence[Made]) -> Iterator[Arm]:
    first = made[0]
    yield Arm("", 0, first.records[0], first.evaluations[0], is_only=True)
    for entry in made:
        last = max(entry.records)
        chosen = range(1, last + 1) if study.iterations == "all" else [last]
        for i in chosen:
            yield Arm(entry.name, i, entry.records[i], entry.evaluations[i], is_only=len(chosen) == 1)


def _suites(arms: Sequence[Arm]) -> list[str]:
    there = set.intersection(*(set(arm.evaluation["suite"]) for arm in arms))
    return [suite for suite in OWN_SUITES if suite in there] + sorted(there - set(OWN_SUITES))


def _pairs(study: Study, made: Sequence[Made], arms: Sequence[Arm], *, suite: str, seed: int) -> list[Pair]:
    """Return every policy against the study's reference; a policy that is the reference itself is left out."""
    pairs: list[Pair] = []
    for arm in arms:
        reference = _reference(study, made, arms, arm)
        if reference is None or not arm.experiment or arm.record["policy"] == reference.record["policy"]:
            continue
        try:
            compared = compare(reference.evaluation, arm.evaluation, suite=suite, seed=seed)
        except EvaluationError as error:
            raise StudyError(f"study {study.name!r}: {reference.label} and {arm.label}: {error}") from error
        pairs.append(Pair(arm, reference, compared))
    judged = judge_together([pair.comparison for pair in pairs])
    return [pair._replace(comparison=comparison) for pair, comparison in zip(pairs, judged, strict=True)]


def _reference(study: Study, made: Sequence[Made], arms: Sequence[Arm], arm: Arm) -> Arm | None:
    """Return what a policy is compared with: of the reference's, that of the same iteration, or the last."""
    if study.against == BASE:
        own = next((entry for entry in made if entry.name == arm.experiment), made[0])
        return Arm("", 0, own.records[0], own.evaluations[0], is_only=True)
    of_reference = {other.iteration: other for other in arms if other.experiment == study.against}
    return of_reference.get(arm.iteration) or (of_reference[max(of_reference)] if of_reference else None)


def _conclusion(study: Study, pairs: Sequence[Pair], suite: str) -> str:
    if not pairs:
        return "There is nothing to compare: no policy here is another than the one that it would be compared with."
    against = "the base policy" if study.against == BASE else study.against
    by_conclusion: dict[str, list[str]] = {conclusion: [] for conclusion in (*SHOWN, NOT_SHOWN)}
    for pair in pairs:
        change = pair.comparison
        conclusion = change.conclusion if change.conclusion in SHOWN else NOT_SHOWN
        by_conclusion[conclusion].append(
            f"{pair.arm.label} ({interval(change.difference, change.low, change.high, signed=True)})"
        )
    parts = "; ".join(f"{conclusion}: {', '.join(labels)}" for conclusion, labels in by_conclusion.items() if labels)
    n = pairs[0].comparison.n
    return f"Sampled pass@1 on {suite} against {against}, over the same {n} questions: {parts}."


def _go_on(study: Study) -> str:
    return suggestions.restem("study", "run", study.name, of="study", on_page=True)


def _missing(study: Study, missing: Mapping[str, str]) -> Iterator[str]:
    if missing:
        listed = "; ".join(f"{name}: {what}" for name, what in missing.items())
        yield f"Missing, so not on this page: {listed}. Go on with: {_go_on(study)}"


def _experiments(made: Sequence[Made], missing: Mapping[str, str]) -> Section:
    rows = []
    for entry in made:
        of = [entry.records[i] for i in sorted(entry.records) if i]
        sums = [sum(record["filtering"][key] for record in of) for key in ("n_samples", "n_correct")]
        trained = ", ".join(str(record["training"]["n_examples"]) for record in of)
        rows.append([entry.name, entry.differences, str(len(of)), *(f"{number:,}" for number in sums), trained])
    rows += [[name, f"missing: {what}", *[ABSENT] * 4] for name, what in missing.items()]
    header = ["experiment", "differs from the base in", "iterations", "samples", "correct", "trained on"]
    caption = "The experiments; samples and correct ones over all iterations, training examples of each."
    return Section("Experiments", tables=[Grid(caption, header, rows, numbers=False)])


def _results(arms: Sequence[Arm], suites: Sequence[str]) -> Section:
    tables = []
    for suite in suites:
        largest = max(figures.pass_at_k_of(arms[0].numbers, suite=suite), default=1)
        majority = [name.partition("/")[2] for name in arms[0].numbers if name.startswith(f"{suite}/maj_at_")]
        names = ["pass_at_1", "greedy_pass_at_1", f"pass_at_{largest}", *majority]
        rows = [[arm.label, *(measured(arm.numbers.get(f"{suite}/{name}")) for name in names)] for arm in arms]
        n = arms[0].numbers[f"{suite}/pass_at_1"]["n"]
        caption = f"On {suite}, {n} questions, with 95 % intervals."
        tables.append(Grid(caption, ["policy", *map(words, names)], rows))
    points = {arm.label: arm.numbers[f"{suites[0]}/pass_at_1"] for arm in arms}
    title = f"Sampled pass@1 on {suites[0]}"
    drawings = [drawing("pass-at-1", f"{title}, with 95 % intervals.", figures.side_by_side(points, title=title))]
    return Section("Results", tables=tables, drawings=drawings)


def _differences(pairs: Mapping[str, Sequence[Pair]]) -> Section:
    tables = []
    for suite, of_suite in pairs.items():
        rows = [
            [
                f"{arm.label} against {reference.label}",
                interval(change.difference, change.low, change.high, signed=True),
                f"{change.sampled_p_value:.2g}",
                f"{change.holm_p_value:.2g}",
                f"{change.greedy_difference:+.3f}",
                f"{change.p_value:.2g}",
                str(len(change.newly_solved)),
                str(len(change.newly_lost)),
                change.conclusion,
            ]
            for arm, reference, change in of_suite
        ]
        if rows:
            caption = (
                f"On {suite}, question by question. p: sign-flip test of the sampled pass@1, and adjusted for all "
                "rows of the table by Holm's method; greedy: its change, by the exact McNemar test."
            )
            header = ["policies", "pass@1", "p", "p, Holm", "greedy", "p, greedy", "newly solved", "lost", "conclusion"]
            tables.append(Grid(caption, header, rows, numbers=False))
    return Section("Differences", tables=tables)


def _scope(study: Study, arms: Sequence[Arm], shared: Shared) -> Section:
    seeds = sorted({str(arm.record["parameters"]["em"]["seed"]) for arm in arms})
    text = [
        f"One training each, with seed {', '.join(seeds)}: intervals say how much the questions matter, not how much "
        "another seed of sampling and training would.",
        f"The experiments hold {shared.n_samples:,} samples, of which {shared.n_drawn:,} were drawn and "
        f"{shared.n_samples - shared.n_drawn:,} shared, and {shared.n_policies} policies, of which {shared.n_trained} "
        "were trained.",
    ]
    source = [f"After: {study.source}."] if study.source else []
    caveat = [study.caveat] if study.caveat else []
    return Section("What this shows, and what not", text=[*caveat, *text, *source])
