"""Two methods compared over paired seeds: how far apart, how sure, and whether the distance matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tuneworth.stats.estimate import Estimate, shared_seeds
from tuneworth.stats.examples import Answers, over_seeds_and_examples, over_seeds_or_examples
from tuneworth.stats.location import Interval, mean

__all__ = ["FEWEST", "Comparison", "Verdict", "compare", "holm"]

Verdict = Literal["better", "worse", "equivalent", "undecided"]

FEWEST = 3
"""Paired seeds without which nothing is decided, however clear it looks."""


@dataclass(frozen=True)
class Comparison:
    """First minus second, in points, over the `seeds` that both have.

    `interval` and `verdict` hold for these test examples (chance: the seeds); `wide` and `wide_verdict` for new data of
    this kind (chance: seeds and test examples). Where all seeds agree exactly the test examples speak for both
    (`Agreeing`). Intervals are None for one seed, or where seeds agree, are too few for `Estimate` to trust that, and
    there are no predictions; the wide ones always without both methods' predictions.
    `probability`: how often first beats second at the same seed, ties counting half (Agarwal et al., NeurIPS 2021,
    there for unpaired runs). `p_value`: two-sided, of no difference. `p_equivalent`: of a difference of the margin or
    more (two one-sided tests, Schuirmann 1987). Both are for these test examples.
    """

    difference: float
    interval: Interval | None
    wide: Interval | None
    probability: float
    seeds: int
    verdict: Verdict
    wide_verdict: Verdict | None
    p_value: float | None
    p_equivalent: float | None


def compare(
    first: Mapping[int, float],
    second: Mapping[int, float],
    margin: float,
    confidence: float = 0.95,
    answers: tuple[Answers, Answers] | None = None,
) -> Comparison | None:
    """Compare scores in points, by seed; None where no seed is shared. `answers`: those of first and of second.

    A seed whose score is NaN on either side is left out.

    With a = 1 - confidence the verdict is "equivalent" where the interval at confidence 1 - 2a lies within
    (-margin, margin), which is the pair of one-sided tests at level a; else "better" or "worse" where the interval at
    `confidence` excludes 0; else "undecided", as always below 3 shared seeds. A difference that is clear and smaller
    than the margin is "equivalent". Raises ValueError for a negative margin or a confidence outside (0, 1).
    """
    if not margin >= 0:
        raise ValueError(f"margin {margin} is negative")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")
    shared = shared_seeds(first, second)
    if not shared:
        return None
    differences = [first[seed] - second[seed] for seed in shared]
    narrow = over_seeds_or_examples(differences, shared, answers)
    wide = over_seeds_and_examples(*answers, shared) if answers else None
    return Comparison(
        difference=mean(differences),
        interval=narrow.interval(confidence) if narrow else None,
        wide=wide.interval(confidence) if wide else None,
        probability=float(np.mean([(apart > 0) + 0.5 * (apart == 0) for apart in differences])),
        seeds=len(shared),
        verdict=_verdict(narrow, margin, 1 - confidence),
        wide_verdict=_verdict(wide, margin, 1 - confidence) if answers else None,
        p_value=_p_value(narrow) if narrow else None,
        p_equivalent=_p_equivalent(narrow, margin) if narrow else None,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: reject those at most a, and the family errs at most a. Holm, Scand. J.
    Statistics 6 (1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, dtype=float)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(value) for value in adjusted]


def _verdict(estimate: Estimate | None, margin: float, level: float) -> Verdict:
    if estimate is None or estimate.seeds < FEWEST:
        return "undecided"
    if _p_equivalent(estimate, margin) < level:
        return "equivalent"
    if _p_value(estimate) >= level:
        return "undecided"
    return "better" if estimate.value > 0 else "worse"


def _p_value(estimate: Estimate) -> float:
    return min(1.0, 2 * min(estimate.p_above(0.0), estimate.p_below(0.0)))


def _p_equivalent(estimate: Estimate, margin: float) -> float:
    return max(estimate.p_above(-margin), estimate.p_below(margin))
