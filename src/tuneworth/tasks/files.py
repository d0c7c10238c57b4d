"""Tasks in the user's own files, and every check of them that can be made before training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import DataError, SpecError
from tuneworth.spec import FileTask, Kind
from tuneworth.tasks import Examples, TaskData
from tuneworth.tasks.duplicates import apart, distinct
from tuneworth.tasks.metrics import check_metric, default_metrics, positive_class
from tuneworth.tasks.splits import test_split
from tuneworth.tasks.tables import Table, read_table, where

__all__ = ["from_files", "read_texts"]

FEW = 20
"""Whole numbers of at most this many different values are taken for classes where the kind is not given."""


def from_files(name: str, declaration: FileTask) -> DeclaredTask:
    """The task that a study file or a command line declares; its files are read on the first question about them.

    Raises SpecError for an unknown metric; asking for kind, metrics or data may raise DataError.
    """
    if declaration.metric is not None:
        check_metric(declaration.metric, declaration.kind)
    return DeclaredTask(name, declaration)


def read_texts(path: Path, text: str, pair: str | None = None) -> tuple[list[str], list[str] | None]:
    """The text column, and the pair's, of a file without labels. Raises DataError."""
    names = _distinct([text, *([pair] if pair is not None else [])])
    table = read_table(path, names)
    return _texts(table, text), _texts(table, pair) if pair is not None else None


@dataclass(frozen=True)
class DeclaredTask:
    name: str
    declaration: FileTask

    @property
    def summary(self) -> str:
        return f"{self.declaration.label!r} from {self.declaration.train.name}"

    @property
    def kind(self) -> Kind:
        return self._loaded[0]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The defaults of the kind; a metric of the user's own comes first."""
        kind, data = self._loaded
        own = (self.declaration.metric,) if self.declaration.metric is not None else ()
        return tuple(dict.fromkeys((*own, *default_metrics(kind, len(data.label_names or ())))))

    def load(self, data_dir: Path | None) -> TaskData:  # noqa: ARG002 (a declared path stands for itself)
        """Raises DataError; SpecError where the metric does not suit the data."""
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[Kind, TaskData]:
        declared = self.declaration
        names = _distinct([n for n in (declared.text, declared.text_pair, declared.label) if n is not None])
        if declared.test is not None and declared.test.resolve() == declared.train.resolve():
            raise DataError(f"{str(declared.train)!r} is both train and test file",
                            "leave out the test file: a part is then split off")  # fmt: skip
        tables = [read_table(path, names) for path in (declared.train, declared.test) if path is not None]
        kind: Kind = declared.kind or _guess(tables[0].columns[declared.label])
        texts = [_texts(table, declared.text) for table in tables]
        pairs = [_texts(table, declared.text_pair) if declared.text_pair else None for table in tables]
        labels, label_names = (_targets if kind == "regression" else _classes)(tables, declared.label)
        if declared.metric is not None:
            check_metric(declared.metric, kind, len(label_names or ()))
        positive = positive_class(labels[0], label_names, declared.positive)
        parts = [Examples(*columns) for columns in zip(texts, pairs, labels, strict=True)]
        if declared.drop_duplicates:
            parts[0] = distinct(parts[0])  # before a test part is split off, so that none stands on both sides
        repeats = len(labels[0]) - len(parts[0])
        if declared.test is None:
            split = test_split(parts[0].labels, kind, declared.test_fraction, declared.split_seed)
            parts = [parts[0].only(rows) for rows in split]
        train, test = parts
        if kind == "regression" and len(test) > 1 and np.ptp(test.labels) == 0:
            raise DataError(f"{str(declared.train)!r}: every target of the test part is {test.labels[0]:g}: nothing can be told "
                            "apart on it", "name a test file with other targets, or a larger test_fraction")  # fmt: skip
        notes: tuple[str, ...] = ()
        if declared.drop_duplicates:
            train = apart(train, test, label_names)
            notes = (f"left out of train: {repeats:,} rows that repeat another, "
                     f"and {len(parts[0]) - len(train):,} whose text stands in test",)  # fmt: skip
        return kind, TaskData(train, test, label_names, notes, positive=positive)


def _distinct(names: list[str]) -> list[str]:
    for name, count in Counter(names).items():
        if count > 1:
            raise SpecError(f"column {name!r} is used for two things", "give each its own column")
    return names


