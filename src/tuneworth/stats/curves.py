"""Scores along an amount: of training data (learning curves) or of time. Where does one method overtake another?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tuneworth.stats.estimate import Estimate, over_seeds
from tuneworth.stats.location import Interval, mean, mean_interval, median_interval

__all__ = [
    "Crossing",
    "CurvePoint",
    "ScoreCurve",
    "area_under",
    "crossover",
    "learning_curve",
    "reaches",
    "score_at",
    "time_to",
]

ScoreCurve = Mapping[float, Mapping[int, float]]
"""Fraction -> seed -> score in points."""
Timeline = Sequence[tuple[float, float]]
"""(seconds of training, score in points) of one trial, in order."""
GRID = 2001
"""Places at which a crossing's interval is looked for: a 2,000th of the range of log fractions apart."""
EXPONENT = 0.2
"""Errors fall with the training examples n as n^-a, with a from 0.07 to 0.35 (Hestness et al. 2017, arXiv 1712.00409)."""


@dataclass(frozen=True)
class CurvePoint:
    """One fraction: the mean score over `seeds` with its interval, None for one seed."""

    fraction: float
    mean: float
    interval: Interval | None
    seeds: int


@dataclass(frozen=True)
class Crossing:
    """Where a difference changes its sign, None where its mean does not within the fractions measured.

    `low`, `high`: all places that the seeds do not rule out, None where they rule out none of them or none was measured.
    At the end of the range an end of the interval means "there or beyond".
    """

    fraction: float | None
    low: float | None
    high: float | None


def learning_curve(scores: ScoreCurve, confidence: float = 0.95) -> tuple[CurvePoint, ...]:
    """Means over seeds, with t-intervals fraction by fraction (not for the curve as a whole), in order of fraction."""
    return tuple(
        CurvePoint(fraction, mean(values), mean_interval(values, confidence), len(values))
        for fraction, values in ((f, list(scores[f].values())) for f in sorted(scores)) if values
    )  # fmt: skip


def area_under(scores: ScoreCurve) -> Estimate | float | None:
    """The mean height of the curve, in points: its area by the trapezoid rule over the width of the fractions.

    Over the seeds that have every fraction, as an Estimate; a float where that is one seed; None where it is none.
    """
    fractions, seeds = sorted(scores), _common(scores)
    if not seeds or not fractions:
        return None
    values = np.array([[scores[f][seed] for f in fractions] for seed in seeds])
    width = fractions[-1] - fractions[0]
    areas = np.trapezoid(values, fractions, axis=1) / width if width else values[:, 0]
    return over_seeds(areas) or float(areas[0])


def crossover(first: ScoreCurve, second: ScoreCurve, confidence: float = 0.95) -> Crossing:
    """The smallest fraction from which on `first` scores no worse than `second` does, by the mean, up to the largest.

    Between fractions scores are interpolated along fraction^-0.2 (`EXPONENT`), in which learning curves are nearly straight.
    In the fraction itself they bend so much that of crossings between 0.1, 0.3 and 1 the interval would hold about half
    (docs/evidence.md). The interval holds every fraction at which the paired t-interval
    of the difference, interpolated seed by seed, contains 0: for the true crossing that is so with probability
    `confidence` (Fieller's argument), however few the seeds. Only fractions and seeds that both have count.
    """
    fractions = sorted(first.keys() & second.keys())
    seeds = sorted(_common({f: first[f] for f in fractions}) & _common({f: second[f] for f in fractions}))
    if len(fractions) < 2 or not seeds:
        return Crossing(None, None, None)
    return _crossing(fractions, np.array([[first[f][s] - second[f][s] for f in fractions] for s in seeds]), confidence)


def reaches(first: ScoreCurve, fraction: float, second: ScoreCurve, confidence: float = 0.95) -> Crossing:
    """The fraction of data at which `second` scores what `first` scores at `fraction`; as `crossover`, whose interval it
    has. "BitFit at 30% reaches what full reaches at x%." Raises KeyError where first has no such fraction."""
    level = first[fraction]
    return crossover(second, dict.fromkeys(second, level), confidence)


def score_at(curves: Mapping[int, Timeline], seconds: float) -> dict[int, float]:
    """Seed -> the score of its last evaluation by `seconds`; a seed without one has none. Use it with `mean_interval`,
    or paired with another method's with `compare`."""
    found = {seed: [score for at, score in curve if at <= seconds] for seed, curve in curves.items()}
    return {seed: scores[-1] for seed, scores in found.items() if scores}


def time_to(
    curves: Mapping[int, Timeline], target: float, confidence: float = 0.95
) -> tuple[float | None, Interval | None]:
    """The median over seeds of the seconds until an evaluation reaches `target`, and its interval.

    A trial that never does counts as inf, which an order statistic can bear: None where most never do. An interval's
    upper end may be inf. Below 6 seeds there is no interval at 95% (see `median_interval`).
    """
    times = [min((at for at, score in curve if score >= target), default=np.inf) for curve in curves.values()]
    if not times:
        return None, None
    centre = float(np.median(times)) if np.isfinite(np.sort(times)[len(times) // 2]) else None
    interval = median_interval(times, confidence)
    return centre, interval if interval and np.isfinite(interval[0]) else None


def _common(scores: ScoreCurve) -> set[int]:
    return set.intersection(*(set(values) for values in scores.values())) if scores else set()


def _crossing(fractions: list[float], differences: NDArray[np.float64], confidence: float) -> Crossing:
    """`differences`: shape (seeds, fractions)."""
    grid = np.union1d(np.geomspace(fractions[0], fractions[-1], GRID), fractions)
    lines = np.array([np.interp(_straight(grid), _straight(np.array(fractions)), row) for row in differences])
    crossing = _root(grid, lines.mean(0))
    possible = grid[_may_be_zero(lines, confidence)] if len(lines) > 1 else grid[:0]
    return (
        Crossing(crossing, float(possible[0]), float(possible[-1])) if len(possible) else Crossing(crossing, None, None)
    )


def _straight(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    return -(fractions**-EXPONENT)


def _may_be_zero(lines: NDArray[np.float64], confidence: float) -> NDArray[np.bool_]:
    """Where the interval of the mean of `lines`, shape (seeds, places), holds 0; as `Estimate.interval`, many at once."""
    from scipy.special import stdtrit

    seeds = len(lines)
    centre, error = lines.mean(0), lines.std(0, ddof=1) / np.sqrt(seeds)
    agree = error <= 1e-12 * np.maximum(1.0, np.abs(lines).max(0))
    too_few = agree & (0.5**seeds > (1 - confidence) / 2)
    return np.asarray(too_few | (np.abs(centre) <= stdtrit(seeds - 1, (1 + confidence) / 2) * error))


def _root(grid: NDArray[np.float64], middle: NDArray[np.float64]) -> float | None:
    """The start of the last stretch on which `middle` is not negative, if it is negative before and has such an end."""
    below = np.flatnonzero(middle < 0)
    if not len(below) or below[-1] == len(grid) - 1:
        return None
    i = below[-1]
    return float(grid[i] * (grid[i + 1] / grid[i]) ** (middle[i] / (middle[i] - middle[i + 1])))
