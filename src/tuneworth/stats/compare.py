"""Two methods compared over paired seeds: how far apart, how sure, and whether the distance matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tuneworth.stats.estimate import Estimate, shared_seeds
from tuneworth.stats.examples import Answers, over_seeds_and_examples, over_seeds_or_examples
from tuneworth.stats.location import Interval, mean

__all__ = ["FEWEST", "Comparison", "Verdict", "compare", "holm", "over_training_data"]

Verdict = Literal["better", "worse", "equivalent", "undecided"]

FEWEST = 3
"""Paired seeds without which nothing is decided, however clear it looks."""


@dataclass(frozen=True)
class Comparison:
    """First minus second, in points, over the `seeds` that both have.

    `interval` and `verdict` hold for these test examples (chance: the seeds); `wide` and `wide_verdict` for new data of
    this kind (chance: seeds and test examples). What is open for these examples is open for new ones: `wide` holds all of
    `interval`, which by itself may be the wider one, having fewer degrees of freedom. Where all seeds agree exactly the test
    examples speak for both (`Agreeing`). Intervals are None for one seed, or where seeds agree, are too few for `Estimate`
    to trust that, and there are no predictions; the wide ones always without both methods' predictions.
    `redrawn`: for other training data of this kind and amount, on these test examples (`over_training_data`).
    `probability`: how often first beats second at the same seed, ties counting half (Agarwal et al., NeurIPS 2021,
    there for unpaired runs). `p_value`: two-sided, of no difference. `p_equivalent`: of a difference of the margin or
    more (two one-sided tests, Schuirmann 1987). Both are for these test examples.
    """

    difference: float
    interval: Interval | None
    wide: Interval | None
    redrawn: Interval | None
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
    in_common: float | None = None,
) -> Comparison | None:
    """Compare scores in points, by seed; None where no seed is shared. `answers`: those of first and of second.
    `in_common`: the share of one seed's training examples that another one has too.

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
    interval, outer = (estimate.interval(confidence) if estimate else None for estimate in (narrow, wide))
    if interval and outer:
        outer = min(interval[0], outer[0]), max(interval[1], outer[1])
    redrawn = over_training_data(narrow, in_common) if narrow and in_common is not None else None
    return Comparison(
        difference=mean(differences),
        interval=interval,
        wide=outer,
        redrawn=redrawn.interval(confidence) if redrawn else None,
        probability=float(np.mean([(apart > 0) + 0.5 * (apart == 0) for apart in differences])),
        seeds=len(shared),
        verdict=_verdict(narrow, margin, 1 - confidence),
        wide_verdict=_verdict(wide, margin, 1 - confidence) if answers else None,
        p_value=_p_value(narrow) if narrow else None,
        p_equivalent=_p_equivalent(narrow, margin) if narrow else None,
    )


def over_training_data(estimate: Estimate, in_common: float) -> Estimate | None:
    """The estimate of the same mean over other training data of this kind and amount; None where seeds agree exactly.

    Seeds that train on shares of one file share its luck, which their spread V does not show. With a correlation r between
    their scores the variance of their mean is V (1 / S + r / (1 - r)): the corrected resampled t of Nadeau and Bengio
    (Machine Learning 52, 2003), who set r to the share of test examples in common. Here the test examples are the same and the
    training examples vary: r is at most their share `in_common`, which it is where the choice of examples is all that seeds
    differ in (then this is the delete-d jackknife, Shao and Wu, Annals of Statistics 17, 1989). Where initialisation and
    order move scores too, it is too wide, never too narrow. Raises ValueError where `in_common` is not in [0, 1).
    """
    if not 0 <= in_common < 1:
        raise ValueError(f"a share of {in_common} in common leaves nothing to tell training data apart by")
    if estimate.error == 0:
        return None
    factor = float(np.sqrt(1 + estimate.seeds * in_common / (1 - in_common)))
    return Estimate(estimate.value, factor * estimate.error, estimate.freedom, estimate.seeds)


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
