"""How much a method's score depends on luck: its spread over seeds, how often it collapses, its worst and best runs."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuneworth.stats.estimate import Estimate, over_seeds
from tuneworth.stats.location import Interval, checked, standard_deviation

__all__ = [
    "brown_forsythe",
    "collapse_rate",
    "expected_best_of",
    "pitman_morgan",
    "spread_interval",
    "spread_ratio",
    "trained_ones",
    "wilson",
    "worst_of",
]

ROUNDING = 1e-9
"""Points between the score of one answer for all and the baseline's, which it equals."""


def spread_interval(values: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """The interval of `standard_deviation(values)`: s * sqrt((n - 1) / chi2 quantile); None for n = 1.

    Exact for normal scores; where runs collapse it is too narrow (docs/evidence.md), and the collapse rate says more.
    """
    array = checked(values)
    spread = standard_deviation(array)
    if spread is None:
        return None
    from scipy.special import chdtri

    freedom = len(array) - 1
    half = (1 - confidence) / 2
    low, high = (spread * float(np.sqrt(freedom / chdtri(freedom, tail))) for tail in (half, 1 - half))
    return low, high


def pitman_morgan(first: ArrayLike, second: ArrayLike) -> Estimate | None:
    """Is first's spread larger than second's, paired by seed? `p_above(0)` is the p-value of "no larger".

    Shapes (n,), n >= 3. The estimate is the correlation of the pairs' sums and differences, which is above 0 exactly
    where first varies more; its t has n - 2 degrees of freedom (Pitman and Morgan, both Biometrika 31, 1939). None where
    neither varies, or only by the same amounts. Raises ValueError where lengths differ or n < 3.
    """
    x, y = _paired(first, second)
    total, difference = x + y, x - y
    scale = 1e-9 * max(1.0, float(np.abs(total).max()))
    if total.std() <= scale or difference.std() <= scale:
        return None
    r = float(np.clip(np.corrcoef(total, difference)[0, 1], -1, 1))
    error = float(np.sqrt(max(0.0, 1 - r * r) / (len(x) - 2)))
    return Estimate(r, error if error > 1e-9 else 0.0, len(x) - 2, len(x))


def spread_ratio(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """The interval of sd(first) / sd(second), paired: every ratio that `pitman_morgan` of the rescaled pairs does not
    reject. In closed form, squared: F (K -+ sqrt(K^2 - 1)), F = s1^2 / s2^2, K = 1 + 2 (1 - r^2) t^2 / (n - 2), where r is
    the pairs' correlation (Morgan 1939). None where one of the two does not vary."""
    x, y = _paired(first, second)
    if min(x.std(), y.std()) <= 1e-9 * max(1.0, float(np.abs(x).max()), float(np.abs(y).max())):
        return None
    from scipy.special import stdtrit

    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    t = float(stdtrit(len(x) - 2, (1 + confidence) / 2))
    k = 1 + 2 * (1 - r * r) * t * t / (len(x) - 2)
    ratio, root = float(x.var() / y.var()), float(np.sqrt(k * k - 1))
    return float(np.sqrt(ratio / (k + root))), float(np.sqrt(ratio * (k + root)))


def brown_forsythe(first: ArrayLike, second: ArrayLike) -> float | None:
    """The two-sided p-value of unequal spread of unpaired runs: Levene's test about the medians (Brown & Forsythe, JASA
    69, 1974). Robust where scores are not normal; None where neither varies about its median."""
    x, y = checked(first), checked(second)
    if len(x) < 3 or len(y) < 3:
        raise ValueError(f"3 runs each at least; got {len(x)} and {len(y)}")
    if np.ptp(np.abs(x - np.median(x))) == 0 and np.ptp(np.abs(y - np.median(y))) == 0:
        return None
    from scipy.stats import levene

    return float(levene(x, y, center="median").pvalue)


def wilson(count: int, of: int, confidence: float = 0.95) -> Interval:
    """The interval of a share, `count` of `of`: Wilson, JASA 22 (1927). It holds for few runs and for counts of 0."""
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"{count} of {of} is no share")
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    centre = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * float(np.sqrt(count * (of - count) / of + z * z / 4))
    return 0.0 if count == 0 else centre - half, 1.0 if count == of else centre + half


def collapse_rate(scores: ArrayLike, baseline: float, confidence: float = 0.95) -> tuple[float, Interval]:
    """The share of trials that end no better than the baseline (one answer for all), and its Wilson interval."""
    array = checked(scores)
    count = int((array <= baseline + ROUNDING).sum())
    return count / len(array), wilson(count, len(array), confidence)


def trained_ones(scores: Mapping[int, float], baseline: float | None) -> dict[int, float]:
    """The scores by which a method is compared: NaN for a collapsed trial, which scores what one answer for all does.

    How good a method is when it trains, and how often it does, are two questions. A mean over all trials mixes them, and no
    rule can see a collapse that has not come yet: in simulation its 95% intervals hold 85% of the time at 5 seeds, those of
    the trained ones 94% (docs/evidence.md). A trial at the baseline is a collapse where the method's other trials, at least
    as many, are shown to lie above the baseline (Student's t, one-sided at 5%). Else to learn nothing is what the method
    does, and all of its scores count, as do those below the baseline, which have learnt something, if the wrong thing.
    """
    if baseline is None:
        return dict(scores)
    lost = {seed for seed, score in scores.items() if abs(score - baseline) <= ROUNDING}
    others = [score for seed, score in scores.items() if seed not in lost and not isnan(score)]
    estimate = over_seeds(others) if others else None
    if estimate is None or len(lost) > len(others) or estimate.p_above(baseline) > 0.05:
        return dict(scores)
    return {seed: nan if seed in lost else score for seed, score in scores.items()}


def expected_best_of(scores: ArrayLike, k: int) -> float:
    """The expected best of `k` runs: the mean of max over all subsets of k of the n scores, k <= n.

    Without bias (Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020, correcting Dodge et al. 2019).
    """
    array = np.sort(checked(scores))
    if not 1 <= k <= len(array):
        raise ValueError(f"the best of {k} is unknown from {len(array)} runs")
    from scipy.special import comb

    return float(array @ (comb(np.arange(len(array)), k - 1) / comb(len(array), k)))


def worst_of(scores: ArrayLike, k: int) -> float:
    """The expected worst of `k` runs; as `expected_best_of`. With k = n, the worst run that was seen."""
    return -expected_best_of(-checked(scores), k)


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = checked(first), checked(second)
    if len(x) != len(y) or len(x) < 3:
        raise ValueError(f"3 pairs at least; got {len(x)} and {len(y)} values")
    return x, y
