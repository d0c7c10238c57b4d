"""The numbers behind all charts, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import log10
from typing import Any

from tuneworth import words
from tuneworth.advice import Advice
from tuneworth.advice.evidence import FEW
from tuneworth.report.value import Report
from tuneworth.report.views.summaries import COSTS, Summary
from tuneworth.results.rows import Row
from tuneworth.stats import Interval, mean, mean_interval
from tuneworth.tasks.summary import metric_of

__all__ = ["chart_data", "log_fractions", "panels", "places"]

PLACE = ("panel", "method", "fraction", "budget")
TRIALS = (*PLACE, "seed", "score", "x")
CELLS = (
    *PLACE, "x", "seeds", "mean", "low", "high", "spread", "spread_low", "spread_high", *COSTS,
    *(f"on_{cost}" for cost in COSTS), *(f"sure_{cost}" for cost in COSTS), "least_seconds", "most_seconds",
)  # fmt: skip
PROGRESS = (*PLACE, "point", "seconds", "mean", "low", "high", "seeds")
CURVES = (*PLACE, "seed", "seconds", "score")
NAMED = 6
"""Methods that the sentence of a chart names."""
NOWHERE = -1e9
"""A baseline that is not to be drawn: clipped, being far below every score."""

Table = dict[str, Any]


def panels(report: Report, cells: Sequence[Summary]) -> list[dict[str, Any]]:
    """One a model and task with a finished trial: its title, its baseline, and the score ranges that are shown."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in report.trials:
        found.setdefault((row["model"], row["task"]), []).append(row)
    several = len({model for model, _ in found}) > 1
    asked = {(advice.model, advice.task): advice for advice in report.advice}
    return [
        _panel(model, task, rows, [one for one in cells if (one.group.model, one.group.task) == (model, task)], several)
        | _asked(asked[model, task])
        for (model, task), rows in found.items()
    ]  # fmt: skip


def _asked(advice: Advice) -> dict[str, Any]:
    """What the overview shows of a panel, and its scores in one sentence, for those who see no chart."""
    each = [f"{one.method} {words.points(one.score)}" for one in advice.candidates]
    ranked = words.listed(each if len(each) <= NAMED else [*each[: NAMED - 1], f"last {each[-1]}"])
    where = f"at {words.fraction(advice.fraction)} of the training data and {words.budget(advice.budget)}"
    return {
        "asked_budget": advice.budget, "asked_fraction": advice.fraction,
        "recommended": advice.recommendation.method if advice.recommendation else "",
        "says": f"{where}, scores are {ranked}",
    }  # fmt: skip


def places(report: Report) -> list[tuple[str, str]]:
    """Model and task of each panel, in order."""
    return list(dict.fromkeys((row["model"], row["task"]) for row in report.trials))


def chart_data(report: Report, cells: Sequence[Summary]) -> dict[str, Table]:
    """By name a list of field names and a list of lists. Seeds are left out of a large study."""
    index = {place: number for number, place in enumerate(places(report))}
    few, beside = () if report.large else report.trials, _beside(report)
    curves = [
        [*_place(row, index), row["seed"], _short(point["seconds"]), _short(point["score"])]
        for row in few for point in row["curve"] or () if point["score"] is not None
    ]  # fmt: skip
    trials = (
        [*_place(row, index), row["seed"], _short(row["score"]), beside(row["method"], row["fraction"])] for row in few
    )
    return {
        "trials": _table(TRIALS, trials),
        "cells": _table(CELLS, (_cell(one, index, beside) for one in cells)),
        "progress": _table(PROGRESS, _progress(report, index)),
        "curves": _table(CURVES, curves),
    }  # fmt: skip


def log_fractions(report: Report) -> bool:
    fractions: list[float] = [row["fraction"] for row in report.trials]
    return max(fractions) > 20 * min(fractions)


def _beside(report: Report) -> Callable[[str, float], float | None]:
    """A method's place on the axis of fractions: methods stand side by side, so that marks do not hide marks."""
    fractions = [row["fraction"] for row in report.trials] or [1.0]
    order, count = {method: i for i, method in enumerate(report.methods)}, len(report.methods)

    def place(method: str, fraction: float) -> float | None:
        aside = (order[method] - (count - 1) / 2) / max(1, count - 1) * 0.04
        if report.trials and log_fractions(report):
            return _short(fraction * (max(fractions) / min(fractions)) ** aside)
        return _short(fraction + (max(fractions) - min(fractions)) * aside)

    return place


