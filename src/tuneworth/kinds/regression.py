"""One number a text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuneworth.errors import DataError
from tuneworth.kinds.base import Answer, Codec, Errors, Kind, Read, Words
from tuneworth.kinds.metric import Array, Meaning, Metric, Scores, by_name
from tuneworth.kinds.numerals import Notation, found_numbers, is_percentage, notation_of, number
from tuneworth.kinds.strata import ByBins
from tuneworth.kinds.values import no_missing

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from tuneworth.spec import FileTask
    from tuneworth.tasks.tables import Table

__all__ = ["Numbers", "Regression"]

FEW = 20
"""Whole numbers of at most this many different values are taken for classes where the kind is not given."""
ROWS_A_CLASS = 5
"""So many rows a value, on average, make classes of more whole numbers than that, if they count on from 0 or 1."""
EVEN = 0.1
"""... and if the rarest has this share of the average at least: a scale from 0 to 100 thins out at its ends."""
NEARLY = 0.01
"""Predicted numbers are one answer where they vary by no more than this share of the targets' spread. Rounding to bfloat16
alone moves a constant by 2^-9 of it; a head that has not been trained at all varies by some hundredths; and whatever varies
so little has an R2 of 2 points at most above the mean's (2 k - k^2)."""


# --- what a task's answers are


class Numbers(Codec):
    """One output: the target, standardised by the mean and deviation of what is trained on.

    So one learning rate serves stars from 1 to 5 and prices in the millions; answers are in the user's own unit.
    """

    mean: float = Field(default=0.0, allow_inf_nan=False)
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    @property
    def outputs(self) -> int:
        return 1

    @property
    def unit(self) -> tuple[float, float]:
        return self.mean, self.scale

    @property
    def chance(self) -> float:
        return 1.0

    def encode(self, labels: Array) -> torch.Tensor:
        """Shape (n,): standardised float32."""
        import torch

        return torch.from_numpy(((labels - self.mean) / self.scale).astype(np.float32))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        import torch.nn.functional as F

        return F.mse_loss(outputs.squeeze(-1), targets, reduction=reduction)

    def decode(self, outputs: NDArray[np.float32]) -> Array:
        """(n, 1) -> (n,), in the unit of the labels."""
        return outputs[:, 0].astype(np.float64) * self.scale + self.mean

    def answers(self, outputs: NDArray[np.float32], words: Sequence[Words] | None = None) -> list[Answer]:
        """The value, in the unit of the training targets, as `label` and as `score`; `probabilities` is None."""
        return [{"label": value, "score": value, "probabilities": None} for value in self.decode(outputs).tolist()]

    def surprise(self, outputs: NDArray[np.float32], labels: Array) -> NDArray[np.float64]:
        """How far off, in deviations of the training targets."""
        return np.asarray(np.abs(self.decode(outputs) - labels) / self.scale)

    def told(self, label: Any, text: str, words: Words | None) -> str:
        return f"{float(label):.4g}"

    def columns(
        self,
        answers: Sequence[Answer | None],
        probabilities: bool = False,
        in_words: bool = False,
    ) -> dict[str, list[Any]]:
        """`label`."""
        if probabilities:
            raise DataError("a number has no probabilities", "leave out --probabilities")
        return {"label": [answer and answer["label"] for answer in answers]}


# --- metrics


def _pearson(labels: Array, predictions: Array, _: Meaning) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(labels, predictions).statistic) if len(labels) > 1 else 0.0


def _pearson_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    n = len(labels)
    x, y = _centred(labels), _centred(predictions)
    xx, yy, xy = np.square(x).sum(), np.square(y).sum(1), (x * y).sum(1)
    shrink = n / (n - 1)  # what leaving one out takes from a centred sum: its own term, and the mean's move
    left = _left(xx, shrink * np.square(x)), _left(yy[:, None], shrink * np.square(y)), xy[:, None] - shrink * x * y
    return xy / np.sqrt(xx * yy), left[2] / np.sqrt(left[0] * left[1])


def _spearman(labels: Array, predictions: Array, _: Meaning) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(labels, predictions).statistic) if len(labels) > 1 else 0.0


def _spearman_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    """Pearson's correlation of average ranks. Leaving an example out lowers the ranks above it by one, those tied with
    it by a half, and the mean rank by a half; so a sum of products of centred ranks loses what `_loss` says."""
    signs_x, whole, without = _signs(labels), np.empty(len(predictions)), np.empty(predictions.shape)
    x = -0.5 * signs_x.sum(1, dtype=np.float64)
    xx = x @ x - _loss(signs_x, signs_x, x, x)
    for row, given in enumerate(predictions):
        signs_y = _signs(given)
        y = -0.5 * signs_y.sum(1, dtype=np.float64)
        yy, xy = y @ y - _loss(signs_y, signs_y, y, y), x @ y - _loss(signs_x, signs_y, x, y)
        whole[row] = (x @ y) / np.sqrt((x @ x) * (y @ y))
        without[row] = xy / np.sqrt(xx * yy)
    return whole, without


def _r2(labels: Array, predictions: Array, _: Meaning) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(labels, predictions)) if np.ptp(labels) > 0 else 0.0


def _r2_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    n = len(labels)
    wrong, spread = np.square(predictions - labels), np.square(_centred(labels))
    error, whole = wrong.sum(1), spread.sum()
    return 1 - error / whole, 1 - (error[:, None] - wrong) / _left(whole, n / (n - 1) * spread)


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


# --- the kind


