"""Which of the methods can be compared at all, which are the same so far, and which have not had their chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import isnan

import numpy as np

from tuneworth.results.cells import Cell
from tuneworth.stats import Answers, Regret, shared_seeds
from tuneworth.stats.compare import FEWEST

__all__ = ["alike", "comparable", "undertrained"]


def comparable(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of which any two share 3 seeds: without those that share as many with the fewest others, one by one. All
    of them, where fewer than two are left."""
    left = list(cells)

    def rank(cell: Cell) -> tuple[int, int, str]:
        partners = sum(len(shared_seeds(cell.scores, other.scores)) >= FEWEST for other in left)
        return partners, sum(not isnan(score) for score in cell.scores.values()), cell.method

    while left and (least := min(left, key=rank)) and rank(least)[0] < len(left):
        left.remove(least)
    return left if len(left) > 1 else list(cells)


def undertrained(cell: Cell, behind: Regret, margin: float) -> bool:
    """Whether twice the budget, at the pace of its last third, could bring a rising method within the margin."""
    return cell.rising is not None and behind.low <= margin + 3 * cell.rising


def alike(cells: Sequence[Cell], answers: Mapping[str, Answers]) -> tuple[str, ...]:
    """The methods that score best, where they gave one another's answer to every test example, at every seed they share."""

    def same(first: Cell, second: Cell) -> bool:
        a, b = answers[first.method].predictions, answers[second.method].predictions
        return all(np.array_equal(a[seed], b[seed]) for seed in shared_seeds(first.scores, second.scores))

    most = max((cell.mean for cell in cells if cell.mean is not None), default=None)
    best = [cell for cell in cells if cell.mean is not None and cell.mean == most]
    known = len(best) > 1 and all(cell.method in answers and not cell.failed for cell in best)
    equal = known and all(same(first, second) for first, second in combinations(best, 2))
    return tuple(cell.method for cell in best) if equal else ()
