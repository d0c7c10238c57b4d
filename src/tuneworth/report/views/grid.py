"""The whole study at a glance: method by amount of data and budget, with what is best and what is shown to equal it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneworth.advice.evidence import weigh
from tuneworth.advice.value import Status
from tuneworth.report.value import Report, key_of
from tuneworth.report.views.summaries import Summary
from tuneworth.results.cells import Group, answers_in
from tuneworth.results.rows import CellKey
from tuneworth.stats import Interval

__all__ = ["Entry", "Grid", "grids"]


@dataclass(frozen=True)
class Entry:
    """A cell with results. `best`: no method of its group has a higher mean; `equal`: it is shown to be within the margin of
    the best one, by the rule of the advice (advice.evidence)."""

    mean: float
    interval: Interval | None
    seeds: int
    best: bool
    equal: bool


@dataclass(frozen=True)
class Grid:
    """One model and task. `entries` by method, in the order of `columns`; None: no result."""

    model: str
    task: str
    metric: str | None
    columns: tuple[tuple[float, str], ...]
    """(Fraction, budget)."""
    entries: Mapping[str, tuple[Entry | None, ...]]


def grids(report: Report, cells: Sequence[Summary]) -> tuple[Grid, ...]:
    """In the report's order; models and tasks without a result are left out."""
    summary = {key_of(one.group, one.cell.method): one for one in cells}
    found = []
    for model, task in dict.fromkeys((group.model, group.task) for group in report.groups):
        groups = [group for group in report.groups if (group.model, group.task) == (model, task)]
        columns = [_column(group, report, summary) for group in groups]
        methods = [method for method in report.methods if any(method in column for column in columns)]
        if methods:
            metric = next((group.metric for group in groups if group.metric), None)
            places = tuple((group.fraction, group.budget) for group in groups)
            found.append(Grid(model, task, metric, places,
                              {method: tuple(column.get(method) for column in columns) for method in methods}))  # fmt: skip
    return tuple(found)


def _column(group: Group, report: Report, summary: Mapping[CellKey, Summary]) -> dict[str, Entry]:
    cells = [cell for cell in group.cells if cell.scores]
    if not cells:
        return {}
    asked = report.question
    status: Mapping[str, Status] = {}
    if len(cells) > 1:
        known = answers_in(group, report.answers)
        status = weigh(cells, group.baseline, asked.margin, asked.confidence, known, group.leaked).status
    best = max(cell.mean or 0.0 for cell in cells)
    return {
        cell.method: Entry(cell.mean or 0.0, summary[key_of(group, cell.method)].interval, len(cell.scores),
                           cell.mean == best, status.get(cell.method) == "inside")
        for cell in cells
    }  # fmt: skip