def _texts(table: Table, name: str) -> list[str]:
    """The column, of which every row must be a text with something in it. Raises DataError."""
    values: list[Any] = table.columns[name]
    if empty := _empty(table, name):
        raise DataError(f"{str(table.path)!r}: the text {name!r} is empty in {empty}",
                        "remove those rows, or fill them in")  # fmt: skip
    for i, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(f"{str(table.path)!r}, {where(table, [i])}: {name!r} is {value!r}, not a text",
                            "name a column of texts")  # fmt: skip
    return values


def _guess(values: Sequence[Any]) -> Kind:
    """Regression where nine of ten labels are numbers, and they are fractions or of more than FEW values."""
    numbers = [number for value in values if (number := _number(value)) is not None]
    if len(numbers) < 0.9 * len(values):
        return "classification"
    whole = all(number.is_integer() for number in numbers)
    return "classification" if whole and len(set(numbers)) <= FEW else "regression"


def _number(value: Any) -> float | None:
    try:
        return float(value) if value is not None and not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _targets(tables: list[Table], name: str) -> tuple[list[NDArray[Any]], None]:
    """Float64 targets of each table. Raises DataError: missing, no number, not finite, all the same."""
    return [_numbers(table, name) for table in tables], None


def _numbers(table: Table, name: str) -> NDArray[Any]:
    values = table.columns[name]
    _no_missing(table, name)
    targets = [_number(value) for value in values]
    for i, (value, target) in enumerate(zip(values, targets, strict=True)):
        if target is None or not math.isfinite(target):
            fault = "no number" if target is None else "not a finite number"
            raise DataError(f"{str(table.path)!r}, {where(table, [i])}: the target {name!r} is {value!r}, {fault}",
                            'correct the row; if these are classes, say kind = "classification"')  # fmt: skip
    if len(set(targets)) == 1:
        raise DataError(f"{str(table.path)!r}: every target {name!r} is {values[0]!r}", "there is nothing to learn")
    return np.array(targets, dtype=np.float64)


def _classes(tables: list[Table], name: str) -> tuple[list[NDArray[Any]], tuple[str, ...]]:
    """Class numbers of each table, and the names of the classes, in order. Raises DataError."""
    for table in tables:
        _no_missing(table, name)
    columns = [[_class_name(value) for value in table.columns[name]] for table in tables]
    counts, path = Counter(columns[0]), str(tables[0].path)
    if len(counts) == 1:
        raise DataError(f"{path!r}: every label {name!r} is {columns[0][0]!r}", "give examples of two classes at least")
    once = [label for label, count in counts.items() if count == 1]
    if once:
        row = where(tables[0], [columns[0].index(once[0])])
        more = f", and {len(once) - 1:,} more labels" if len(once) > 1 else ""
        raise DataError(f"{path!r}: the label {once[0]!r} is seen once only ({row}){more}",
                        f"is {name!r} the right column? add examples of it, or remove it")  # fmt: skip
    for table, column in zip(tables[1:], columns[1:], strict=True):
        for i, label in enumerate(column):
            if label not in counts:
                raise DataError(f"{str(table.path)!r}, {where(table, [i])}: the label {label!r} is in test only",
                                f"train has {', '.join(map(repr, list(counts)[:5]))}")  # fmt: skip
    names = tuple(sorted(counts, key=_class_order(counts)))
    number = {label: i for i, label in enumerate(names)}
    return [np.array([number[label] for label in column], dtype=np.int64) for column in columns], names


def _class_name(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _class_order(labels: Counter[str]) -> Any:
    """Numbers by value, texts by alphabet."""
    numbers = [_number(label) for label in labels]
    numeric = all(number is not None and math.isfinite(number) for number in numbers)
    return (lambda label: (float(label), label)) if numeric else None


def _no_missing(table: Table, name: str) -> None:
    if missing := _empty(table, name):
        raise DataError(f"{str(table.path)!r}: the label {name!r} is missing in {missing}",
                        "remove those rows, or label them")  # fmt: skip


def _empty(table: Table, name: str) -> str:
    """`2 of 10 rows (lines 3 and 7)` where the column is null, NaN or blank; "" where it nowhere is."""
    values = table.columns[name]
    rows = [i for i, v in enumerate(values) if v is None or v != v or (isinstance(v, str) and not v.strip())]
    return f"{len(rows):,} of {len(values):,} rows ({where(table, rows)})" if rows else ""
