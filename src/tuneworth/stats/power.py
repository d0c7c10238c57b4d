"""How many more seeds would decide a question."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuneworth.stats.compare import FEWEST
from tuneworth.stats.location import checked

__all__ = ["MOST", "decided_probability", "seeds_needed"]

MOST = 1000
"""More seeds than this are no answer to a person who waits for them."""


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
