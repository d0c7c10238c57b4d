"""An estimate with Student's error: the one thing that intervals, tests and bounds here are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isnan

import numpy as np
from numpy.typing import ArrayLike

from tuneworth.stats.location import Interval, checked

__all__ = ["Estimate", "over_seeds", "settle", "shared_seeds"]


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

    def upper(self, level: float) -> float:
        """The bound that the truth exceeds with probability `level`; may be inf."""
        return self.value + self._reach(level)

    def lower(self, level: float) -> float:
        """The bound that the truth stays below with probability `level`; may be -inf."""
        return self.value - self._reach(level)

    def _reach(self, level: float) -> float:
        if self.error == 0:
            return 0.0 if 0.5**self.seeds <= level else inf
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, 1 - level)) * self.error

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
        return self.turned.p_above(-threshold)

    @property
    def turned(self) -> Estimate:
        """Of second minus first, where this is of first minus second."""
        return Estimate(-self.value, self.error, self.freedom, self.seeds)


def over_seeds(values: ArrayLike) -> Estimate | None:
    """The mean of `values`, shape (n,), one a seed; None for n = 1. Student, Biometrika 6 (1908)."""
    array = checked(values)
    if len(array) == 1:
        return None
    error = float(array.std(ddof=1) / np.sqrt(len(array)))
    return Estimate(float(array.mean()), settle(error, array), len(array) - 1, len(array))


def shared_seeds(first: Mapping[int, float], second: Mapping[int, float]) -> list[int]:
    """The seeds at which both have a score, in order; NaN is none."""
    return [seed for seed in sorted(first.keys() & second.keys()) if not isnan(first[seed] - second[seed])]


def settle(error: float, values: ArrayLike) -> float:
    """0 where `error` is but rounding in `values`, so that equal differences of unequal scores count as equal."""
    return 0.0 if error <= 1e-12 * max(1.0, float(np.abs(values).max())) else error
