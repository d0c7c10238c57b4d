"""How much each method's score depends on luck, in the groups of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tuneworth.advice.evidence import FEW
from tuneworth.cells import Cell, Group, with_failures
from tuneworth.report.value import Report
from tuneworth.stats import (
    Interval,
    collapse_rate,
    pitman_morgan,
    spread_interval,
    spread_ratio,
    standard_deviation,
    worst_of,
)

__all__ = ["Stable", "stability"]

Ruling = Literal["varies more", "varies less", "not clear"]


@dataclass(frozen=True)
class Stable:
    """One method. A failed trial counts with the baseline's score; so its `cell` has one for every trial that ended.

    `collapsed`: the share of trials no better than the baseline, with Wilson's interval; None without a baseline.
    `worst`: the expected worst of `of` runs, the same number for all methods of the group.
    `ratio`: the interval of its spread over the reference's; None for the reference, or below 3 shared seeds.
    """

    cell: Cell
    spread: float | None
    spread_interval: Interval | None
    collapsed: tuple[float, Interval] | None
    worst: float
    of: int
    ratio: Interval | None
    ruling: Ruling | None


def stability(report: Report, group: Group) -> tuple[Stable, ...]:
    """One a method with results."""
    cells = [with_failures(cell, group.baseline) for cell in group.cells if cell.scores]
    fewest = min((len(cell.scores) for cell in cells), default=0)
    full = next((cell for cell in cells if cell.method == report.reference), None)
    return tuple(_stable(cell, full, group.baseline, fewest, report.question.confidence) for cell in cells)


def _stable(cell: Cell, full: Cell | None, baseline: float | None, fewest: int, confidence: float) -> Stable:
    scores = list(cell.scores.values())
    ratio, ruling = _against(cell, full, confidence) if full and full is not cell else (None, None)
    spread = standard_deviation(scores)
    varies = spread is not None and spread > 1e-9  # where all seeds agree, 0 to 0 would claim to know that for sure
    return Stable(
        cell, spread, spread_interval(scores, confidence) if varies else None,
        None if baseline is None else collapse_rate(scores, baseline, confidence),
        worst_of(scores, fewest), fewest, ratio, ruling,
    )  # fmt: skip


def _against(cell: Cell, full: Cell, confidence: float) -> tuple[Interval | None, Ruling | None]:
    """The ratio of the spreads, and whether Pitman and Morgan's paired test tells them apart."""
    shared = sorted(cell.scores.keys() & full.scores.keys())
    if len(shared) < FEW:
        return None, None
    own, other = [cell.scores[seed] for seed in shared], [full.scores[seed] for seed in shared]
    test, level = pitman_morgan(own, other), (1 - confidence) / 2
    if test is None:
        return None, "not clear"
    more, less = test.p_above(0.0) <= level, test.p_below(0.0) <= level
    return spread_ratio(own, other, confidence), "varies more" if more else "varies less" if less else "not clear"
