"""How much a method's score depends on luck: its spread over seeds, how often it collapses, its worst and best runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tuneworth.stats.location import Interval, checked, standard_deviation

__all__ = [
    "expected_best_of",
    "spread_interval",
    "wilson",
    "worst_of",
]


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


def wilson(count: int, of: int, confidence: float = 0.95) -> Interval:
    """The interval of a share, `count` of `of`: Wilson, JASA 22 (1927). It holds for few runs and for counts of 0."""
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"{count} of {of} is no share")
    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    centre = (count + z * z / 2) / (of + z * z)
    half = z / (of + z * z) * float(np.sqrt(count * (of - count) / of + z * z / 4))
    return 0.0 if count == 0 else centre - half, 1.0 if count == of else centre + half


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
