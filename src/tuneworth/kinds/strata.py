"""In which order a trial sees its examples, and which of them validate: the fairness core, pure numpy.

One seed gives one stratified order. A fraction is a prefix of it, so that fractions are nested; an example is kept for
validation by its place among the examples of its stratum alone, so that both parts are nested.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tuneworth.kinds.metric import Array

__all__ = ["BINS", "ByBins", "ByClass", "Indices", "Seen", "Strata", "bins"]

BINS = 10
"""Numbers are stratified by this many quantile bins."""

ORDER, TEST = 0x5EED01, 0x5EED02
"""Tags that keep these streams of chance apart from every other one that is made from the same seed."""

Indices = NDArray[np.int64]


class Seen(NamedTuple):
    """Position by position: the example, and whether it is for validation. `needed`: how many are needed at least, for what
    the strata promise."""

    example: Indices
    held: NDArray[np.bool_]
    needed: int


class Strata(Protocol):
    """How a kind's examples are kept in proportion."""

    promise: str
    """What a fraction must be large enough to do."""

    def order(self, labels: Array, share: float, seed: int) -> Seen:
        """A permutation of the examples of which every prefix is stratified, and some `share` of it for validation."""
        ...

    def test(self, labels: Array, size: int, seed: int) -> Indices:
        """`size` examples to test on, or fewer where train needs them; in no order."""
        ...


class _Order(NamedTuple):
    """Position by position: the example, its stratum (a class or a bin), and its place 0, 1, ... within the stratum."""

    example: Indices
    stratum: Indices
    place: Indices


class ByClass:
    """Strata are classes. Every class is in train, and one with three examples or more is in validation too."""

    promise = "hold every class"

    def __init__(self, strata: Callable[[Array], Indices] | None = None) -> None:
        """`strata(labels)`: the class of each example; None: the labels themselves."""
        self._strata = strata or _classes

    def order(self, labels: Array, share: float, seed: int) -> Seen:
        seen = _spread(self._strata(labels), np.random.default_rng([seed, ORDER]))
        held = _held(seen.place - 2.0, share)  # a class begins with its third example
        return Seen(seen.example, held, int(np.flatnonzero(seen.place == 0)[-1]) + 1)

    def test(self, labels: Array, size: int, seed: int) -> Indices:
        whole = _spread(self._strata(labels), np.random.default_rng([seed, TEST]))
        return _last(whole.example[whole.place > 0], size)


class ByBins:
    """Strata are bins, which take turns in random order, so that the share is right for a few examples too."""

    promise = "train and validate"

    def __init__(self, strata: Callable[[Array], Indices] | None = None) -> None:
        """`strata(labels)`: the bin of each example; None: quantiles of the labels."""
        self._strata = strata or bins

    def order(self, labels: Array, share: float, seed: int) -> Seen:
        seen = _spread(self._strata(labels), np.random.default_rng([seed, ORDER]))
        count = int(seen.stratum.max(initial=0)) + 1
        turns = np.random.default_rng([seed, ORDER, 1]).permutation(count)
        return Seen(seen.example, _held(seen.place - np.floor(turns[seen.stratum] / (count * share)), share), 1)

    def test(self, labels: Array, size: int, seed: int) -> Indices:
        return _last(_spread(self._strata(labels), np.random.default_rng([seed, TEST])).example[1:], size)


def bins(values: Array) -> Indices:
    """BINS quantiles."""
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank * min(BINS, len(values)) // max(1, len(values))


def _classes(labels: Array) -> Indices:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _spread(strata: Indices, rng: np.random.Generator) -> _Order:
    """The p-th of a stratum's s examples stands at (p + 1/2) / s of the way, ties at random. So a prefix of m examples holds
    m x (share of the class) of a class, to within 1/2 + share x (classes - 2) / 2."""
    shuffled = rng.permutation(len(strata))
    stratum = strata[shuffled]
    sizes = np.bincount(stratum)
    grouped = np.argsort(stratum, kind="stable")
    place = np.empty_like(grouped)
    place[grouped] = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    spread = np.argsort((place + 0.5) / sizes[stratum], kind="stable")
    return _Order(shuffled[spread], stratum[spread], place[spread])


def _held(late: Array, share: float) -> NDArray[np.bool_]:
    """True where an example is for validation: one of every 1 / share places of its stratum, counted by `late` from 0."""
    held: NDArray[np.bool_] = (late >= 0) & (np.floor(late * share + 1e-9) > np.floor((late - 1) * share + 1e-9))
    return held


def _last(spare: Indices, size: int) -> Indices:
    return spare[max(0, len(spare) - size) :]


class ByLabels:
    """Sets of labels: iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data",
    ECML PKDD 2011), as the package iterative-stratification has it.

    The order is one of folds, each of which keeps the labels' frequencies, so that prefixes are stratified to within a fold.
    """

    promise = "train and validate"
    FOLDS = 20
    LEAST = 20
    """Examples of a fold, at least."""

    def order(self, labels: Array, share: float, seed: int) -> Seen:
        rng = np.random.default_rng([seed, ORDER])
        shuffled = rng.permutation(len(labels))
        folds = max(1, min(self.FOLDS, len(labels) // self.LEAST))
        part = _iterative(labels[shuffled], np.tile([1 - share, share], folds) / folds, rng)
        place = np.lexsort((rng.random(len(labels)), part // 2))
        return Seen(shuffled[place], part[place] % 2 == 1, 1)

    def test(self, labels: Array, size: int, seed: int) -> Indices:
        rng = np.random.default_rng([seed, TEST])
        shuffled, share = rng.permutation(len(labels)), min(size, len(labels) - 1) / len(labels)
        chosen = shuffled[_iterative(labels[shuffled], np.array([1 - share, share]), rng) == 1]
        return chosen if len(chosen) else shuffled[:1]


def _iterative(labels: Array, shares: NDArray[np.float64], rng: np.random.Generator) -> Indices:
    from iterstrat.ml_stratifiers import IterativeStratification

    chance = np.random.RandomState(rng.integers(2**32))
    found: Indices = IterativeStratification(labels > 0, shares, chance)
    return found
