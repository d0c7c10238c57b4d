"""Seeds that agree exactly show no chance of their own; the test examples do. Exact, on the answers that differ."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from tuneworth.stats.estimate import Estimate

__all__ = ["Agreeing"]

Discordant = tuple[int, int]
"""How many test examples the first alone answers rightly, and how many the second alone."""


@dataclass(frozen=True)
class Agreeing(Estimate):
    """A difference in points that is the same at all seeds (`error` 0), with bounds from the test examples.

    Each count of discordant answers is binomial over the `examples`, so that the difference of accuracies lies within the
    difference of their exact bounds, each at half the level (Clopper & Pearson, Biometrika 26, 1934). Of no difference at
    all the test is exact on the discordant answers alone (McNemar, Psychometrika 12, 1947). Where seeds answer differently
    and yet score alike, the seed that shows the least speaks for all. Without `counts` (another metric than accuracy) the
    examples bound nothing. `signs`: where the seeds are enough for the sign test of `Estimate`, that speaks instead; not
    for new data, of which no number of seeds is sure.
    """

    counts: tuple[Discordant, ...] = ()
    """By seed."""
    examples: int = 0
    signs: bool = True

    def upper(self, level: float) -> float:
        return -self.turned.lower(level)

    def lower(self, level: float) -> float:
        return self.value if self.signs and 0.5**self.seeds <= level else self._lower(level)

    def p_above(self, threshold: float) -> float:
        if self.value <= threshold:
            return 1.0
        signs = 0.5**self.seeds if self.signs else 1.0
        return min(signs, self._mcnemar() if threshold == 0 else self._least_level(threshold))

    @property
    def turned(self) -> Agreeing:
        counts = tuple((second, first) for first, second in self.counts)
        return Agreeing(-self.value, 0.0, self.freedom, self.seeds, counts, self.examples, self.signs)

    def _lower(self, level: float) -> float:
        from scipy.special import betaincinv

        n = self.examples
        bounds = [
            (betaincinv(b, n - b + 1, level / 2) if b else 0.0)
            - (betaincinv(c + 1, n - c, 1 - level / 2) if c < n else 1.0)
            for b, c in self.counts
        ]
        return 100.0 * float(min(bounds)) if bounds else -inf

    def _mcnemar(self) -> float:
        """The one-sided p-value of "not better", of the seed that shows the least."""
        from scipy.special import bdtrc

        return max((float(bdtrc(b - 1, b + c, 0.5)) if b else 1.0 for b, c in self.counts), default=1.0)

    def _least_level(self, threshold: float) -> float:
        """The level at which the lower bound reaches `threshold`, by bisection of its logarithm; above 0.5: 1."""
        low, high = -20.0, float(np.log10(0.5))
        if self._lower(10**high) <= threshold:
            return 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self._lower(10**middle) > threshold else (middle, high)
        return float(10**high)
