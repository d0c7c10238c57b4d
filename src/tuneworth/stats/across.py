"""Methods over several tasks: scores made comparable, then their middle, their profile and their ranks.

Never a rating by wins (Elo and its like): from three tasks it would rank noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tuneworth.stats.estimate import Estimate, over_seeds, settle
from tuneworth.stats.location import Interval, checked

__all__ = ["average_rank", "normalised", "over_tasks", "performance_profile", "stratified_interval"]

WEIGHT = 4.0
"""Degrees of freedom that the mean variance of all tasks is worth beside each task's own: with those alone as weights, three
seeds a task make 95% intervals hold 78 to 92% (docs/evidence.md)."""

TaskScores = Mapping[str, Mapping[str, Sequence[float]]]
"""Task -> method -> one score a trial, in points."""


def normalised(scores: TaskScores, baselines: Mapping[str, float]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """method -> task -> (score - baseline) / (best - baseline), best being the highest mean of a method on that task.

    0 is one answer for all, 1 the best method's mean. A task on which no method beats the baseline tells methods apart
    by noise alone: it is left out. Use `interquartile_mean` over a method's tasks (Agarwal et al., NeurIPS 2021).
    """
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    for task, methods in scores.items():
        best = max(float(checked(values).mean()) for values in methods.values())
        if best > baselines[task]:
            for method, values in methods.items():
                share = (checked(values) - baselines[task]) / (best - baselines[task])
                found.setdefault(method, {})[task] = share
    return found


def over_tasks(estimates: Sequence[Estimate]) -> Estimate | None:
    """The mean, over all tasks like these, of what each of `estimates` is of in one task; None for fewer than 2.

    A random-effects mean: estimate y_i has the variance v_i + tau^2, of its seeds and of tasks. tau^2 is the variance of the
    y_i less the mean v_i, 0 at least (Hedges 1983); tasks weigh w_i = 1 / (v_i + tau^2), and the mean's variance is
    sum w_i (y_i - mean)^2 / ((m - 1) sum w_i) at m - 1 degrees of freedom (Hartung and Knapp, Statistics in Medicine 20, 2001).
    In the weights each v_i is drawn towards the mean of all (`WEIGHT`), since few seeds tell a variance badly.
    """
    tasks = len(estimates)
    if tasks < 2:
        return None
    value = np.array([one.value for one in estimates])
    own, freedom = np.array([[one.error**2, one.freedom] for one in estimates]).T
    variance = (freedom * own + WEIGHT * own.mean()) / (freedom + WEIGHT)
    between = max(0.0, float(value.var(ddof=1) - own.mean()))
    if between + own.mean() == 0:
        return over_seeds(value)  # nothing differs, within tasks or between them
    weight = 1 / (variance + between)
    mean = float(weight @ value / weight.sum())
    error = float(np.sqrt(weight @ np.square(value - mean) / ((tasks - 1) * weight.sum())))
    return Estimate(mean, settle(error, value), tasks - 1, tasks)


def stratified_interval(
    by_task: Mapping[str, ArrayLike], generator: np.random.Generator, confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """The percentile bootstrap interval of the interquartile mean of all values, trials drawn anew within each task.

    As rliable's (Agarwal et al. 2021): chance of trials, for these tasks; too narrow below some 5 trials a
    task. Raises ValueError where there is no value.
    """
    draws = [generator.choice(checked(values), size=(resamples, np.size(values))) for values in by_task.values()]
    if not draws:
        raise ValueError("no task has a value")
    drawn = np.sort(np.concatenate(draws, axis=1), axis=1)
    cut = drawn.shape[1] // 4
    middles = drawn[:, cut : drawn.shape[1] - cut].mean(1)  # `interquartile_mean`, row by row
    low, high = np.quantile(middles, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def performance_profile(by_task: Mapping[str, ArrayLike], thresholds: ArrayLike) -> NDArray[np.float64]:
    """The share of trials above each threshold, each task counting the same; shape of `thresholds`. Dolan & More 2002,
    as score distributions in Agarwal et al. 2021."""
    at = np.asarray(thresholds, dtype=np.float64)
    return np.asarray(np.mean([(checked(values)[:, None] > at).mean(0) for values in by_task.values()], axis=0))


def average_rank(scores: TaskScores) -> dict[str, float]:
    """method -> the mean over tasks of its rank by mean score: 1 is the best, equal means share their ranks' mean.

    Only tasks with every method count, so that ranks have one scale; raises ValueError where there is none.
    """
    from scipy.stats import rankdata

    methods = list(dict.fromkeys(method for task in scores.values() for method in task))
    complete = [task for task in scores.values() if len(task) == len(methods)]
    if not complete:
        raise ValueError("no task has a score of every method")
    means = np.array([[-float(checked(task[method]).mean()) for method in methods] for task in complete])
    return dict(zip(methods, map(float, rankdata(np.round(means, 9), axis=1).mean(0)), strict=True))