def _progress(report: Report, index: dict[tuple[str, str], int]) -> Iterable[list[Any]]:
    """Validation scores by the number of the evaluation: seeds at the same share of their budget."""
    points: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in report.trials:
        for number, point in enumerate(row["curve"] or ()):
            if point["score"] is not None:
                points.setdefault((*_place(row, index), number), []).append(point)
    for place, at in points.items():
        scores = [point["score"] for point in at]
        low, high = (len(at) >= FEW and mean_interval(scores, report.question.confidence)) or (None, None)
        seconds = mean([point["seconds"] for point in at])
        yield [*place, *map(_short, (seconds, mean(scores), low, high)), len(at)]


def _cell(one: Summary, index: dict[tuple[str, str], int], beside: Callable[[str, float], float | None]) -> list[Any]:
    group, cell = one.group, one.cell
    few = len(cell.scores) < FEW  # the interval of two seeds is as wide as the chart, and hides it
    low, high = (not few and one.interval) or (None, None)
    spread = (one.spread, *(one.spread_interval or (None, None)))
    fronts = [one.fronts.get(cost) for cost in COSTS]
    return [
        index[group.model, group.task], cell.method, group.fraction, group.budget,
        beside(cell.method, group.fraction), len(cell.scores),
        *map(_short, (cell.mean, low, high, *spread)), *(_short(getattr(cell, cost)) for cost in COSTS),
        *(None if front is None else front.on for front in fronts),
        *(None if front is None else front.sure for front in fronts), *map(_short, one.seconds),
    ]  # fmt: skip


def _table(fields: Sequence[str], values: Iterable[list[Any]]) -> Table:
    return {"fields": list(fields), "values": list(values)}


def _place(row: Row, index: dict[tuple[str, str], int]) -> list[Any]:
    return [index[row["model"], row["task"]], row["method"], row["fraction"], row["budget"]]


def _short(value: float | None) -> float | None:
    """At most 6 digits: no chart shows more."""
    return None if value is None else float(f"{value:.6g}")


def _panel(model: str, task: str, rows: list[Row], cells: list[Summary], several_models: bool) -> dict[str, Any]:
    metric = metric_of(rows[0])
    baseline = max((one.group.baseline for one in cells if one.group.baseline is not None), default=None)
    low, high = _range([row["score"] for row in rows], [one.interval for one in cells if len(one.cell.scores) >= FEW])
    if baseline is not None and low - (high - low) / 2 < baseline < low:
        low = baseline - 0.09 * (high - baseline)
    curve_low, curve_high = _range([p["score"] for row in rows for p in row["curve"] or () if p["score"] is not None])
    drawn = baseline is not None and ("dashed" if low <= baseline <= high else "below" if baseline < low else "above")
    spreads = [one.spread_interval[1] if one.spread_interval else one.spread or 0.0 for one in cells]
    return {
        "title": f"{task}, {model}" if several_models else task, "subtitle": f"{words.metric(metric)}, in points",
        "baseline_said": f"; baseline {words.points(baseline)}, {drawn}" if drawn else "",
        "baseline": NOWHERE if baseline is None else baseline,
        "low": low, "high": high, "curve_low": curve_low, "curve_high": curve_high,
        "spread_high": 1.1 * max(spreads, default=0.0) or 1.0,
    }  # fmt: skip


def _range(scores: list[float], intervals: Sequence[Interval | None] = ()) -> tuple[float, float]:
    """The range of the scores, and of their intervals as far as these are no wider than the scores' own range, with a margin;
    never narrower than one point, so that noise does not look like a gap."""
    low, high = min(scores, default=0.0), max(scores, default=100.0)
    room = max(1.0, (high - low) / 2)
    ends = [end for interval in intervals if interval for end in interval]
    low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    margin = max(0.06 * (high - low), (1 - (high - low)) / 2)
    return low - margin, high + margin


def decades(values: Iterable[float]) -> float:
    """How many powers of ten the values span."""
    found = [value for value in values if value > 0]
    return log10(max(found) / min(found)) if found else 0.0
