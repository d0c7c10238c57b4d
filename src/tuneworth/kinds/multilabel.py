"""Any number of labels a text, none included."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tuneworth import words as said
from tuneworth.errors import DataError
from tuneworth.kinds.base import Answer, Errors, Kind, NamedOutputs, Read, Words
from tuneworth.kinds.classification import by_value, merge, odd_names, spelling
from tuneworth.kinds.metric import F1_HEADER, Array, Meaning, Metric, Scores, by_name, f1_of, f1_row, mean_of
from tuneworth.kinds.strata import ByLabels
from tuneworth.kinds.values import count_rows, is_empty

if TYPE_CHECKING:
    import torch

    from tuneworth.spec import FileTask
    from tuneworth.tasks.tables import Table

__all__ = ["LabelSets", "Multilabel"]

THRESHOLDS = np.arange(1, 20) / 20
"""What is tried where the threshold is tuned: 0.05, 0.1, ..., 0.95."""


# --- what a task's answers are


class LabelSets(NamedOutputs):
    """Outputs are the labels' logits, each a question of its own. A label is given from a probability of `threshold` on.

    Predictions are whole numbers, (n, labels): more than 0 where the label is given, and larger where it is likelier. So they
    say both sets and rankings, in a byte a label.
    """

    threshold: float = Field(default=0.5, gt=0, lt=1)
    tuned: bool = False
    """The threshold is the one that scores best on the validation split."""
    separator: str | None = None
    """Between the labels of a text, where the training file had it; else they are lists."""

    @property
    def chance(self) -> float:
        return math.log(2)

    @property
    def settles(self) -> bool:
        return self.tuned

    def settled(self, outputs: NDArray[np.float32], labels: Array, metric: Metric, meaning: Meaning) -> LabelSets:
        """With the threshold of the best score; of equals, the one nearest to a half."""
        tried = [self.model_copy(update={"threshold": float(threshold)}) for threshold in THRESHOLDS]
        return max(
            tried, key=lambda one: (metric.points(labels, one.decode(outputs), meaning), -abs(one.threshold - 0.5))
        )

    def encode(self, labels: Array) -> torch.Tensor:
        """Shape (n, labels): 0 or 1, float32."""
        import torch

        return torch.from_numpy((labels > 0).astype(np.float32))

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
        """Binary cross-entropy, an example's being the mean over its labels."""
        import torch.nn.functional as F

        each = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(1)
        return each.sum() if reduction == "sum" else each.mean()

    def decode(self, outputs: NDArray[np.float32]) -> Array:
        """(n, labels) -> (n, labels): the number of labels that are given, less the label's rank, counted from 0."""
        rank = np.argsort(np.argsort(-outputs, axis=1, kind="stable"), axis=1, kind="stable")
        given = (outputs >= math.log(self.threshold / (1 - self.threshold))).sum(1, keepdims=True)
        return np.asarray(given - rank)

    def answers(self, outputs: NDArray[np.float32], words: Sequence[Words] | None = None) -> list[Answer]:
        """`label`: a list of names, the likeliest first; `score`: how sure the least sure of all decisions is, from a half on;
        `probabilities`: every label's."""
        with np.errstate(over="ignore"):
            probabilities = 1 / (1 + np.exp(-outputs.astype(np.float64)))
        found = []
        for row, given in zip(probabilities, self.decode(outputs), strict=True):
            chosen = [self.labels[i] for i in np.argsort(-given, kind="stable") if given[i] > 0]
            found.append({
                "label": chosen,
                "score": float(np.where(given > 0, row, 1 - row).min()),
                "probabilities": dict(zip(self.labels, row.tolist(), strict=True)),
            })  # fmt: skip
        return found

    def surprise(self, outputs: NDArray[np.float32], labels: Array) -> NDArray[np.float64]:
        """The probability of the surest of the decisions that are wrong."""
        given = self.decode(outputs) > 0
        with np.errstate(over="ignore"):
            likely = 1 / (1 + np.exp(-outputs.astype(np.float64)))
        return np.asarray(np.where(given == (labels > 0), 0.0, np.where(given, likely, 1 - likely)).max(1))

    def told(self, label: Any, text: str, words: Words | None) -> str:
        return (
            ", ".join(name for name, there in zip(self.labels, np.asarray(label) > 0, strict=True) if there)
            or "no label"
        )

    def columns(
        self,
        answers: Sequence[Answer | None],
        probabilities: bool = False,
        in_words: bool = False,
    ) -> dict[str, list[Any]]:
        """`label`, as the training file had it: a list, or text with the separator; `confidence`; `probability_NAME`."""
        joined: list[Any] = [answer and answer["label"] for answer in answers]
        if self.separator is not None:
            joined = [None if labels is None else self.separator.join(labels) for labels in joined]
        added = {"label": joined, "confidence": [answer and answer["score"] for answer in answers]}
        for name in self.labels if probabilities else ():
            added[f"probability_{name}"] = [answer and answer["probabilities"][name] for answer in answers]
        return added


