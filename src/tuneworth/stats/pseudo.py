"""What each test example contributes to a metric: jackknife pseudo-values, in closed form, for many trials at once.

The pseudo-value of example i is n * score(all) - (n - 1) * score(all but i) (Tukey 1958; Efron & Tibshirani, An
Introduction to the Bootstrap, 1993, chapter 11). Their mean is the score, but for a bias of order 1/n, and their
variance over n is the score's, so that a mean of them stands for any smooth metric. For accuracy they are 100 or 0.
Every function below gives the metric with all examples and without each in turn; undefined is 0, as in tasks/metrics.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAVE_ONE_OUT", "pseudo_values"]

Array = NDArray[Any]
Scores = tuple[NDArray[np.float64], NDArray[np.float64]]


def pseudo_values(
    metric: str, targets: Array, predictions: Array, classes: int = 0, positive: int = 1
) -> NDArray[np.float64]:
    """In points. `targets`: shape (n,); `predictions`: (trials, n), as the result; `classes`, `positive`: as in
    tasks/metrics.py. Raises ValueError for a metric that is not in `LEAVE_ONE_OUT`."""
    if metric not in LEAVE_ONE_OUT:
        raise ValueError(f"metric {metric!r} has no pseudo-values; known: {', '.join(sorted(LEAVE_ONE_OUT))}")
    functions = LEAVE_ONE_OUT | {"f1": partial(_f1, positive=positive), "macro_f1": partial(_macro_f1, classes=classes)}
    n = len(targets)
    if n < 2:
        raise ValueError("one test example cannot be left out")
    with np.errstate(divide="ignore", invalid="ignore"):
        whole, without = (
            np.nan_to_num(score, nan=0.0, posinf=0.0, neginf=0.0)
            for score in functions[metric](np.asarray(targets), np.asarray(predictions))
        )
    return np.asarray(100.0 * (n * whole[:, None] - (n - 1) * without))


def _accuracy(targets: Array, predictions: Array) -> Scores:
    right = (predictions == targets).astype(float)
    hits = right.sum(1)
    return hits / len(targets), (hits[:, None] - right) / (len(targets) - 1)


def _f1(targets: Array, predictions: Array, positive: int = 1) -> Scores:
    (whole, without), _ = _class_f1(targets == positive, predictions == positive)
    return whole, without


def _macro_f1(targets: Array, predictions: Array, classes: int = 0) -> Scores:
    """The mean over all classes of the task, or, where `classes` is 0, over those that occur among targets or
    predictions."""
    whole, present = np.zeros(len(predictions)), np.zeros(len(predictions))
    without, left = np.zeros(predictions.shape), np.zeros(predictions.shape)
    for label in np.union1d(targets, predictions):
        (score, scores), (occurs, still_occurs) = _class_f1(targets == label, predictions == label)
        whole, without = whole + np.nan_to_num(score), without + np.nan_to_num(scores)
        present, left = present + occurs, left + still_occurs
    return whole / (classes or present), without / (classes or left)


def _class_f1(true: Array, given: Array) -> tuple[Scores, tuple[Array, Array]]:
    """F1 = 2 TP / (|true| + |given|) of one class; and whether it occurs at all, both with all and without each."""
    hits = (true & given).astype(float)
    sizes = true.astype(float) + given
    tp, size = hits.sum(1), sizes.sum(1)
    left = size[:, None] - sizes
    return (2 * tp / size, 2 * (tp[:, None] - hits) / left), (size > 0, left > 0)


def _matthews(targets: Array, predictions: Array) -> Scores:
    """R_K = (c n - sum_k p_k t_k) / sqrt((n^2 - sum p_k^2)(n^2 - sum t_k^2)): Gorodkin, Comput. Biol. Chem. 28 (2004)."""
    labels, coded = np.unique(np.concatenate([targets[None], predictions]), return_inverse=True)
    coded = coded.reshape(len(predictions) + 1, -1)
    true, given = coded[0], coded[1:]
    t = np.bincount(true, minlength=len(labels)).astype(float)
    p = np.stack([np.bincount(row, minlength=len(labels)) for row in given]).astype(float)
    right = (given == true).astype(float)
    n, c = float(len(targets)), right.sum(1)
    pt, pp, tt = p @ t, np.square(p).sum(1), np.square(t).sum()
    p_own = np.take_along_axis(p, given, 1)  # how often this example's prediction was given
    # One example less: its class is given once less and is true once less.
    pt_left = pt[:, None] - t[given] - np.take_along_axis(p, np.broadcast_to(true, given.shape), 1) + right
    pp_left, tt_left = pp[:, None] - 2 * p_own + 1, tt - 2 * t[true] + 1

    def score(c: Any, n: float, pt: Any, pp: Any, tt: Any) -> NDArray[np.float64]:
        return np.asarray((c * n - pt) / np.sqrt((n * n - pp) * (n * n - tt)))

    return score(c, n, pt, pp, tt), score(c[:, None] - right, n - 1, pt_left, pp_left, tt_left)


def _pearson(targets: Array, predictions: Array) -> Scores:
    n = len(targets)
    x, y = _centred(targets), _centred(predictions)
    xx, yy, xy = np.square(x).sum(), np.square(y).sum(1), (x * y).sum(1)
    shrink = n / (n - 1)  # what leaving one out takes from a centred sum: its own term, and the mean's move
    left = _left(xx, shrink * np.square(x)), _left(yy[:, None], shrink * np.square(y)), xy[:, None] - shrink * x * y
    return xy / np.sqrt(xx * yy), left[2] / np.sqrt(left[0] * left[1])


def _r2(targets: Array, predictions: Array) -> Scores:
    n = len(targets)
    wrong, spread = np.square(predictions - targets), np.square(_centred(targets))
    error, whole = wrong.sum(1), spread.sum()
    return 1 - error / whole, 1 - (error[:, None] - wrong) / _left(whole, n / (n - 1) * spread)


def _spearman(targets: Array, predictions: Array) -> Scores:
    """Pearson's correlation of average ranks. Leaving an example out lowers the ranks above it by one, those tied with
    it by a half, and the mean rank by a half; so a sum of products of centred ranks loses what `_loss` says."""
    signs_x, whole, without = _signs(targets), np.empty(len(predictions)), np.empty(predictions.shape)
    x = -0.5 * signs_x.sum(1, dtype=np.float64)
    xx = x @ x - _loss(signs_x, signs_x, x, x)
    for row, given in enumerate(predictions):
        signs_y = _signs(given)
        y = -0.5 * signs_y.sum(1, dtype=np.float64)
        yy, xy = y @ y - _loss(signs_y, signs_y, y, y), x @ y - _loss(signs_x, signs_y, x, y)
        whole[row] = (x @ y) / np.sqrt((x @ x) * (y @ y))
        without[row] = xy / np.sqrt(xx * yy)
    return whole, without


def _signs(values: Array) -> NDArray[np.int8]:
    """The sign of (j's value - i's value) at [i, j]; half the sum of row i is minus i's centred rank."""
    places = np.unique(values, return_inverse=True)[1].astype(np.int32)
    return np.asarray((places > places[:, None]).view(np.int8) - (places < places[:, None]).view(np.int8))


