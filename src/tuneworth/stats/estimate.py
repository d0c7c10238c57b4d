"""An estimate with Student's error: the one thing that intervals, tests and bounds here are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tuneworth.stats.location import Interval, checked

__all__ = ["Estimate", "over_seeds"]


@dataclass(frozen=True)
class Estimate:
    """`value`, whose distance from the truth divided by `error` follows Student's t with `freedom` degrees of freedom.

    Where `error` is 0, all `seeds` agree exactly (two methods that both answer the majority class, say) and Student's t
    would be sure after two of them. The sign test speaks instead: that n independent draws all fall on one side of
    their median has probability 2^-n, so a one-sided claim at level a needs 2^-n <= a.
    """

    value: float
    error: float
    freedom: float
    seeds: int

    def bound(self, level: float) -> float:
        """The upper bound that is too low with probability `level`; for a lower one, 2 * value - bound. May be inf."""
        if self.error == 0:
            return self.value if 0.5**self.seeds <= level else float("inf")
        from scipy.special import stdtrit

        return self.value + float(stdtrit(self.freedom, 1 - level)) * self.error

    def upper(self, level: float) -> float:
        return self.bound(level)

    def lower(self, level: float) -> float:
        return 2 * self.value - self.bound(level)

    def interval(self, confidence: float) -> Interval | None:
        """Both bounds, each at half of what `confidence` leaves; None where the seeds allow none (see above)."""
        level = (1 - confidence) / 2
        low, high = self.lower(level), self.upper(level)
        return (low, high) if np.isfinite(high) else None

    def p_above(self, threshold: float) -> float:
        """One-sided p-value of the hypothesis that the truth is at most `threshold`."""
        if self.error == 0:
            return 0.5**self.seeds if self.value > threshold else 1.0
        from scipy.special import stdtr

        return float(stdtr(self.freedom, (threshold - self.value) / self.error))

    def p_below(self, threshold: float) -> float:
        """One-sided p-value of the hypothesis that the truth is at least `threshold`."""
        return Estimate(-self.value, self.error, self.freedom, self.seeds).p_above(-threshold)


def over_seeds(values: ArrayLike) -> Estimate | None:
    """The mean of `values`, shape (n,), one a seed; None for n = 1. Student, Biometrika 6 (1908)."""
    array = checked(values)
    if len(array) == 1:
        return None
    error = float(array.std(ddof=1) / np.sqrt(len(array)))
    return Estimate(float(array.mean()), settle(error, array), len(array) - 1, len(array))


def settle(error: float, values: ArrayLike | Sequence[float]) -> float:
    """0 where `error` is but rounding in `values`, so that equal differences of unequal scores count as equal."""
    return 0.0 if error <= 1e-12 * max(1.0, float(np.abs(values).max())) else error
