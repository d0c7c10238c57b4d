"""Methods over all tasks of a study: how much of the way to the best method each goes, and its rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tuneworth.report.value import Report
from tuneworth.results.cells import Group
from tuneworth.stats import Interval, average_rank, interquartile_mean, normalised, stratified_interval

__all__ = ["Across", "Standing", "across"]


@dataclass(frozen=True)
class Standing:
    """One method. `middle`: the interquartile mean of (score - baseline) / (best - baseline) over trials of all tasks."""

    method: str
    middle: float
    interval: Interval
    rank: float


@dataclass(frozen=True)
class Across:
    """One model's methods, best first; `left_out`: tasks on which no method is above the baseline."""

    model: str
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    standings: tuple[Standing, ...]


def across(report: Report) -> tuple[Across, ...]:
    """For each model with two tasks or more that can be put on one scale; of the groups that advice is about, the methods
    that have results in all of them."""
    models = dict.fromkeys(group.model for group in report.featured)
    found = (_across(model, [g for g in report.featured if g.model == model], report) for model in models)
    return tuple(one for one in found if one)


def _across(model: str, groups: list[Group], report: Report) -> Across | None:
    known = [group for group in groups if group.baseline is not None]
    everywhere = [m for m in report.methods if all(_scores(group, m) for group in known)]
    if len(known) < 2 or len(everywhere) < 2:
        return None
    scores = {group.task: {method: _scores(group, method) for method in everywhere} for group in known}
    scaled = normalised(scores, {group.task: group.baseline or 0.0 for group in known})
    tasks = tuple(next(iter(scaled.values()), {}))
    if len(tasks) < 2:
        return None
    ranks = average_rank({task: scores[task] for task in tasks})
    standings = [
        Standing(method, interquartile_mean(np.concatenate(list(own.values()))),
                 stratified_interval(own, np.random.default_rng(0), report.question.confidence), ranks[method])
        for method, own in scaled.items()
    ]  # fmt: skip
    left_out = tuple(group.task for group in groups if group.task not in tasks)
    return Across(model, tasks, left_out, tuple(sorted(standings, key=lambda one: -one.middle)))


def _scores(group: Group, method: str) -> list[float]:
    return [score for cell in group.cells if cell.method == method for score in cell.scores.values()]
