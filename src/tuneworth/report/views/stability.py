"""How much each method's score depends on luck, in the groups of a report."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from tuneworth.report.value import Report
from tuneworth.results.cells import Cell, Group, answers_in, collapsed_seeds, with_failures
from tuneworth.stats import (
    FEWEST_FOR_SPREADS,
    Answers,
    Interval,
    shared_seeds,
    spread_interval,
    spread_ratio,
    standard_deviation,
    wilson,
    worst_of,
)

__all__ = ["Stable", "spread_of", "stability"]

Ruling = Literal["varies more", "varies less", "not clear"]


@dataclass(frozen=True)
class Stable:
    """One method. A failed trial counts with the baseline's score; so its `cell` has one for every trial that ended.

    `collapsed`: how many trials learnt nothing, and Wilson's interval of their share; None without a baseline.
    `worst`: the expected worst of `of` runs, the same number for all methods of the group.
    `ratio`: the interval of its spread over the reference's, by `ruling`'s own test; None for the reference, below 5 shared
    seeds, and where the seeds rule out nothing.
    """

    cell: Cell
    spread: float | None
    spread_interval: Interval | None
    collapsed: tuple[int, Interval] | None
    worst: float
    of: int
    disagree: float | None
    """The share of test examples that two of its seeds answer unlike, over all pairs of them; None where no classes are
    answered, or not every answer was kept."""
    ratio: Interval | None
    ruling: Ruling | None


def stability(report: Report, group: Group) -> tuple[Stable, ...]:
    """One a method with results."""
    cells = [with_failures(cell, group.baseline) for cell in group.cells if cell.scores]
    fewest = min((len(cell.scores) for cell in cells), default=0)
    full = next((cell for cell in cells if cell.method == report.reference), None)
    known = answers_in(group, report.answers)
    return tuple(
        _stable(cell, full, group.baseline, fewest, report.question.confidence, disagreement(known.get(cell.method)))
        for cell in cells
    )


def disagreement(answers: Answers | None) -> float | None:
    """See `Stable.disagree`."""
    given = list(answers.predictions.values()) if answers else []
    if len(given) < 2 or given[0].ndim != 1 or given[0].dtype.kind not in "iu":
        return None
    return float(np.mean([np.mean(one != other) for one, other in combinations(given, 2)]))


def spread_of(cell: Cell, baseline: float | None, confidence: float) -> tuple[float | None, Interval | None]:
    """The standard deviation over all trials that ended, and its interval from 5 on. Where all agree there is none: 0 to 0
    would claim to know that for sure."""
    scores = list(with_failures(cell, baseline).scores.values())
    spread = standard_deviation(scores) if scores else None
    varies = spread is not None and spread > 1e-9 and len(scores) >= FEWEST_FOR_SPREADS
    return spread, spread_interval(scores, confidence) if varies else None


def _stable(
    cell: Cell, full: Cell | None, baseline: float | None, fewest: int, confidence: float, disagree: float | None
) -> Stable:
    ratio, ruling = _against(cell, full, confidence) if full and full is not cell else (None, None)
    lost = len(collapsed_seeds(cell, baseline))
    return Stable(
        cell, *spread_of(cell, baseline, confidence),
        None if baseline is None else (lost, wilson(lost, len(cell.scores), confidence)),
        worst_of(list(cell.scores.values()), fewest), fewest, disagree, ratio, ruling,
    )  # fmt: skip


def _against(cell: Cell, full: Cell, confidence: float) -> tuple[Interval | None, Ruling | None]:
    """The ratio of the spreads, and whether the paired test tells them apart."""
    shared = shared_seeds(cell.scores, full.scores)
    if len(shared) < FEWEST_FOR_SPREADS:
        return None, None
    found, level = spread_ratio(*([one.scores[seed] for seed in shared] for one in (cell, full))), (1 - confidence) / 2
    if found is None:
        return None, "not clear"
    more, less = found.p_larger(1.0) <= level, found.p_smaller(1.0) <= level
    return found.interval(confidence), "varies more" if more else "varies less" if less else "not clear"
