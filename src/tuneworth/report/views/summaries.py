"""Every cell in numbers: mean and spread with intervals, costs, and the place on each Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tuneworth.advice.evidence import FEW
from tuneworth.report.value import Report, key_of
from tuneworth.report.views.stability import spread_of
from tuneworth.results.cells import Cell, Group, compared
from tuneworth.results.rows import CellKey, Row, cell_of
from tuneworth.stats import Interval, front, front_probability, mean_interval

__all__ = ["COSTS", "Front", "Summary", "summaries"]

COSTS = {
    "train_seconds": "Training time",
    "peak_memory_bytes": "Peak memory",
    "trainable_parameters": "Trained parameters",
    "delta_bytes": "Delta size",
}
"""What a score may be set against: a column of the results, and its name."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Front:
    """Whether no other method of the group scores as much at no more cost; `sure`: how often that is so when the seeds are
    drawn anew, None for fewer than 3 seeds that all methods share."""

    on: bool
    sure: float | None


@dataclass(frozen=True)
class Summary:
    """A cell with results. `interval`: of its mean score; `spread`: over all trials (`stability.spread_of`); `fronts`: by
    cost, where it was measured."""

    group: Group
    cell: Cell
    interval: Interval | None
    spread: float | None
    spread_interval: Interval | None
    fronts: Mapping[str, Front]
    seconds: tuple[float | None, float | None] = (None, None)
    """The least and the most training time of its seeds."""


def summaries(report: Report) -> tuple[Summary, ...]:
    """One a cell with results, in the order of `Report.groups`."""
    rows: dict[CellKey, list[Row]] = {}
    for row in report.trials:
        rows.setdefault(cell_of(row), []).append(row)
    confidence = report.question.confidence
    found = []
    for group in report.groups:
        cells = [cell for cell in group.cells if cell.scores]
        fronts = {
            cost: _fronts(cost, group, {c.method: rows[key_of(group, c.method)] for c in cells}) for cost in COSTS
        }
        for cell in cells:
            interval = _interval(list(compared(cell, group.baseline).values()), confidence)
            own = {cost: by_method[cell.method] for cost, by_method in fronts.items() if cell.method in by_method}
            times = [r["train_seconds"] for r in rows[key_of(group, cell.method)] if r["train_seconds"] is not None]
            span = (min(times, default=None), max(times, default=None))
            found.append(Summary(group, cell, interval, *spread_of(cell, group.baseline, confidence), own, span))
    return tuple(found)


def _interval(scores: list[float], confidence: float) -> Interval | None:
    """No score is above 100, and neither is an interval. Where all seeds agree there is none: it would claim to know for sure."""
    low, high = mean_interval(scores, confidence) or (0.0, 0.0)
    return (low, min(high, 100.0)) if low < high else None


def _fronts(cost: str, group: Group, rows: Mapping[str, Sequence[Row]]) -> dict[str, Front]:
    """By method, of those whose cost was measured."""
    cells = [cell for cell in group.cells if cell.scores and getattr(cell, cost) is not None]
    if not cells:
        return {}
    on = front({cell.method: cell.mean or 0.0 for cell in cells}, {cell.method: getattr(cell, cost) for cell in cells})
    costs = {
        cell.method: {row["seed"]: row[cost] for row in rows[cell.method] if row[cost] is not None} for cell in cells
    }
    scores = {cell.method: compared(cell, group.baseline) for cell in cells}
    shared = set.intersection(*(set(scores[cell.method]) & set(costs[cell.method]) for cell in cells))
    sure: dict[str, float] = {}
    if len(shared) >= FEW:
        sure = front_probability(scores, costs, np.random.default_rng(0), RESAMPLES)
    return {cell.method: Front(cell.method in on, sure.get(cell.method)) for cell in cells}
