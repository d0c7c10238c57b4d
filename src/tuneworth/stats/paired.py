"""Two methods compared seed by seed: one seed means the same data in the same order, so its chance cancels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuneworth.stats.location import Interval, mean, mean_interval

__all__ = ["PairedDifference", "paired_difference"]


@dataclass(frozen=True)
class PairedDifference:
    """`mean` of (first - second) over the `n` seeds that both have, with its t-interval (None for n = 1)."""

    mean: float
    interval: Interval | None
    n: int


def paired_difference(
    first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95
) -> PairedDifference | None:
    """Compare scores given by seed, over the seeds that both have; None where they share none.

    The interval is the paired t-interval: `mean_interval` of the differences.
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        return None
    differences = [first[seed] - second[seed] for seed in shared]
    return PairedDifference(mean(differences), mean_interval(differences, confidence), len(differences))
