"""Which examples a trial sees: nested fractions, and what of them validates. `kinds.strata` has the order."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import SpecError
from tuneworth.kinds import get_kind

__all__ = ["Split", "order", "take", "test_split"]

SHARE = 0.1
"""Of the examples that a trial sees, for validation."""

Indices = NDArray[np.int64]


class Split(NamedTuple):
    """Indices into the training split, disjoint, each in the order of the seed."""

    train: Indices
    validation: Indices


def order(labels: NDArray[Any], kind: str, seed: int) -> Indices:
    """A permutation of the examples of which every prefix is stratified. `labels`: n first, as the kind has them."""
    return get_kind(kind).strata.order(labels, SHARE, seed).example


def take(labels: NDArray[Any], kind: str, fraction: float, seed: int, validation_share: float = SHARE) -> Split:
    """The first round(fraction x n) examples of the seed's order, about `validation_share` of them for validation.

    For a smaller fraction of the same seed both parts are prefixes of what they are here. Of classes, one that has three
    examples or more among them has one at least in validation, and each has one in train. Raises SpecError where the share
    is too small for that, and names the smallest fraction that works.
    """
    strata = get_kind(kind).strata
    seen = strata.order(labels, validation_share, seed)
    size = round(fraction * len(labels))
    held = seen.held
    whole = held.any() and not held.all()
    needed = max(int(np.argmax(held)) + 1, int(np.argmin(held)) + 1, seen.needed) if whole else math.inf
    if size < needed:
        raise _too_small(fraction, len(labels), needed, strata.promise)
    return Split(seen.example[:size][~held[:size]], seen.example[:size][held[:size]])


def test_split(labels: NDArray[Any], kind: str, share: float, seed: int) -> tuple[Indices, Indices]:
    """(train, test) indices, ascending. Test has round(share x n) examples, at least one; train keeps every class."""
    test = get_kind(kind).strata.test(labels, max(1, round(share * len(labels))), seed)
    return np.setdiff1d(np.arange(len(labels)), test), np.sort(test)


test_split.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def _too_small(fraction: float, n: int, needed: float, promise: str) -> SpecError:
    problem = f"fraction {fraction:g} of {n} examples is too small to {promise}"
    if needed > n:
        return SpecError(problem, f"{n} examples are too few for a training and a validation part: add some")
    smallest = math.ceil(needed / n * 1000) / 1000
    return SpecError(problem, f"the smallest fraction that works is {min(smallest, 1.0):g}")