class Regression(Kind):
    name: ClassVar = "regression"
    summary: ClassVar = "one number a text"
    noun: ClassVar = "a regression"
    codec: ClassVar = Numbers
    metrics: ClassVar = by_name((
        Metric("pearson", "linear correlation with the targets", _pearson, _pearson_without),
        Metric("spearman", "rank correlation with the targets", _spearman, _spearman_without),
        Metric("r2", "share of the targets' variance explained", _r2, _r2_without),
    ))  # fmt: skip
    strata: ClassVar = ByBins()
    problem_type: ClassVar = "regression"
    hub_task: ClassVar = "text-regression"
    drifts: ClassVar = Kind.drifts | {"label-shift", "noise-burst"}

    def sees(self, table: Table, task: FileTask) -> tuple[str, ...] | None:
        """Where nine of ten labels are numbers and they are fractions, percentages, or whole numbers that look like no classes.
        Raises DataError where it cannot be told what numbers they are."""
        name = task.label
        counts = found_numbers(table, name)
        if counts is None:
            return None
        fractions = not all(one.is_integer() for one in counts)
        if fractions or notation_of(table, name).says or any(map(is_percentage, table.columns[name])):
            return ()
        if len(counts) > FEW and not _count_on(counts):
            return (f"{name!r} holds {len(counts):,} different whole numbers and was taken for a number to predict; "
                    "if they name classes, say --kind classification",)  # fmt: skip
        return None

    def read(self, tables: Sequence[Table], task: FileTask) -> Read:
        """Float64. Raises DataError: missing, no number, not finite, all the same."""
        name = task.label
        notation = notation_of(tables[0], name)
        targets = [_targets(table, name, notation) for table in tables]
        notes = [f"{name!r}: {notation.says}"] if notation.says else []
        values = tables[0].columns[name]
        if any(map(is_percentage, values)):
            notes.append(f"{name!r} holds percentages: 45% was read as 45")
        elif not notation.says and all(
            isinstance(v, str) and re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", v.strip()) for v in values
        ):
            notes.append(f"the point in {name!r} was read as a decimal point: {values[0]} as a little more than "
                         f"{math.floor(targets[0][0])}")  # fmt: skip
        return Read(targets, None, tuple(notes))

    def check_test(self, path: Path, labels: Array) -> None:
        if len(labels) > 1 and np.ptp(labels) == 0:
            raise DataError(f"{str(path)!r}: every target of the test part is {labels[0]:g}: nothing can be told apart on it",
                            "name a test file with other targets, or a larger test_fraction")  # fmt: skip

    def scored_by(self, metrics: Sequence[str], meaning: Meaning) -> str | None:
        """As ever."""
        return None

    def fit(self, labels: Array, names: tuple[str, ...] | None, settings: Mapping[str, Any]) -> Numbers:
        return Numbers(mean=float(labels.mean()), scale=float(labels.std()) or 1.0)

    def constant(self, labels: Array, metric: str, meaning: Meaning) -> Any:
        """Train's mean."""
        return labels.mean()

    def one_answer(self, predictions: Array, targets: Array) -> bool:
        return float(predictions.std()) <= NEARLY * float(targets.std())

    def contradicts(self) -> bool:
        """Targets of one text may well differ a little."""
        return False

    def errors(self, labels: Array, predictions: Array, meaning: Meaning) -> tuple[Errors, ...]:
        """How far answers are off, by fifths of the targets."""
        rows = []
        for part in np.array_split(np.argsort(labels, kind="stable"), min(5, len(labels))):
            off = predictions[:, part] - labels[part]
            low, high = labels[part].min(), labels[part].max()
            rows.append((f"{low:.4g} to {high:.4g}", f"{predictions[:, part].mean():.4g}", f"{off.mean():+.3g}",
                         f"{np.abs(off).mean():.3g}", f"{np.sqrt(np.square(off).mean()):.3g}", f"{len(part):,}"))  # fmt: skip
        header = ("target", "mean answer", "off by, mean", "off by, mean size", "root mean square", "in test")
        return (Errors("By fifths of the targets", header, tuple(rows)),)

    def late(self, labels: Array) -> NDArray[np.bool_]:
        """The upper half of the targets."""
        return np.asarray(labels > np.median(labels))

    def spoiled(self, labels: Array, struck: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """One another's targets."""
        return np.asarray(labels[rng.permutation(struck)])


# --- how numbers are read: as a person would


def _count_on(counts: Counter[float]) -> bool:
    """Whether whole numbers look like the numbers of classes: from 0 or 1 on without a gap, and about as often each."""
    low, high, mean = min(counts), max(counts), counts.total() / len(counts)
    return (
        low in (0, 1) and high - low + 1 == len(counts) and mean >= ROWS_A_CLASS and min(counts.values()) >= EVEN * mean
    )


def _targets(table: Table, name: str, notation: Notation) -> NDArray[np.float64]:
    values = table.columns[name]
    no_missing(table, name)
    targets = [number(value, notation) for value in values]
    for i, (value, target) in enumerate(zip(values, targets, strict=True)):
        if target is None or not math.isfinite(target):
            fault = "no number" if target is None and not _is_odd(value) else "not a finite number"
            raise DataError(f"{str(table.path)!r}, {table.at([i])}: the target {name!r} is {value!r}, {fault}",
                            'correct the row; if these are classes, say kind = "classification"')  # fmt: skip
    if len(set(targets)) == 1:
        raise DataError(f"{str(table.path)!r}: every target {name!r} is {values[0]!r}", "there is nothing to learn")
    return np.array(targets, dtype=np.float64)


def _is_odd(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower().lstrip("+-") in {"nan", "inf", "infinity"}
