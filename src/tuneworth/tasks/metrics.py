"""Metrics by name, all in points: 100 x the metric. Where one is undefined (a constant prediction) it is 0."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import Diverged, SpecError, did_you_mean
from tuneworth.spec import Kind

if TYPE_CHECKING:
    from tuneworth.tasks import Task, TaskData

__all__ = ["METRICS", "Metric", "baseline", "check_metric", "default_metrics", "evaluate", "positive_class"]

Score = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True)
class Metric:
    """`score(labels, predictions)` is a share, not points. `classes`: how many it is made for, 0 for any."""

    name: str
    kind: Kind
    summary: str
    score: Score
    classes: int = 0


def evaluate(
    metrics: Sequence[str], predictions: NDArray[Any], labels: NDArray[Any], classes: int = 0, positive: int = 1
) -> dict[str, float]:
    """Each metric in points. Both arrays have shape (n,): class numbers, or targets.

    `positive` is the class that F1 is of. `classes` is how many the task has: macro F1 is then the mean over all of them
    (Opitz and Burst, "Macro F1 and Macro F1", arXiv 1911.03347), and a class that is neither there nor predicted counts
    with 0, as in scikit-learn's f1_score with `labels` given; 0 leaves such classes out, for parts of a split that are
    too small to hold every class. Raises Diverged where a prediction is not finite.
    """
    if not np.isfinite(predictions).all():
        raise Diverged("the model's predictions are not finite")
    own = {"f1": partial(_f1, positive=positive), "macro_f1": partial(_macro_f1, classes=classes)}
    return {name: _points(own.get(name, METRICS[name].score), predictions, labels) for name in metrics}


def baseline(task: Task, data: TaskData) -> dict[str, float]:
    """What the test split gives to the best answer that is the same for all: train's majority class (ties: the lowest), or
    train's mean; by F1 the positive class, however rare, since to it any other answer is worth nothing."""
    labels, targets = data.train.labels, data.test.labels
    usual = np.bincount(labels).argmax() if task.kind == "classification" else labels.mean()

    def score(metric: str) -> float:
        answers = np.full(len(targets), data.positive if metric == "f1" else usual)
        return evaluate((metric,), answers, targets, data.classes, data.positive)[metric]

    return {metric: score(metric) for metric in task.metrics}


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


def positive_class(labels: NDArray[Any], names: Sequence[str] | None, asked: str | None) -> int:
    """The class that F1 is of: the one asked for, else the rarer one of two (what is rare is what is looked for), and the
    second where both are as frequent. `labels`: class numbers of the training rows. Raises SpecError."""
    if asked is None:
        rarer = names is not None and len(names) == 2 and 2 * np.count_nonzero(labels == 0) < len(labels)
        return 0 if rarer else 1
    if names is None or len(names) != 2:
        what = "a regression" if names is None else f"a task of {len(names)} classes"
        raise SpecError(f"{what} has no positive class {asked!r}", "leave it out; it is for two classes")
    if asked not in names:
        raise SpecError(f"there is no class {asked!r}", did_you_mean(asked, names))
    return list(names).index(asked)


def _choose(names: Iterable[str]) -> str:
    return f"choose one of {', '.join(names)}"


def _points(score: Score, predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "undefined" is settled here, by convention
        value = float(score(labels, predictions))
    return 100 * value if np.isfinite(value) else 0.0


def _accuracy(labels: NDArray[Any], predictions: NDArray[Any]) -> float:
    return float(np.mean(labels == predictions))


def _f1(labels: NDArray[Any], predictions: NDArray[Any], positive: int = 1) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels == positive, predictions == positive, zero_division=0.0))


def _macro_f1(labels: NDArray[Any], predictions: NDArray[Any], classes: int = 0) -> float:
    from sklearn.metrics import f1_score

    every = range(classes) if classes else None
    return float(f1_score(labels, predictions, labels=every, average="macro", zero_division=0.0))


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
        Metric("f1", "classification", "F1 of the positive class, of two", _f1, classes=2),
        Metric("macro_f1", "classification", "mean of the classes' F1", _macro_f1),
        Metric("matthews", "classification", "Matthews correlation of predicted and true classes", _matthews),
        Metric("pearson", "regression", "linear correlation with the targets", _pearson),
        Metric("spearman", "regression", "rank correlation with the targets", _spearman),
        Metric("r2", "regression", "share of the targets' variance explained", _r2),
    )
}
