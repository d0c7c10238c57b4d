"""Was a trial's budget long enough? A curve that still rises at its end says no."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["LEAST_RISE", "still_rising"]

LEAST_RISE = 0.5
"""Points that the last third of the budget must have brought: less is what two evaluations of one model differ by."""


def still_rising(curve: Sequence[tuple[float, float]]) -> bool:
    """Whether a longer budget would probably raise the score. `curve`: (share of the budget, score in points), in order.

    The rule: over the last third of the budget the best score rose by at least half a point, and by at least a fifth of
    the whole rise from the first evaluation, and the last evaluation is that best one. A schedule that ends at learning
    rate 0 flattens every curve, so that a rise that is left is a sign of under-training, and a flat end is no proof of
    the contrary. Fewer than 3 evaluations say nothing: False.
    """
    if len(curve) < 3:
        return False
    shares, scores = zip(*curve, strict=True)
    end, last = shares[-1], scores[-1]
    earlier = [score for share, score in curve if share <= end * 2 / 3 + 1e-9] or [scores[0]]
    rise = last - max(earlier)
    return bool(last >= max(scores) and rise >= LEAST_RISE and rise >= 0.2 * (last - scores[0]))
