"""Where scores lie and how much they spread from seed to seed. Which interval covers how often: docs/evidence.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Interval",
    "checked",
    "interquartile_interval",
    "interquartile_mean",
    "mean",
    "mean_interval",
    "median",
    "median_interval",
    "standard_deviation",
]

Interval = tuple[float, float]
"""Lower and upper end."""


def mean(values: ArrayLike) -> float:
    """The arithmetic mean of `values`, shape (n,). Raises ValueError where n = 0 or a value is not finite."""
    return float(checked(values).mean())


def median(values: ArrayLike) -> float:
    """The median of `values`, shape (n,). Raises as `mean`."""
    return float(np.median(checked(values)))


def interquartile_mean(values: ArrayLike) -> float:
    """The mean of the middle half: floor(n / 4) values fall away at each end (scipy.stats.trim_mean at 0.25, which
    Agarwal et al., NeurIPS 2021, call IQM). Raises as `mean`."""
    array = np.sort(checked(values))
    cut = len(array) // 4
    return float(array[cut : len(array) - cut].mean())


def standard_deviation(values: ArrayLike) -> float | None:
    """The sample standard deviation (divisor n - 1) of `values`, shape (n,); None for n = 1, which shows no spread."""
    array = checked(values)
    return float(array.std(ddof=1)) if len(array) > 1 else None


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Student's t-interval for the mean of `values`, shape (n,); None for n = 1.

    mean -+ t(n - 1, (1 + confidence) / 2) * s / sqrt(n), after Student, "The probable error of a mean",
    Biometrika 6 (1908). It covers chance from seed to seed, where the scores of seeds are about normal.
    """
    array = _checked(values, confidence)
    return _student(float(array.mean()), float(array.std(ddof=1)), len(array), confidence) if len(array) > 1 else None


def interquartile_interval(values: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """The t-interval for the interquartile mean, of the winsorised spread; None for n = 1.

    With g = floor(n / 4) values cut at each end, h = n - 2 g left, and SW the sum of squares once the cut values are set
    to the nearest one left: t(h - 1) * sqrt(SW / (h (h - 1))). Tukey & McLaughlin, Sankhya A 25 (1963). It holds for the
    interquartile mean of the distribution, so that a rare collapse neither moves it nor is covered by it.
    """
    array = np.sort(_checked(values, confidence))
    cut = len(array) // 4
    left = len(array) - 2 * cut
    if left < 2:
        return None
    winsorised = np.clip(array, array[cut], array[len(array) - cut - 1])
    spread = float(np.sqrt(winsorised.var() * len(array) / (left - 1)))
    return _student(interquartile_mean(array), spread, left, confidence)


def median_interval(values: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """The interval between the k-th lowest and k-th highest value, for the largest k that keeps `confidence`.

    Exact for any continuous distribution: P = 1 - 2 * Binomial(n, 1/2).cdf(k - 1) (David & Nagaraja, Order Statistics,
    2003, section 7.1). Below 6 values even the whole range has less than 95%: None. Values may be infinite.
    """
    array = np.sort(np.asarray(values, dtype=np.float64))
    _check_confidence(confidence)
    from scipy.special import bdtr

    ranks = [k for k in range(1, len(array) // 2 + 1) if 1 - 2 * bdtr(k - 1, len(array), 0.5) >= confidence]
    return (float(array[ranks[-1] - 1]), float(array[-ranks[-1]])) if ranks else None


def checked(values: ArrayLike) -> NDArray[np.float64]:
    """`values` as an array, shape (n,). Raises ValueError where n = 0 or a value is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"one value at least, in one dimension; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("every value must be a finite number")
    return array


def _checked(values: ArrayLike, confidence: float) -> NDArray[np.float64]:
    _check_confidence(confidence)
    return checked(values)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")


def _student(centre: float, spread: float, n: int, confidence: float) -> Interval:
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * spread / n**0.5
    return centre - half, centre + half