def _loss(signs_x: Array, signs_y: Array, x: Array, y: Array) -> NDArray[np.float64]:
    """What sum_j x_j y_j over centred ranks loses with example i, at [i]."""
    both = (signs_x * signs_y).sum(1, dtype=np.int32)
    return np.asarray(0.5 * (_rows(signs_x, y) + _rows(signs_y, x)) - 0.25 * both + x * y)


def _rows(signs: Array, weights: Array) -> NDArray[np.float64]:
    return np.asarray(signs.astype(np.float32) @ weights.astype(np.float32), dtype=np.float64)  # exact up to 4,000 rows


def _centred(values: Array) -> NDArray[np.float64]:
    """Less their mean, along the last axis; 0 where all are one number, of which a mean in floating point may differ."""
    constant = (values == values[..., :1]).all(-1, keepdims=True)
    return np.where(constant, 0.0, values - values.mean(-1, keepdims=True))


def _left(whole: Any, part: Array) -> NDArray[np.float64]:
    """whole - part, 0 where only rounding is left: what remains is then constant."""
    left = np.asarray(whole - part)
    return np.where(left > 1e-12 * np.asarray(whole), left, 0.0)


LEAVE_ONE_OUT: dict[str, Callable[[Array, Array], Scores]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "macro_f1": _macro_f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
    "r2": _r2,
}
