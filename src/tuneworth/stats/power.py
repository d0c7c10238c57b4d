"""How many more seeds, or test examples, would decide a question."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuneworth.stats.compare import FEWEST
from tuneworth.stats.examples import mean_squares
from tuneworth.stats.location import checked
from tuneworth.stats.sequential import LOOKS, level

__all__ = [
    "MOST",
    "MOST_EXAMPLES",
    "ORDINARY_SPREAD",
    "decided_probability",
    "examples_needed",
    "look_needed",
    "seeds_needed",
]

MOST = 1000
"""More seeds than this are no answer to a person who waits for them."""

MOST_EXAMPLES = 1_000_000

ORDINARY_SPREAD = 0.9
"""Points: the standard deviation, from seed to seed, of the difference of two methods that trained. The median of 18 pairs on
MRPC, CoLA and STS-B (docs/results/paper-at-30.json); half of them lie between 0.6 and 1.9."""


def seeds_needed(differences: ArrayLike, margin: float, confidence: float = 0.95, power: float = 0.8) -> int | None:
    """The fewest seeds to add so that `compare` decides, either way, with probability `power`; None beyond 1,000.

    `differences`: paired, in points, shape (n,), n >= 2. Their mean and spread are taken for the true ones, which is a
    guess, and a rough one from few seeds (Gelman & Carlin 2014 warn of it); it plans, and proves nothing. 0 means that as
    many seeds as there are would do, not that they have decided. Raises ValueError for fewer than 2 differences.
    """
    array = checked(differences)
    if len(array) < 2:
        raise ValueError("2 differences at least show a spread")
    mean, spread, least = float(array.mean()), float(array.std(ddof=1)), max(len(array), FEWEST)
    for start, end in pairwise((0, 20, 100, 300, MOST + 1)):  # most answers are small, and found at once
        counts = least + np.arange(start, end)
        enough = decided_probability(counts, mean, spread, margin, confidence) >= power
        if enough.any():
            more = int(counts[enough.argmax()] - len(array))
            return more if more <= MOST else None
    return None


def decided_probability(
    seeds: ArrayLike, difference: float, spread: float, margin: float, confidence: float = 0.95
) -> NDArray[np.float64]:
    """The probability that n `seeds` (an array) give any verdict but "undecided", for normal differences.

    Given the sample spread s, the mean decides where |mean| > t(1 - a/2) s / sqrt(n) (better or worse) or
    |mean| < margin - t(1 - a) s / sqrt(n) (equivalent); the normal probability of either is averaged over the
    chi-squared distribution of s^2, at 200 equally probable values.
    """
    from scipy.special import chdtri, ndtr, stdtrit

    n = np.asarray(seeds, dtype=np.float64)[:, None]
    error = max(spread, 1e-9) / np.sqrt(n)
    tails = (np.arange(200) + 0.5) / 200
    sample = error * np.sqrt(chdtri(n - 1, tails) / (n - 1))
    far = stdtrit(n - 1, (1 + confidence) / 2) * sample
    near = np.maximum(0.0, margin - stdtrit(n - 1, confidence) * sample)

    def within(limit: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndtr((limit - difference) / error) - ndtr((-limit - difference) / error))

    gap = np.maximum(0.0, within(far) - within(near))  # undecided: further than `near`, and not as far as `far`
    return np.asarray(1 - np.where(near >= far, 0.0, gap).mean(1))


def look_needed(
    margin: float, methods: int, confidence: float = 0.95, spread: float = ORDINARY_SPREAD, power: float = 0.8
) -> int | None:
    """The first look (`LOOKS`) at which `decide` would show, with probability `power`, that a method is within `margin` of another
    one that is as good, in a group of so many `methods`; None where not even the last look would.

    For plans made before any trial: `spread` is of paired differences, in points, taken for normal. At the look at n the upper
    bound t(a / (methods - 1)) s / sqrt(n) above the mean difference must not exceed the margin; its probability given s is
    averaged over the chi-squared distribution of s^2.
    """
    from scipy.special import chdtri, ndtr, stdtrit

    tails = (np.arange(200) + 0.5) / 200
    for look in LOOKS:
        error = max(spread, 1e-9) / np.sqrt(look)
        sample = error * np.sqrt(chdtri(look - 1, tails) / (look - 1))
        reach = float(stdtrit(look - 1, 1 - (1 - level(look, confidence)) / max(1, methods - 1)))
        if ndtr((margin - reach * sample) / error).mean() >= power:
            return look
    return None


def examples_needed(differences: ArrayLike, margin: float, level: float, power: float = 0.8) -> int | None:
    """The fewest test examples, in all, with which the upper bound of the mean, one-sided at `level`, is at most `margin`
    with probability `power`, at as many seeds as there are; None where no number up to a million does it.

    `differences`: what each example adds to rival minus method, in points, shape (seeds, examples), 2 seeds at least.
    With the mean squares A of seeds, B of examples and C of the rest (`examples.crossed`), n examples give the variance
    (A - C) / (S N) + B / (S n), and n must leave (z(level) + z(1 - power)) of its roots between mean and margin: the
    sample size of a non-inferiority test (Chow, Shao & Wang, Sample Size Calculations in Clinical Research, 2008,
    chapter 3). Where no answer differs, the bound is exact instead: (1 - margin)^n <= level / 2, as in `Agreeing`. Mean
    and spread are taken for the true ones; see `seeds_needed`.
    """
    from scipy.special import ndtri

    values = np.asarray(differences, dtype=np.float64)
    if not values.any():
        return _at_most_a_million(np.log(level / 2) / np.log1p(-min(margin, 99.9) / 100))
    a, b, c = mean_squares(values)
    room = (margin - float(values.mean())) / -float(ndtri(level) + ndtri(1 - power))
    left = room**2 - max(0.0, a - c) / values.size
    return _at_most_a_million(b / len(values) / left) if room > 0 and left > 0 else None


def _at_most_a_million(examples: float) -> int | None:
    return int(np.ceil(examples)) if examples <= MOST_EXAMPLES else None