# --- metrics: labels and predictions of shape (n, labels), or (trials, n, labels); a label is there where it is above 0


def _micro_f1(labels: Array, predictions: Array, _: Meaning) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels > 0, predictions > 0, average="micro", zero_division=0.0))


def _micro_f1_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    true, given = labels > 0, predictions > 0
    return f1_of((true & given).sum(-1).astype(float), given.sum(-1) + true.sum(-1).astype(float))


def _macro_f1(labels: Array, predictions: Array, _: Meaning) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels > 0, predictions > 0, average="macro", zero_division=0.0))


def _macro_f1_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    """The mean over all labels; one that is neither there nor given counts with 0, as in scikit-learn."""
    whole, without = np.zeros(len(predictions)), np.zeros(predictions.shape[:2])
    for number in range(labels.shape[1]):
        true, given = labels[:, number] > 0, predictions[..., number] > 0
        score, scores = f1_of((true & given).astype(float), true.astype(float) + given)
        whole, without = whole + np.nan_to_num(score), without + np.nan_to_num(scores)
    return whole / labels.shape[1], without / labels.shape[1]


def _same_set(labels: Array, predictions: Array, _: Meaning) -> NDArray[np.bool_]:
    return np.asarray(((predictions > 0) == (labels > 0)).all(-1))


def _subset_accuracy(labels: Array, predictions: Array, meaning: Meaning) -> float:
    return float(_same_set(labels, predictions, meaning).mean())


def _subset_accuracy_without(labels: Array, predictions: Array, meaning: Meaning) -> Scores:
    return mean_of(_same_set(labels, predictions, meaning).astype(float))


def _lrap(labels: Array, predictions: Array, _: Meaning) -> float:
    from sklearn.metrics import label_ranking_average_precision_score

    return float(label_ranking_average_precision_score(labels > 0, predictions))


def _lrap_without(labels: Array, predictions: Array, _: Meaning) -> Scores:
    """The mean over texts of, for each of a text's labels, the share of right ones among those ranked no lower."""
    order = np.argsort(-predictions, axis=-1, kind="stable")
    true = np.take_along_axis(np.broadcast_to(labels > 0, predictions.shape), order, -1)
    precision = true.cumsum(-1) / np.arange(1, true.shape[-1] + 1)
    count = true.sum(-1)
    return mean_of(np.where(count > 0, (precision * true).sum(-1) / np.maximum(count, 1), 1.0))


# --- the kind


