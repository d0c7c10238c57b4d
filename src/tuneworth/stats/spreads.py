"""Two methods' spreads over paired seeds, compared by what swapping their names seed by seed could have shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuneworth.stats.location import Interval, checked

__all__ = ["FEWEST_FOR_SPREADS", "SpreadRatio", "spread_ratio"]

FEWEST_FOR_SPREADS = 5
"""Seeds below which nothing is said of spreads: swapping the names of 4 pairs has 16 outcomes, so that no p-value is below
6%, and the interval of a standard deviation of 4 scores reaches to 3.7 times it."""
EVERY = 12
"""Seeds up to which all ways to swap are counted; beyond, `DRAWN` of them, always the same."""
DRAWN = 10_000


@dataclass(frozen=True, eq=False)
class SpreadRatio:
    """How many times as large first's spread is as second's: `value`, of the mean distances from each one's median (inf
    where second does not vary).

    A hypothesis of a ratio r holds distances / r and distances exchangeable within a seed. Swapping the names at a set of
    seeds changes the sign of their differences, so the p-value of "no larger than r" is the share of sets, the empty one
    among them, whose sum of first's distances is at most r times that of second's. Distances from the median: Brown and
    Forsythe, JASA 69 (1974); labels permuted within pairs: Pitman, JRSS Supplement 4 (1937); for spreads of paired data:
    Grambsch, Biometrika 81 (1994), which finds that it holds where scores are not normal, as Pitman and Morgan's t does not.
    """

    value: float
    ratios: NDArray[np.float64]
    """Of the sums of distances, first's over second's, of each set of seeds, in order; NaN where both sums are 0."""

    def p_larger(self, ratio: float) -> float:
        """One-sided p-value of the hypothesis that first's spread is at most `ratio` times second's."""
        return float((~(self.ratios > ratio)).mean())

    def p_smaller(self, ratio: float) -> float:
        """One-sided p-value of the hypothesis that it is at least that."""
        return float((~(self.ratios < ratio)).mean())

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Every ratio that is rejected on neither side, each at half of what `confidence` leaves; None where the seeds are
        too few to reject any, or one of the two does not vary."""
        known = self.ratios[~np.isnan(self.ratios)]
        allowed = int((1 - confidence) / 2 * len(self.ratios) + 1e-9) - (len(self.ratios) - len(known))
        if allowed < 0 or not self.value > 0 or not isfinite(self.value):
            return None
        low, high = float(known[allowed]), float(known[-1 - allowed])
        return (low, high) if isfinite(high) else None


def spread_ratio(first: ArrayLike, second: ArrayLike) -> SpreadRatio | None:
    """Shapes (n,), paired by seed; None where neither varies. Raises ValueError where lengths differ, or n is below 5."""
    x, y = checked(first), checked(second)
    if len(x) != len(y) or len(x) < FEWEST_FOR_SPREADS:
        raise ValueError(f"{FEWEST_FOR_SPREADS} pairs at least; got {len(x)} and {len(y)} values")
    a, b = (_distances(values) for values in (x, y))
    if not a.any() and not b.any():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        sets = _sets(len(x))
        return SpreadRatio(float(a.sum() / b.sum()), np.sort((sets @ a) / (sets @ b)))


def _distances(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.abs(values - np.median(values))
    return np.where(found > 1e-9 * max(1.0, float(np.abs(values).max())), found, 0.0)


@cache
def _sets(n: int) -> NDArray[np.float64]:
    """Rows of 0 and 1, the empty set and the whole one among them."""
    if n <= EVERY:
        return np.array(list(product([0.0, 1.0], repeat=n)))
    drawn = np.random.default_rng(n).integers(0, 2, (DRAWN, n)).astype(float)
    return np.vstack([np.zeros(n), np.ones(n), drawn])
