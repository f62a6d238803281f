"""How sure a number is. Every interval is a 95 % interval.

A question is the unit of chance everywhere: samples of one question hang together, questions do not.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 10_000  # ours: the ends of an interval then move by about 1 % of its width from seed to seed
_VALUES_IN_MEMORY = 2**22  # of one chunk of resamples, 32 MiB
_COUNTS_IN_CACHE = 2**17  # of one chunk of counted resamples, 1 MiB
ALPHA = 0.05  # what the intervals leave out and tests risk, both sides together
_FEW = 6  # questions that differ from the others; ours: the interval of a few of them is then no narrower than of none
Z_95 = 1.959963984540054  # two-sided 5 % of a normal distribution


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def in_text(value: float, low: float, high: float, *, signed: bool = False) -> str:
    """Return a number with its interval as people read it: 0.412 [0.380, 0.445]."""
    sign = "+" if signed else ""
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


class McNemar(NamedTuple):
    """An exact test of two shares over the same questions."""

    p_value: float  # two-sided
    n_only_a: int  # questions that only a has
    n_only_b: int


class PairedDifference(NamedTuple):
    """mean(b) - mean(a) over the same questions, with its 95 % interval."""

    difference: float
    low: float
    high: float


def wilson_interval(n_success: float, n: float) -> Interval:
    """Return the 95 % score interval of a share.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.

    Raises:
        ValueError: If the counts are impossible.
    """
    if n < 1 or not 0 <= n_success <= n:
        raise ValueError(f"a share needs 0 <= n_success <= n and n >= 1, got n_success={n_success}, n={n}")
    share, square = n_success / n, Z_95**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if n_success == 0 else centre - half
    high = 1.0 if n_success == n else centre + half
    return Interval(low, high)


def share_interval(values: "ArrayLike", *, seed: int) -> Interval:
    """Return the interval of a mean over questions of values in [0, 1].

    Where nearly all questions have the same value, a bootstrap sees hardly any chance, and none where all have it.
    Nothing in [0, 1] varies more than 0 and 1 do: the score interval of a share of so many questions is a safe answer
    there. Between the two, it counts the questions for as many as their values vary less than zeros and ones would;
    that is believed the more, the more questions differ from the most common value. The wider interval counts.

    Args:
        values: One share per question.
        seed: Of the resampling.
    """
    import numpy as np

    shares = np.asarray(values, dtype=np.float64)
    return widened_for_few(bootstrap_interval(shares, seed=seed), shares)


def widened_for_few(interval: Interval, shares: "Floats") -> Interval:
    """Return a bootstrap interval of a mean of shares, at least as wide as `share_interval` says.

    Args:
        interval: Of their mean.
        shares: In [0, 1], one per question.
    """
    import numpy as np

    n, mean = len(shares), float(shares.mean())
    most_varied = mean * (1 - mean)  # the variance of zeros and ones with this mean
    n_other = n - int(np.unique(shares, return_counts=True)[1].max())
    seen = float(shares.var()) / most_varied if most_varied > 0 else 1.0
    believed = n_other**2 / (n_other**2 + _FEW**2)
    n_worth = n / (believed * seen + (1 - believed))
    low, high = wilson_interval(min(n_worth, mean * n_worth), n_worth)
    return Interval(min(interval.low, low), max(interval.high, high))


def mcnemar(a: "ArrayLike", b: "ArrayLike") -> McNemar:
    """Return the exact test that a and b solve equally many questions.

    Source: McNemar 1947, https://doi.org/10.1007/BF02295996, with the binomial in place of chi squared.

    Args:
        a: 0 or 1 per question.
        b: The same questions in the same order.

    Raises:
        ValueError: If they are not equally long, or hold anything but 0 and 1.
    """
    first, second = _paired(a, b)
    if not set(first) | set(second) <= {0.0, 1.0}:
        raise ValueError("mcnemar compares 0 and 1 per question; use paired_bootstrap for rates")
    n_only_a, n_only_b = int((first > second).sum()), int((second > first).sum())
    n = n_only_a + n_only_b
    term = tail = 1  # whole numbers: exact at every n
    for i in range(1, min(n_only_a, n_only_b) + 1):
        term = term * (n - i + 1) // i
        tail += term
    return McNemar(min(1.0, 2 * tail / 2**n), n_only_a, n_only_b)


def sign_flip_test(a: "ArrayLike", b: "ArrayLike", *, seed: int) -> float:
    """Return the two-sided p-value of a and b being equally good, for rates as well as for 0 and 1.

    If they are, every question's change is as likely as its opposite. Source: Fisher 1935, The Design of Experiments,
    section 21; with the observed change counted in, as Phipson and Smyth 2010, https://doi.org/10.2202/1544-6115.1585.

    Args:
        a: 0 or 1, or a rate in [0, 1], per question.
        b: The same questions in the same order.
        seed: Of the flips.

    Raises:
        ValueError: If they are not equally long, empty, or not finite.
    """
    import numpy as np

    first, second = _paired(a, b)
    change = second - first
    sizes, counts = np.unique(np.abs(change[change != 0]), return_counts=True)
    # How many of the equally large changes are upwards is all that a flip decides.
    n_up = np.random.default_rng(seed).binomial(counts, 0.5, size=(RESAMPLES, len(counts)))
    flipped = np.abs((2 * n_up - counts) @ sizes)
    at_least = int((flipped >= abs(change.sum()) * (1 - 1e-9)).sum())
    return (1 + at_least) / (1 + RESAMPLES)


def paired_bootstrap(a: "ArrayLike", b: "ArrayLike", *, seed: int) -> PairedDifference:
    """Return mean(b) - mean(a) with its interval over resampled questions.

    Source: the expanded percentile interval of Hesterberg 2015, https://doi.org/10.1080/00031305.2015.1089789.
    Deviation: the degrees of freedom count the questions that differ. Where few do, the plain interval
    leaves zero after 4 one-sided changes; this one, as the exact sign test, after 6.

    Args:
        a: 0 or 1, or a rate in [0, 1], per question.
        b: The same questions in the same order.
        seed: Of the resampling.

    Raises:
        ValueError: If they are not equally long, empty, or not finite.
    """
    import numpy as np

    first, second = _paired(a, b)
    change = second - first
    low, high = _expanded_interval(
        _resampled_means(change, np.random.default_rng(seed)), n_informative=int(np.count_nonzero(change))
    )
    return PairedDifference(float(change.mean()), low, high)


def bootstrap_interval(values: "ArrayLike", *, seed: int) -> Interval:
    """Return the interval of a mean over questions.

    Args:
        values: One number per question.
        seed: Of the resampling.

    Raises:
        ValueError: If there are none, or one is not finite.
    """
    import numpy as np

    checked = _finite(values)
    means = _resampled_means(checked, np.random.default_rng(seed))
    return _expanded_interval(means, n_informative=len(checked))


def bootstrap_intervals(values: "ArrayLike", *, seed: int) -> list[Interval]:
    """Return the intervals of the means of several numbers, all over the same resampled questions.

    Args:
        values: `(questions, numbers)`.
        seed: Of the resampling.

    Raises:
        ValueError: If there are none, or one is not finite.
    """
    import numpy as np

    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():  # noqa: PLR2004 - rows and columns
        raise ValueError(f"finite numbers of every question are needed, got {table.size} of shape {table.shape}")
    n, random = len(table), np.random.default_rng(seed)
    rows = max(1, _COUNTS_IN_CACHE // n)
    chunks = []
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        drawn = random.integers(n, size=(size, n), dtype=np.int32) + np.arange(0, size * n, n, dtype=np.int32)[:, None]
        # How often each question was drawn serves all numbers at once.
        chunks.append(np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n) @ table / n)
    return _expanded_intervals(np.concatenate(chunks), n_informative=n)


def independent_difference(a: "ArrayLike", b: "ArrayLike", *, seed: int) -> PairedDifference:
    """Return mean(a) - mean(b) of different questions, with its interval.

    Args:
        a: One number per question.
        b: One number per question of another set.
        seed: Of the resampling.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    first, second = _finite(a), _finite(b)
    differences = _resampled_means(first, random) - _resampled_means(second, random)
    interval = _expanded_interval(differences, n_informative=min(len(first), len(second)))
    return PairedDifference(float(first.mean() - second.mean()), *interval)


