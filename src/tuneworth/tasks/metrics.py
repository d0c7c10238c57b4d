"""Metrics by name, all in points: 100 x the metric. Where one is undefined (a constant prediction) it is 0."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import Diverged, SpecError, did_you_mean
from tuneworth.spec import Kind

if TYPE_CHECKING:
    from tuneworth.tasks import Task, TaskData

__all__ = ["METRICS", "Metric", "baseline", "check_metric", "default_metrics", "evaluate"]

Score = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True)
class Metric:
    """`score(labels, predictions)` is a share, not points. `classes`: how many it is made for, 0 for any."""

    name: str
    kind: Kind
    summary: str
    score: Score
    classes: int = 0


def evaluate(metrics: Sequence[str], predictions: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Each metric in points. Both arrays have shape (n,): class numbers, or targets.

    Raises Diverged where a prediction is not finite.
    """
    if not np.isfinite(predictions).all():
        raise Diverged("the model's predictions are not finite")
    return {name: _points(METRICS[name], predictions, labels) for name in metrics}


def baseline(task: Task, data: TaskData) -> dict[str, float]:
    """What the test split gives to one answer for all: train's majority class (ties: the lowest), or train's mean."""
    labels = data.train.labels
    answer = np.bincount(labels).argmax() if task.kind == "classification" else labels.mean()
    return evaluate(task.metrics, np.full(len(data.test), answer), data.test.labels)


def check_metric(name: str, kind: Kind | None = None, classes: int = 0) -> None:
    """Raises SpecError where no metric has that name, or it is for another kind or number of classes (0: not known)."""
    if name not in METRICS:
        raise SpecError(f"unknown metric {name!r}", did_you_mean(name, METRICS))
    metric = METRICS[name]
    if kind is not None and metric.kind != kind:
        raise SpecError(f"metric {name!r} is for {metric.kind}, the task is {kind}",
                        _choose(default_metrics(kind, classes)))  # fmt: skip
    if metric.classes and classes and metric.classes != classes:
        raise SpecError(f"metric {name!r} is for {metric.classes} classes, the task has {classes}",
                        _choose(default_metrics(metric.kind, classes)))  # fmt: skip


def default_metrics(kind: Kind, classes: int = 0) -> tuple[str, ...]:
    """What a task in the user's own files is scored with; the first is the primary one."""
    if kind == "regression":
        return ("pearson", "spearman", "r2")
    return ("accuracy", "macro_f1", "matthews", *(("f1",) if classes == 2 else ()))


def _choose(names: Iterable[str]) -> str:
    return f"choose one of {', '.join(names)}"


def _points(metric: Metric, predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "undefined" is settled here, by convention
        value = float(metric.score(labels, predictions))
    return 100 * value if np.isfinite(value) else 0.0


def _accuracy(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    return float(np.mean(labels == predictions))


def _f1(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels == 1, predictions == 1, zero_division=0.0))


def _macro_f1(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", zero_division=0.0))


def _matthews(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _pearson(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(labels, predictions).statistic) if len(labels) > 1 else 0.0


def _spearman(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(labels, predictions).statistic) if len(labels) > 1 else 0.0


def _r2(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(labels, predictions)) if np.ptp(labels) > 0 else 0.0


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", "share of right answers", _accuracy),
        Metric("f1", "classification", "F1 of the second class, of two", _f1, classes=2),
        Metric("macro_f1", "classification", "mean of the classes' F1", _macro_f1),
        Metric("matthews", "classification", "Matthews correlation of predicted and true classes", _matthews),
        Metric("pearson", "regression", "linear correlation with the targets", _pearson),
        Metric("spearman", "regression", "rank correlation with the targets", _spearman),
        Metric("r2", "regression", "share of the targets' variance explained", _r2),
    )
}
