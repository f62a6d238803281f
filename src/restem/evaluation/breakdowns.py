"""Where a policy is good: its numbers by level, by source, and by how hard the questions are for the base policy."""

from collections.abc import Mapping, Sequence

from restem.errors import EvaluationError, first_few
from restem.evaluation.metrics import pass_at_k_curve, summarise_evaluation
from restem.store.tables import Table

# By the base policy's share of correct samples. Source: Singh et al. 2023, figure 8, https://arxiv.org/abs/2312.06585.
# The base policy is sampled as all are (`evaluation.temperature`, 1.0 as in the paper). Since its own luck sorts the
# questions, its number is too low in the hardest bucket and too high in the easiest: compare the policies trained.
DIFFICULTIES = {"75-100 %": 0.75, "50-75 %": 0.5, "25-50 %": 0.25, "under 25 %": 0.0}
COLUMNS = ["iteration", "suite", "by", "group", "metric", "value", "low", "high", "n"]
_ONE_GROUP = 1  # a suite that is all of one level or source says nothing new


def break_down(evaluations: Mapping[int, Table], *, k: Sequence[int], seed: int) -> Table:
    """Return the numbers of every policy by suite and by level, source and difficulty, each with interval and n.

    Args:
        evaluations: The `evaluation` tables by iteration; 0, the base policy, says what is difficult.
        k: Of pass@k; those above a suite's samples per question are left out.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: If a policy was measured on questions that the base policy was not.
    """
    import pandas as pd

    base = evaluations[0]
    rates = pd.Series((base["n_correct"] / base["n"]).to_numpy(), index=_names(base))
    rows = []
    for i, evaluation in evaluations.items():
        known = rates.reindex(_names(evaluation))
        if known.isna().any():
            lone = first_few(name for _, name in known.index[known.isna()])
            raise EvaluationError(f"iteration {i} was evaluated on questions that the base policy was not: {lone}")
        groups = evaluation.assign(difficulty=[difficulty(rate) for rate in known])
        for (suite, by), parts in _parts(groups).items():
            for group, part in parts.items():
                within = [size for size in k if size <= part["n"].min()]
                numbers = summarise_evaluation(part[list(evaluation.columns)], k=within, seed=seed)
                rows += [
                    {"iteration": i, "suite": suite, "by": by, "group": group, "metric": name.split("/")[1], **number}
                    for name, number in numbers.items()
                ]
    return pd.DataFrame(rows, columns=COLUMNS)


def pass_at_k_curves(evaluations: Mapping[int, Table], *, seed: int) -> Table:
    """Return pass@k of every policy and suite for every k: columns iteration, suite, k, value, low, high, n."""
    import pandas as pd

    curves = [
        pass_at_k_curve(rows, seed=seed).assign(iteration=i, suite=suite)
        for i, evaluation in evaluations.items()
        for suite, rows in evaluation.groupby("suite")
    ]
    return pd.concat(curves, ignore_index=True)[["iteration", "suite", "k", "value", "low", "high", "n"]]


def _names(evaluation: Table) -> "list[tuple[str, str]]":
    return list(zip(evaluation["suite"], evaluation["question_id"], strict=True))


def difficulty(rate: float) -> str:
    """Return how difficult a question is by the share of correct samples, a key of DIFFICULTIES."""
    return next(name for name, least in DIFFICULTIES.items() if rate >= least)


def _parts(evaluation: Table) -> "dict[tuple[str, str], dict[str, Table]]":
    """Return the groups of every suite; a level or source that the whole suite shares is no group."""
    parts: dict[tuple[str, str], dict[str, Table]] = {}
    for suite, rows in evaluation.groupby("suite"):
        for by in ("level", "source", "difficulty"):
            by_group = {str(group): part for group, part in rows.groupby(by)}
            if by == "difficulty":
                parts[str(suite), by] = {name: by_group[name] for name in DIFFICULTIES if name in by_group}
            elif len(by_group) > _ONE_GROUP:
                parts[str(suite), by] = by_group
    return parts
