"""Where scores lie and how much they spread from seed to seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Interval", "mean", "mean_interval", "standard_deviation"]

Interval = tuple[float, float]
"""Lower and upper end."""


def mean(values: ArrayLike) -> float:
    """The arithmetic mean of `values`, shape (n,). Raises ValueError where n = 0 or a value is not finite."""
    return float(checked(values).mean())


def standard_deviation(values: ArrayLike) -> float | None:
    """The sample standard deviation (divisor n - 1) of `values`, shape (n,); None for n = 1, which shows no spread."""
    array = checked(values)
    return float(array.std(ddof=1)) if len(array) > 1 else None


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> Interval | None:
    """Student's t-interval for the mean of `values`, shape (n,); None for n = 1.

    mean -+ t(n - 1, (1 + confidence) / 2) * s / sqrt(n), after Student, "The probable error of a mean",
    Biometrika 6 (1908). It covers chance from seed to seed, where the scores of seeds are about normal.
    """
    array = checked(values)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")
    if len(array) == 1:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(len(array) - 1, (1 + confidence) / 2) * array.std(ddof=1) / np.sqrt(len(array)))
    centre = float(array.mean())
    return centre - half, centre + half


def checked(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"one value at least, in one dimension; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("every value must be a finite number")
    return array
