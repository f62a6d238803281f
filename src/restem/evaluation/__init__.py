"""How good a policy is, how sure that is, and whether another one is better."""

from restem.evaluation.comparisons import compare
from restem.evaluation.intervals import mcnemar, paired_bootstrap, wilson_interval
from restem.evaluation.metrics import evaluate_policy, majority_vote, pass_at_k, summarise_evaluation

__all__ = [
    "compare",
    "evaluate_policy",
    "majority_vote",
    "mcnemar",
    "paired_bootstrap",
    "pass_at_k",
    "summarise_evaluation",
    "wilson_interval",
]
