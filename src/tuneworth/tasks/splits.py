"""Which examples a trial sees: the fairness core, pure numpy.

One seed gives one stratified order of the training split. A fraction is a prefix of it, so that fractions are nested;
an example is kept for validation by its place among the examples of its class alone, so that both parts are nested.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import SpecError
from tuneworth.spec import Kind

__all__ = ["Split", "order", "take", "test_split"]

BINS = 10
"""Regression is stratified by this many quantile bins of the target."""

_ORDER, _TEST = 0x5EED01, 0x5EED02
"""Tags that keep these streams of chance apart from every other one that is made from the same seed."""

Indices = NDArray[np.int64]


class Split(NamedTuple):
    """Indices into the training split, disjoint, each in the order of the seed."""

    train: Indices
    validation: Indices


class _Order(NamedTuple):
    """Position by position: the example, its stratum (a class or a bin), and its place 0, 1, ... within the stratum."""

    example: Indices
    stratum: Indices
    place: Indices


def order(labels: NDArray[Any], kind: Kind, seed: int) -> Indices:
    """A permutation of the examples of which every prefix is stratified.

    `labels` has shape (n,). The p-th of a stratum's s examples stands at (p + 1/2) / s of the way, ties at random. So
    a prefix of m examples holds m x (share of the class) of a class, to within 1/2 + share x (classes - 2) / 2.
    """
    return _order(labels, kind, np.random.default_rng([seed, _ORDER])).example


def take(labels: NDArray[Any], kind: Kind, fraction: float, seed: int, validation_share: float = 0.1) -> Split:
    """The first round(fraction x n) examples of the seed's order, about `validation_share` of them for validation.

    A class that has three examples or more among them has one at least in validation; a class always has one in
    train. For a smaller fraction of the same seed both parts are prefixes of what they are here. Raises SpecError
    where the share is too small for that, and names the smallest fraction that works.
    """
    seen = _order(labels, kind, np.random.default_rng([seed, _ORDER]))
    held = _held(seen, kind, validation_share, seed)
    size = round(fraction * len(labels))
    needed = _smallest(seen, held, kind)
    if size < needed:
        raise _too_small(fraction, len(labels), needed, kind)
    return Split(seen.example[:size][~held[:size]], seen.example[:size][held[:size]])


def test_split(labels: NDArray[Any], kind: Kind, share: float, seed: int) -> tuple[Indices, Indices]:
    """(train, test) indices, ascending. Test has round(share x n) examples, at least one; train keeps every class."""
    whole = _order(labels, kind, np.random.default_rng([seed, _TEST]))
    spare = whole.example[whole.place > 0] if kind == "classification" else whole.example[1:]
    test = spare[max(0, len(spare) - max(1, round(share * len(labels)))) :]
    return np.setdiff1d(whole.example, test), np.sort(test)


test_split.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def _order(labels: NDArray[Any], kind: Kind, rng: np.random.Generator) -> _Order:
    shuffled = rng.permutation(len(labels))
    stratum = _strata(labels, kind)[shuffled]
    sizes = np.bincount(stratum)
    grouped = np.argsort(stratum, kind="stable")
    place = np.empty_like(grouped)
    place[grouped] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    spread = np.argsort((place + 0.5) / sizes[stratum], kind="stable")
    return _Order(shuffled[spread], stratum[spread], place[spread])


def _strata(labels: NDArray[Any], kind: Kind) -> Indices:
    if kind == "classification":
        return np.unique(labels, return_inverse=True)[1].astype(np.int64)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[np.argsort(labels, kind="stable")] = np.arange(len(labels))
    return rank * min(BINS, len(labels)) // max(1, len(labels))


def _held(seen: _Order, kind: Kind, share: float, seed: int) -> NDArray[np.bool_]:
    """True where an example is for validation: one of every 1 / share places of its stratum.

    A class begins with its third example. Bins take turns instead, in random order, so that the share is right for a
    few examples too.
    """
    if kind == "classification":
        first = np.full(seen.stratum.shape, 2.0)
    else:
        bins = int(seen.stratum.max(initial=0)) + 1
        turns = np.random.default_rng([seed, _ORDER, 1]).permutation(bins)
        first = np.floor(turns[seen.stratum] / (bins * share))
    late = seen.place - first
    held: NDArray[np.bool_] = (late >= 0) & (np.floor(late * share + 1e-9) > np.floor((late - 1) * share + 1e-9))
    return held


def _smallest(seen: _Order, held: NDArray[np.bool_], kind: Kind) -> float:
    """The least number of examples that hold every class in train and something in validation."""
    if not held.any() or held.all():
        return math.inf
    wanted = [int(np.argmax(held)), int(np.argmin(held))]
    if kind == "classification":
        wanted.append(int(np.flatnonzero(seen.place == 0)[-1]))
    return max(wanted) + 1


def _too_small(fraction: float, n: int, needed: float, kind: Kind) -> SpecError:
    what = "hold every class" if kind == "classification" else "train and validate"
    problem = f"fraction {fraction:g} of {n} examples is too small to {what}"
    if needed > n:
        return SpecError(problem, f"{n} examples are too few for a training and a validation part: add some")
    smallest = math.ceil(needed / n * 1000) / 1000
    return SpecError(problem, f"the smallest fraction that works is {min(smallest, 1.0):g}")
