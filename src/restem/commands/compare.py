"""`restem compare`: several seeds of an experiment together, and one experiment against another."""

from typing import TYPE_CHECKING, NamedTuple

import click

from restem import suggestions
from restem.commands.options import Where, of_project
from restem.errors import EvaluationError, ExperimentError, first_few
from restem.experiment import recorded_iterations
from restem.project import known_experiments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restem.evaluation.pooled_seeds import Combined
    from restem.store.tables import Table

_HEADER = ["policy", "n", "seeds", "pass@1 before", "pass@1 after", "change", "p", "conclusion"]


class _Measured(NamedTuple):
    """An experiment as far as it was measured."""

    name: str
    evaluations: "list[Table]"  # of policy_0, policy_1, ...
    parameters: dict[str, object]  # those that decide what it is, by dotted name
    seed: int  # of its own bootstrap, so that it is told the same here as in its report


@click.command()
@click.argument("experiments", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option("--against", multiple=True, metavar="EXPERIMENT", help="Compare with this one; repeat for its seeds.")
@click.option("--iteration", type=click.IntRange(min=0), default=None, help="Whose policies; the last by default.")
@click.option("--suite", default="test", show_default=True, help="On which questions.")
@of_project
def compare(
    experiments: tuple[str, ...], against: tuple[str, ...], iteration: int | None, suite: str, where: Where
) -> None:
    """Compare policies question by question, over all seeds.

    EXPERIMENTs may differ in their seeds only. Each iteration is compared with the base policy, question by question,
    over all seeds. With --against, the policies of one iteration are compared with those of other experiments.
    """
    twice = sorted({*experiments} & {*against})
    if twice:
        raise ExperimentError(f"{', '.join(twice)} cannot be compared with itself; name another one after --against")
    group = _measured(experiments, where)
    if against:
        compared = {_title(group, iteration): _across(group, _measured(against, where), iteration, suite)}
    else:
        compared = _within(group, iteration, suite)
    for line in _lines(compared):
        click.echo(line)


def _measured(names: "Sequence[str]", where: Where) -> list[_Measured]:
    """Return experiments that differ in nothing but their seeds.

    Raises:
        ExperimentError: If one is not there or not measured, or they differ in more.
    """
    from restem.evaluation.pooled_seeds import differing

    group = [_load(name, where) for name in names]
    others = differing({run.name: run.parameters for run in group})
    if others:
        shown = "; ".join(f"{name} is {' or '.join(map(str, values))}" for name, values in others.items())
        raise ExperimentError(
            f"{', '.join(names)} differ in more than their seeds: {shown}. Compare them with each other instead: "
            f"{suggestions.restem('compare', names[0], '--against', names[-1], of='project')}"
        )
    repeated = len(group) - len({run.parameters["em.seed"] for run in group})
    if repeated:
        raise ExperimentError(f"{', '.join(names)}: two have the same em.seed, so that they are one experiment twice")
    return group


def _load(name: str, where: Where) -> _Measured:
    from restem.configuration.check import check_parameters
    from restem.configuration.consistency import deciding_as_asked

    with where._replace(experiment=name).open() as (catalog, parameters, _):
        known = known_experiments(catalog, parameters)
        if name not in known:
            raise ExperimentError(f"there is no experiment {name!r}; there are: {', '.join(known) or 'none'}")
        evaluations: list[Table] = [catalog.load(f"evaluation_{i}") for i in recorded_iterations(catalog)]
        if not evaluations:
            raise EvaluationError(f"experiment {name!r} has no evaluation: {suggestions.run('baseline')}")
        recorded = check_parameters(catalog.load(f"record_{len(evaluations) - 1}")["parameters"])
    return _Measured(name, evaluations, deciding_as_asked(recorded), recorded.em.seed)


def _within(group: list[_Measured], iteration: int | None, suite: str) -> "dict[str, Combined]":
    from restem.evaluation.pooled_seeds import combine_pairs

    last = min(len(run.evaluations) for run in group) - 1
    chosen = range(1, last + 1) if iteration is None else [iteration]
    if not chosen:
        raise EvaluationError(f"{_short(group)}: only the base policy was measured, so there is nothing to compare")
    return {
        f"iteration {i} against the base policy": combine_pairs(
            _policies(group, 0), _policies(group, i), suite=suite, seed=group[0].seed
        )
        for i in chosen
    }


def _across(group: list[_Measured], others: list[_Measured], iteration: int | None, suite: str) -> "Combined":
    from restem.evaluation.pooled_seeds import combine_groups

    return combine_groups(_policies(others, iteration), _policies(group, iteration), suite=suite, seed=group[0].seed)


def _policies(group: list[_Measured], iteration: int | None) -> "list[Table]":
    """Return the evaluations of one iteration of every experiment; of the last one that all have, if none is named."""
    shared = min(len(run.evaluations) for run in group) - 1
    wanted = shared if iteration is None else iteration
    for run in group:
        if wanted >= len(run.evaluations):
            raise EvaluationError(
                f"iteration {wanted} of experiment {run.name!r} has no evaluation; the last that has one is "
                f"{len(run.evaluations) - 1}"
            )
    return [run.evaluations[wanted] for run in group]


def _title(group: list[_Measured], iteration: int | None) -> str:
    wanted = min(len(run.evaluations) for run in group) - 1 if iteration is None else iteration
    return f"{_short(group)}, iteration {wanted}"


def _short(group: list[_Measured]) -> str:
    return first_few(run.name for run in group)


def _lines(compared: "dict[str, Combined]") -> list[str]:
    from restem.evaluation.comparisons import judge_together
    from restem.reporting.results import aligned
    from restem.reporting.sections import interval

    rows = [
        [
            title,
            str(comparison.n),
            str(comparison.n_seeds)
            if comparison.n_seeds == comparison.n_seeds_before
            else f"{comparison.n_seeds_before}, {comparison.n_seeds}",
            f"{comparison.before:.3f}",
            f"{comparison.after:.3f}",
            interval(comparison.difference, comparison.low, comparison.high, signed=True),
            f"{comparison.holm_p_value:.2g}",
            comparison.conclusion,
        ]
        for title, comparison in zip(compared, judge_together([*compared.values()]), strict=True)
    ]
    lines = aligned(_HEADER, rows)
    several = max(comparison.n_seeds for comparison in compared.values()) > 1
    over = "questions and seeds" if several else "questions; one seed says nothing about another"
    return [*lines, f"95 % intervals over {over}; p adjusted by Holm for the rows shown."]
