"""The comparisons that advice rests on, each on these test examples and on new data, judged as one family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuneworth.advice import Advice
from tuneworth.cells import Cell, Group, judged, mixed
from tuneworth.report.value import Report, key_of
from tuneworth.results import Cell as CellKey
from tuneworth.stats import Answers, Comparison, Interval, compare, holm, over_seeds_and_examples

__all__ = ["Family", "Shown", "family", "on_new_data"]


@dataclass(frozen=True)
class Shown:
    """`found`: first minus second, with both intervals, taken alone. `holds`: its verdict survives Holm's correction."""

    first: str
    second: str
    found: Comparison
    holds: bool
    rising: tuple[str, ...]
    """Which of the two still learnt when the budget ended, with any seed."""
    mixed: bool


@dataclass(frozen=True)
class Family:
    """The comparisons of each advice, in the order of `Report.advice`; `size`: how many there are in all."""

    by_advice: tuple[tuple[Shown, ...], ...]
    size: int


def family(report: Report) -> Family:
    """Every pair of `Advice.comparisons`, compared as advice does (`cells.judged`).

    Each pair is asked two questions (do they differ? are they equal within the margin?), so Holm's correction is over
    twice as many p-values as there are pairs.
    """
    pairs = [[_pair(report, advice, pair.a, pair.b) for pair in advice.comparisons] for advice in report.advice]
    found = [comparison for pair in pairs for _, _, comparison in pair]
    values = [1.0 if p is None else p for one in found for p in (one.p_value, one.p_equivalent)]
    adjusted = iter(holm(values))
    level = 1 - report.question.confidence
    shown = tuple(
        tuple(
            Shown(
                a.method, b.method, comparison, _holds(comparison, next(adjusted), next(adjusted), level),
                tuple(cell.method for cell in (a, b) if cell.rising), mixed(a, b),
            ) for a, b, comparison in pair
        ) for pair in pairs
    )  # fmt: skip
    return Family(shown, len(found))


def on_new_data(report: Report) -> dict[CellKey, Interval]:
    """For each cell: the interval of its difference from the reference over new seeds and new examples, where the store has
    the predictions of both. In a large study only for the groups that advice is about: each takes a moment."""
    found = {}
    for group in report.featured if report.large else report.groups:
        full = report.reference_cell(group)
        for cell in group.cells if full else ():
            both = _answers(report, group, cell, full) if full and cell is not full else None
            estimate = over_seeds_and_examples(*both) if both else None
            interval = estimate.interval(report.question.confidence) if estimate else None
            if interval:
                found[key_of(group, cell.method)] = interval
    return found


def _pair(report: Report, advice: Advice, a: str, b: str) -> tuple[Cell, Cell, Comparison]:
    group = next(group for group in report.featured if (group.model, group.task) == (advice.model, advice.task))
    by_method: Mapping[str, Cell] = {cell.method: judged(cell, group.baseline) for cell in group.cells}
    first, second = by_method[a], by_method[b]
    both = _answers(report, group, first, second)
    found = compare(first.scores, second.scores, report.question.margin, report.question.confidence, both)
    assert found is not None, "advice compares only methods that share a seed"
    return first, second, found


def _answers(report: Report, group: Group, first: Cell, second: Cell) -> tuple[Answers, Answers] | None:
    a, b = (report.answers.get(key_of(group, cell.method)) for cell in (first, second))
    return (a, b) if a and b else None


def _holds(found: Comparison, p_value: float, p_equivalent: float, level: float) -> bool:
    return {"undecided": False, "equivalent": p_equivalent <= level}.get(found.verdict, p_value <= level)
