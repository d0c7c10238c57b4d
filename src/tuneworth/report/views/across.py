"""Methods over all tasks of a study: how much of the way to the best method each goes, and its rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tuneworth.report.value import Report
from tuneworth.results.cells import Group, judged
from tuneworth.stats import (
    Estimate,
    Interval,
    average_rank,
    interquartile_mean,
    normalised,
    over_seeds,
    over_tasks,
    shared_seeds,
    stratified_interval,
)

__all__ = ["Across", "Standing", "across"]


@dataclass(frozen=True)
class Standing:
    """One method. `middle`: the interquartile mean of (score - baseline) / (best - baseline) over trials of all tasks.
    `apart`: the mean, over tasks like these, of its score less the first one's, in points; None for the first, and where no two
    tasks have two seeds of both."""

    method: str
    middle: float
    interval: Interval
    rank: float
    apart: Estimate | None = None


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
    standings.sort(key=lambda one: -one.middle)
    first = standings[0].method
    standings[1:] = [replace(one, apart=_apart(groups, one.method, first)) for one in standings[1:]]
    left_out = tuple(group.task for group in groups if group.task not in tasks)
    return Across(model, tasks, left_out, tuple(standings))


def _apart(groups: list[Group], method: str, first: str) -> Estimate | None:
    """Over the trials that trained, paired by seed, of each task that has two or more."""
    estimates = []
    for group in groups:
        scores = {cell.method: judged(cell, group.baseline).scores for cell in group.cells}
        shared = shared_seeds(scores[method], scores[first])
        if len(shared) > 1 and (found := over_seeds([scores[method][s] - scores[first][s] for s in shared])):
            estimates.append(found)
    return over_tasks(estimates)


def _scores(group: Group, method: str) -> list[float]:
    return [score for cell in group.cells if cell.method == method for score in cell.scores.values()]