class Multilabel(Kind):
    name: ClassVar = "multilabel"
    summary: ClassVar = "any number of labels a text"
    noun: ClassVar = "a multilabel task"
    codec: ClassVar = LabelSets
    metrics: ClassVar = by_name((
        Metric("micro_f1", "F1 of all labels of all texts together", _micro_f1, _micro_f1_without),
        Metric("macro_f1", "mean of the labels' F1", _macro_f1, _macro_f1_without),
        Metric("subset_accuracy", "share of texts whose set of labels is right", _subset_accuracy, _subset_accuracy_without,
               right=_same_set),
        Metric("lrap", "label ranking average precision: are a text's labels ranked above the others?", _lrap, _lrap_without),
    ))  # fmt: skip
    strata: ClassVar = ByLabels()
    optional_label: ClassVar = True
    problem_type: ClassVar = "multi_label_classification"
    drifts: ClassVar = Kind.drifts | {"label-shift", "noise-burst"}

    def sees(self, table: Table, task: FileTask) -> tuple[str, ...] | None:
        """Where a separator is named, or labels are lists."""
        if task.label_separator is not None:
            return ()
        values = [value for value in table.columns[task.label] if not is_empty(value)]
        if not values or not all(isinstance(value, list) for value in values):
            return None
        return (f"{task.label!r} holds lists and was taken for several labels a text: --kind multilabel",)

    def read(self, tables: Sequence[Table], task: FileTask) -> Read:
        """(n, labels), bool. Raises DataError: no list, no separator, in test only, all the same."""
        name = task.label
        spelt = [
            [_label_set(table, name, row, task.label_separator) for row in range(len(table.where))] for table in tables
        ]
        _check_separator(tables[0], name, task.label_separator)
        merged, notes = merge([label for column in spelt for labels in column for label in labels], name)
        columns = [[frozenset(map(merged.__getitem__, labels)) for labels in column] for column in spelt]
        counts, path = Counter(label for labels in columns[0] for label in labels), str(tables[0].path)
        if len(set(columns[0])) == 1:
            raise DataError(f"{path!r}: every row has the same labels {name!r}: {_said(columns[0][0])}",
                            "there is nothing to learn; is it the right column?")  # fmt: skip
        for table, column in zip(tables[1:], columns[1:], strict=True):
            for row, labels in enumerate(column):
                if new := sorted(labels - counts.keys()):
                    raise DataError(f"{str(table.path)!r}, {table.at([row])}: the label {new[0]!r} is in test only",
                                    f"train has {', '.join(map(repr, list(counts)[:5]))}")  # fmt: skip
        names = tuple(sorted(counts, key=by_value(counts)))
        number = {label: i for i, label in enumerate(names)}
        encoded = []
        for column in columns:
            array = np.zeros((len(column), len(names)), dtype=bool)
            for row, labels in enumerate(column):
                array[row, [number[label] for label in labels]] = True
            encoded.append(array)
        for table, array in zip(tables, encoded, strict=True):
            if (none := np.flatnonzero(~array.any(1))).size:
                notes.append(
                    f"{table.path.name}: no label in {count_rows(table, none.tolist())}, which is an answer like any other"
                )
        settings: dict[str, Any] = {} if task.threshold == 0.5 else {"threshold": task.threshold}
        return Read(encoded, names, (*notes, *odd_names(counts, name)), settings, {"separator": task.label_separator})

    def fit(self, labels: Array, names: tuple[str, ...] | None, settings: Mapping[str, Any]) -> LabelSets:
        assert names is not None
        threshold = settings.get("threshold", 0.5)
        tuned = threshold == "tuned"
        return LabelSets(
            labels=names, threshold=0.5 if tuned else threshold, tuned=tuned, separator=settings.get("separator")
        )

    def constant(self, labels: Array, metric: str, meaning: Meaning) -> Any:
        """The most frequent labels, the best number of them: by macro F1 all, by subset accuracy the most frequent set, else the
        number with the best micro F1."""
        there = labels > 0
        counts = there.sum(0)
        order = np.argsort(-counts, kind="stable")
        given = (
            int(np.argmax(2 * counts[order].cumsum() / (np.arange(1, len(counts) + 1) * len(labels) + counts.sum())))
            + 1
        )
        if metric == "macro_f1":
            given = len(counts)
        if metric == "subset_accuracy":
            sets, times = np.unique(there, axis=0, return_counts=True)
            usual = sets[times.argmax()]
            given, order = int(usual.sum()), np.lexsort((-counts, ~usual))
        answer = np.empty(len(counts), dtype=np.int64)
        answer[order] = given - np.arange(len(counts))
        return answer

    def one_answer(self, predictions: Array, targets: Array) -> bool:
        """One set, whatever the ranking."""
        given = predictions > 0
        return bool((given == given[0]).all())

    def counts(self, labels: Array, names: tuple[str, ...] | None) -> dict[str, int]:
        assert names is not None
        return dict(zip(names, map(int, (labels > 0).sum(0)), strict=True))

    def described(self, counts: Mapping[str, int] | None) -> tuple[str, ...]:
        if not counts:
            return ()
        return (f"{said.several(len(counts), 'label')} (rarest {min(counts.values()):,})",)

    def untested(self, test: Array, metrics: Sequence[str], names: tuple[str, ...] | None) -> tuple[str, ...]:
        assert names is not None
        missing = [
            repr(name) for name, there in zip(names, np.any(test > 0, axis=0).tolist(), strict=True) if not there
        ]
        if not missing:
            return ()
        more = f"{', '.join(missing[:3])}" + (f" and {len(missing) - 3:,} more" if len(missing) > 3 else "")
        counted = "; macro F1 counts it with 0" if "macro_f1" in metrics else ""
        return (f"no test example has the {said.several(len(missing), 'label')} {more}{counted}",)

    def errors(self, labels: Array, predictions: Array, meaning: Meaning) -> tuple[Errors, ...]:
        true, given, trials = labels > 0, predictions > 0, len(predictions)
        rows = (
            f1_row(name, (true[:, i] & given[..., i]).sum() / trials, true[:, i].sum(), given[..., i].sum() / trials)
            for i, name in enumerate(meaning.names)
        )
        return (Errors("By label", ("label", *F1_HEADER), tuple(rows)),)

    def late(self, labels: Array) -> NDArray[np.bool_]:
        """Every second label, by the first one that a text has."""
        return np.asarray((labels > 0).argmax(1) % 2 == 1)

    def spoiled(self, labels: Array, struck: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """One another's sets."""
        return np.asarray(labels[rng.permutation(struck)])


# --- how sets are read


def _label_set(table: Table, name: str, row: int, separator: str | None) -> list[str]:
    """The labels of a row as they are written. Raises DataError."""
    value = table.columns[name][row]
    if isinstance(value, list):
        spelt = [spelling(label) for label in value]
        if None not in spelt and "" not in spelt:
            return [label for label in spelt if label is not None]
        odd = value[next(i for i, label in enumerate(spelt) if not label)]
        raise DataError(f"{str(table.path)!r}, {table.at([row])}: {odd!a} in the labels {name!r} is no label",
                        'write a list of texts, like ["joy", "surprise"]; [] is no label at all')  # fmt: skip
    if is_empty(value):
        return []
    if not isinstance(value, str):
        raise DataError(f"{str(table.path)!r}, {table.at([row])}: the labels {name!r} are {value!a}, no list",
                        'write a list of texts, like ["joy", "surprise"]')  # fmt: skip
    text = value.strip()
    if text.startswith("[") and text.endswith("]"):
        raise DataError(f"{str(table.path)!r}, {table.at([row])}: the labels {name!r} are {said.brief(text, 60)!r}, a list "
                        "written as text", "write a list in JSON lines or Parquet, or just the labels with a separator between "
                        "them: joy,surprise")  # fmt: skip
    if separator is None:
        raise DataError(
            f"{str(table.path)!r}, {table.at([row])}: the labels {name!r} are {said.brief(text, 60)!r}, a text and no list",
            "say what separates them: --label-separator , (label_separator in a study file)",
        )
    return [label for part in text.split(separator) if (label := spelling(part))]


def _check_separator(table: Table, name: str, separator: str | None) -> None:
    """Raises DataError where it never occurs: each text would have one label."""
    values = table.columns[name]
    texts = [value for value in values if isinstance(value, str)]
    if separator is not None and texts and not any(separator in text for text in texts):
        raise DataError(f"{str(table.path)!r}: the separator {separator!r} never occurs in {name!r}",
                        f"is it another one? the first labels are {said.brief(repr(texts[0]), 60)}; if each text has one label, "
                        "say --kind classification")  # fmt: skip


def _said(labels: frozenset[str]) -> str:
    return ", ".join(map(repr, sorted(labels))) or "none"
