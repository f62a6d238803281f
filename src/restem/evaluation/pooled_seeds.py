"""Several seeds of one experiment taken together: how much the questions matter, and how much the seed does.

A difference is resampled over questions and over seeds at once. Source: Owen 2007, The pigeonhole bootstrap,
https://doi.org/10.1214/07-AOAS122. Deviation: it counts the chance of single samples three times and that of few seeds
too little, so its distribution is scaled to the unbiased variance (of the two-way random effects, Searle et al. 1992,
https://doi.org/10.1002/9780470316856, chapter 4) and widened as Student's t is, with the degrees of freedom of
Satterthwaite 1946, https://doi.org/10.2307/3002019.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from restem.errors import EvaluationError
from restem.evaluation.comparisons import same_questions, say, smallest_detectable
from restem.evaluation.intervals import ALPHA, RESAMPLES, Z_95, PairedDifference, paired_bootstrap, sign_flip_test
from restem.store.tables import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rates = NDArray[np.float64]  # (seeds, questions)

SEEDS = frozenset({"em.seed", "training.seed"})  # what experiments of one configuration may differ in


class Combined(NamedTuple):
    """What changed from some policies to others, made with several seeds each, on the questions of one suite."""

    suite: str
    n: int  # questions
    n_seeds_before: int
    n_seeds: int
    before: float  # sampled pass@1, mean over seeds and questions
    after: float
    difference: float
    low: float
    high: float
    smallest_detectable: float
    conclusion: str
    sampled_p_value: float  # two-sided, of the difference; from the same distribution as the interval
    holm_p_value: float  # the same, adjusted for all comparisons that are looked at together


def combine_pairs(before: Sequence[Table], after: Sequence[Table], *, suite: str, seed: int) -> Combined:
    """Return what changed within experiments that differ only in their seed, as from base policy to iteration.

    Args:
        before: The `evaluation` table of each experiment.
        after: Of the same experiments in the same order.
        suite: Which questions.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: If they were not all measured on the same questions in the same way.
    """
    first, second = _rates([*before, *after], suite, n_first=len(before))
    return combine_rates(first, second, [second - first], suite=suite, seed=seed)


def combine_groups(before: Sequence[Table], after: Sequence[Table], *, suite: str, seed: int) -> Combined:
    """Return what the policies of one group of experiments do better than those of another.

    Questions are the same, seeds are not: each group's are resampled by themselves.

    Args:
        before: An `evaluation` table per seed of the group that is compared with.
        after: The same for the other group; the two need not have equally many seeds.
        suite: Which questions.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: If they were not all measured on the same questions in the same way.
    """
    first, second = _rates([*before, *after], suite, n_first=len(before))
    return combine_rates(first, second, [second, -first], suite=suite, seed=seed)


def _rates(evaluations: Sequence[Table], suite: str, *, n_first: int) -> "tuple[Rates, Rates]":
    import numpy as np

    aligned = [same_questions(evaluations[0], evaluation, suite)[1] for evaluation in evaluations]
    rates = np.stack([(rows["n_correct"] / rows["n"]).to_numpy() for rows in aligned])
    return rates[:n_first], rates[n_first:]


def combine_rates(before: "Rates", after: "Rates", parts: "Sequence[Rates]", *, suite: str, seed: int) -> Combined:
    """Return the comparison of rates of correct samples `(seeds, questions)`.

    Args:
        before: Of the policies that are compared with.
        after: Of the others.
        parts: What the difference is the sum of the means of; each has seeds of its own.
        suite: What the questions are called.
        seed: Of the bootstrap.
    """
    import numpy as np

    change = sum(part.mean(axis=0) for part in parts)
    difference = float(np.mean(change))
    error, freedom = _standard_error(parts)
    if all(len(part) == 1 for part in parts):  # then it is the comparison of two policies, and says what that says
        sampled = paired_bootstrap(before[0], after[0], seed=seed)
        p_value = sign_flip_test(before[0], after[0], seed=seed)
    else:
        sampled, p_value = _over_seeds(parts, difference, error=error, freedom=freedom, seed=seed)
    n = after.shape[1]
    detectable = smallest_detectable(np.asarray(change), error=error, freedom=freedom)
    n_different = int(np.count_nonzero(change))
    return Combined(
        suite=suite,
        n=n,
        n_seeds_before=len(before),
        n_seeds=len(after),
        before=float(before.mean()),
        after=float(after.mean()),
        **sampled._asdict(),
        smallest_detectable=detectable,
        conclusion=say(sampled, n=n, n_different=n_different, detectable=detectable),
        sampled_p_value=p_value,
        holm_p_value=p_value,
    )


def _over_seeds(
    parts: "Sequence[Rates]", difference: float, *, error: float, freedom: float, seed: int
) -> tuple[PairedDifference, float]:
    """Return a difference with its interval over questions and seeds, and its p-value."""
    import numpy as np
    from scipy.special import stdtr, stdtrit

    if not error:
        return PairedDifference(difference, difference, difference), float(difference == 0)
    drawn = _resampled(parts, np.random.default_rng(seed))
    scale = float(stdtrit(freedom, 1 - ALPHA / 2)) / Z_95 * error / float(drawn.std())
    low, high = (difference + scale * (float(np.quantile(drawn, at)) - difference) for at in (ALPHA / 2, 1 - ALPHA / 2))
    return PairedDifference(difference, low, high), 2 * float(stdtr(freedom, -abs(difference) / error))


def _resampled(parts: "Sequence[Rates]", random: "np.random.Generator") -> "Rates":
    """Return the differences `(RESAMPLES,)` over questions and seeds drawn with replacement."""
    import numpy as np

    n = parts[0].shape[1]
    drawn = np.zeros(RESAMPLES)
    rows = max(1, 2**22 // n)
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        questions = random.multinomial(n, np.full(n, 1 / n), size=size) / n
        for part in parts:
            n_seeds = len(part)
            seeds = random.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=size) / n_seeds
            drawn[start : start + size] += np.einsum("bs,bs->b", seeds, questions @ part.T)
    return drawn


def _standard_error(parts: "Sequence[Rates]") -> tuple[float, float]:
    """Return the standard error of the difference, and its degrees of freedom."""
    import numpy as np

    n = parts[0].shape[1]
    if n < 2:  # noqa: PLR2004 - one question has no variance
        raise EvaluationError("seeds cannot be combined over a single question; evaluate on more")
    of_questions = float(np.var(sum(part.mean(axis=0) for part in parts), ddof=1)) / n
    components = [(of_questions, n - 1)]
    for part in parts:
        n_seeds = len(part)
        if n_seeds > 1:
            means = part.mean(axis=1)
            rest = part - part.mean(axis=0) - means[:, None] + part.mean()
            noise = float((rest**2).sum()) / ((n_seeds - 1) * (n - 1))
            components.append((max(0.0, float(means.var(ddof=1)) / n_seeds - noise / (n_seeds * n)), n_seeds - 1))
    total = sum(variance for variance, _ in components)
    if not total:
        return 0.0, n - 1
    freedom = total**2 / math.fsum(variance**2 / degrees for variance, degrees in components)
    return math.sqrt(total), freedom


def differing(parameters: Mapping[str, Mapping[str, object]]) -> dict[str, list[object]]:
    """Return the parameters in which experiments differ, each with its values, seeds apart.

    Args:
        parameters: By experiment, by dotted name.
    """
    names = list(dict.fromkeys(name for values in parameters.values() for name in values))
    values_of = {
        name: list({repr(values.get(name)): values.get(name) for values in parameters.values()}.values())
        for name in names
    }
    return {name: values for name, values in values_of.items() if len(values) > 1 and name not in SEEDS}
