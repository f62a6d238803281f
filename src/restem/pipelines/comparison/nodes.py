"""Nodes of comparison."""

from restem import breakdowns, comparisons, history
from restem.parameters import EmParameters, EvaluationParameters
from restem.tables import Table


def compare_policies(em: EmParameters, **evaluations: Table) -> Table:
    """Return what changed for every policy and suite, against the base policy and against the one before."""
    return comparisons.compare_all(list(history.by_iteration(evaluations, "evaluation").values()), seed=em.seed)


def break_down_results(em: EmParameters, parameters: EvaluationParameters, **evaluations: Table) -> tuple[Table, Table]:
    """Return the numbers by level, source and difficulty, and pass@k of every policy for every k."""
    by_iteration = history.by_iteration(evaluations, "evaluation")
    return (
        breakdowns.break_down(by_iteration, k=parameters.k, seed=em.seed),
        breakdowns.pass_at_k_curves(by_iteration, seed=em.seed),
    )