def _paired(a: "ArrayLike", b: "ArrayLike") -> "tuple[Floats, Floats]":
    first, second = _finite(a), _finite(b)
    if len(first) != len(second):
        raise ValueError(f"a and b must be of the same questions in the same order, got {len(first)} and {len(second)}")
    return first, second


def _finite(values: "ArrayLike") -> "Floats":
    import numpy as np

    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"one finite number per question is needed, got {array.size} of shape {array.shape}")
    return array


def _resampled_means(values: "Floats", random: "np.random.Generator") -> "Floats":
    """Return the means `(RESAMPLES,)` of as many questions drawn with replacement, in bounded memory."""
    import numpy as np

    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    # Rates take few values: how often each is drawn is enough, and far fewer random numbers.
    few = 4 * len(distinct) < n
    rows = max(1, _VALUES_IN_MEMORY // (len(distinct) if few else n))
    chunks = []
    for start in range(0, RESAMPLES, rows):
        size = min(rows, RESAMPLES - start)
        if few:
            chunks.append(random.multinomial(n, counts / n, size=size) @ distinct / n)
        else:
            chunks.append(values[random.integers(n, size=(size, n))].mean(axis=1))
    return np.concatenate(chunks)


def _expanded_interval(means: "Floats", *, n_informative: int) -> Interval:
    """Return the percentiles of the resampled means that widen, for few observations, as Student's t does."""
    ((low, high),) = _expanded_intervals(means[:, None], n_informative=n_informative)
    return Interval(low, high)


def _expanded_intervals(means: "Floats", *, n_informative: int) -> list[Interval]:
    """Return the same of every column of `(RESAMPLES, numbers)`."""
    import numpy as np

    tail = 0.0
    if n_informative > 1:
        freedom = n_informative - 1
        # Student's t from the normal quantile, within 2 % from 4 degrees of freedom on.
        # Source: Abramowitz and Stegun 1964, 26.7.5.
        t = Z_95 + (Z_95**3 + Z_95) / (4 * freedom) + (5 * Z_95**5 + 16 * Z_95**3 + 3 * Z_95) / (96 * freedom**2)
        tail = NormalDist().cdf(-t * math.sqrt(n_informative / freedom))
    low = np.quantile(means, tail, axis=0, method="lower")
    high = np.quantile(means, 1 - tail, axis=0, method="higher")
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
