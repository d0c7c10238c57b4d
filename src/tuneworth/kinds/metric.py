"""A metric: its score, and what each test example contributes to it. In points where it is shown: 100 x the metric.

The pseudo-value of example i is n * score(all) - (n - 1) * score(all but i) (Tukey 1958; Efron & Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 11). Their mean is the score, but for a bias of order 1/n, and their
variance over n is the score's, so that a mean of them stands for any smooth metric. For accuracy they are 100 or 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["F1_HEADER", "Array", "LeaveOneOut", "Meaning", "Metric", "Scores", "by_name", "f1_of", "f1_row", "mean_of"]

Array = NDArray[Any]
Scores = tuple[NDArray[np.float64], NDArray[np.float64]]
"""With all examples, shape (trials,); without each in turn, (trials, n)."""


@dataclass(frozen=True)
class Meaning:
    """What a task's labels mean, as far as a metric must know it."""

    kind: str = ""
    """The kind of the task; empty: classification, or the first that has the metric in question."""
    classes: int = 0
    """How many the task has. Macro F1 is then the mean over all of them (Opitz and Burst, "Macro F1 and Macro F1", arXiv
    1911.03347), and a class that is neither there nor predicted counts with 0, as in scikit-learn's f1_score with `labels`
    given. 0 leaves such classes out, for parts of a split that are too small to hold every class."""
    positive: int = 1
    """The class that F1 is of, where there are two."""
    names: tuple[str, ...] = ()
    """Of the classes, by number."""


Score = Callable[[Array, Array, Meaning], float]
LeaveOneOut = Callable[[Array, Array, Meaning], Scores]
Right = Callable[[Array, Array, Meaning], NDArray[np.bool_]]


@dataclass(frozen=True)
class Metric:
    """`score(labels, predictions, meaning)` is a share, not points; both arrays are as the kind has them, n examples first.

    `leave_one_out(labels, predictions of several trials, meaning)` gives the same with all examples and without each. Both
    are NaN or infinite where the metric is undefined, which counts as 0.
    """

    name: str
    summary: str
    score: Score
    leave_one_out: LeaveOneOut
    right: Right | None = None
    """Which examples were answered rightly, where the metric is their share: (trials, n)."""
    classes: int = 0
    """How many it is made for; 0: any number."""

    def points(self, labels: Array, predictions: Array, meaning: Meaning) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "undefined" is settled here, by convention
            value = float(self.score(labels, predictions, meaning))
        return 100 * value if np.isfinite(value) else 0.0

    def pseudo_values(self, labels: Array, predictions: Array, meaning: Meaning) -> NDArray[np.float64]:
        """In points: `predictions` of shape (trials, n, ...) -> (trials, n). Raises ValueError for one example."""
        n = len(labels)
        if n < 2:
            raise ValueError("one test example cannot be left out")
        with np.errstate(divide="ignore", invalid="ignore"):
            whole, without = (
                np.nan_to_num(score, nan=0.0, posinf=0.0, neginf=0.0)
                for score in self.leave_one_out(np.asarray(labels), np.asarray(predictions), meaning)
            )
        return np.asarray(100.0 * (n * whole[:, None] - (n - 1) * without))


def mean_of(values: Array) -> Scores:
    """Of a metric that is the mean of `values`, one an example: (trials, n)."""
    total = values.sum(1)
    n = values.shape[1]
    return total / n, (total[:, None] - values) / (n - 1)


def f1_of(hits: Array, sizes: Array) -> Scores:
    """F1 = 2 TP / (|true| + |given|), of the examples' own counts: `hits` are true positives, `sizes` |true| + |given|, both
    (trials, n)."""
    tp, size = hits.sum(1), sizes.sum(1)
    return 2 * tp / size, 2 * (tp[:, None] - hits) / (size[:, None] - sizes)


def f1_row(name: str, hits: float, true: float, given: float) -> tuple[str, ...]:
    """A row of `F1_HEADER`, from counts: right ones, those that are there, those that were given."""
    shares = (
        hits / given if given else 0.0,
        hits / true if true else 0.0,
        2 * hits / (true + given) if true + given else 0.0,
    )
    return (name, *(f"{100 * share:.1f}" for share in shares), f"{true:,.0f}")


F1_HEADER = ("precision", "recall", "F1", "in test")


def by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    """In their order."""
    return {metric.name: metric for metric in metrics}
