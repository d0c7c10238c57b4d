"""Was a budget long enough? Curves that still rise at its end, at seed after seed, say no."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuneworth.stats.compare import FEWEST
from tuneworth.stats.estimate import over_seeds

__all__ = ["LEAST_RISE", "still_rising"]

LEAST_RISE = 0.5
"""Points that the last third of the budget must have brought: less is what two evaluations of one model differ by."""


def still_rising(curves: Iterable[Sequence[tuple[float, float]]], confidence: float = 0.95) -> float | None:
    """The points that the last third of the budget brought, where a longer one would probably bring more; else None.

    `curves`: one a seed, each of (share of the budget, score in points), in order. Paired over seeds: the last evaluation
    less that at two thirds, whose mean must be shown to be more than half a point (Student's t, one-sided). One curve
    shows nothing, since two evaluations of one model on a few hundred examples differ by points; fewer than 3 seeds
    say nothing either. A schedule that ends at learning rate 0 flattens every curve, so that a rise that is left is a
    sign of under-training, and a flat end is no proof of the contrary.
    """
    gains = []
    for curve in curves:
        earlier = [score for share, score in curve if share <= curve[-1][0] * 2 / 3 + 1e-9]
        if earlier:
            gains.append(curve[-1][1] - earlier[-1])
    estimate = over_seeds(gains) if len(gains) >= FEWEST else None
    return estimate.value if estimate and estimate.lower(1 - confidence) > LEAST_RISE else None
