"""Nodes of comparison."""

from typing import Any

from restem.evaluation import best_policy, breakdowns, comparisons, solved_and_lost
from restem.parameters import EmParameters, EvaluationParameters
from restem.planning import cost
from restem.policies.policy import Policy
from restem.reporting import assemble
from restem.reporting.results import main_suite
from restem.store.tables import Table


def compare_policies(em: EmParameters, **evaluations: Table) -> Table:
    """Return what changed for every policy and suite, against the base policy and against the one before."""
    return comparisons.compare_all(list(assemble.by_iteration(evaluations, "evaluation").values()), seed=em.seed)


def choose_best_policy(**datasets: Any) -> tuple[Policy, Table]:
    """Return the policy to keep, chosen by validation questions, and what every iteration's sentinels said."""
    records = assemble.by_iteration(datasets, "record")
    best = best_policy.recommend(records).iteration
    return assemble.by_iteration(datasets, "policy")[best], assemble.sentinels_of(records)


def name_changed_questions(questions: Table, **answers: Table) -> Table:
    """Return the questions that each policy newly solves or loses, with what was answered before and after."""
    return solved_and_lost.changed_questions(assemble.by_iteration(answers, "greedy_answers"), questions)


def tabulate_cost(em: EmParameters, node_seconds: dict[str, float], **datasets: Any) -> Table:
    """Return what every iteration cost, and what it gained for that."""
    records, evaluations = (assemble.by_iteration(datasets, name) for name in ("record", "evaluation"))
    suite = main_suite(records[0]["metrics"])
    return cost.cost_table(records, evaluations, node_seconds, suite=suite, seed=em.seed)


def break_down_results(em: EmParameters, parameters: EvaluationParameters, **evaluations: Table) -> tuple[Table, Table]:
    """Return the numbers by level, source and difficulty, and pass@k of every policy for every k."""
    by_iteration = assemble.by_iteration(evaluations, "evaluation")
    return (
        breakdowns.break_down(by_iteration, k=parameters.k, seed=em.seed),
        breakdowns.pass_at_k_curves(by_iteration, seed=em.seed),
    )
