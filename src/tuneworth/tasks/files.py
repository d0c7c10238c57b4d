"""Tasks in the user's own files, and every check of them that can be made before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import DataError, SpecError
from tuneworth.spec import FileTask, Kind
from tuneworth.tasks import Examples, TaskData, duplicates
from tuneworth.tasks.labels import LIKE_NOTHING, classes, guess, is_empty, numbers
from tuneworth.tasks.metrics import check_metric, default_metrics, positive_class
from tuneworth.tasks.splits import test_split
from tuneworth.tasks.tables import Table, is_broken, read_table, where

__all__ = ["count_rows", "distinct", "from_files", "rows_without", "texts_of"]


def from_files(name: str, declaration: FileTask) -> DeclaredTask:
    """The task that a study file or a command line declares; its files are read on the first question about them.

    Raises SpecError for an unknown metric; asking for kind, metrics or data may raise DataError.
    """
    if declaration.metric is not None:
        check_metric(declaration.metric, declaration.kind)
    return DeclaredTask(name, declaration)


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
        text_columns = [name for name in (declared.text, declared.text_pair) if name is not None]
        if declared.test is not None and declared.test.resolve() == declared.train.resolve():
            raise DataError(f"{str(declared.train)!r} is both train and test file",
                            "leave out the test file: a part is then split off")  # fmt: skip
        names = distinct([*text_columns, declared.label])
        paths = [path for path in (declared.train, declared.test) if path is not None]
        read = [read_table(path, names, declared.form) for path in paths]
        read_notes = [note for table in read for note in table.notes]
        with _saying(read_notes):
            tables = [_filled(table, names) for table in read] if declared.skip_empty else read
            kind, kind_notes = (declared.kind, ()) if declared.kind else guess(tables[0], declared.label)
            columns = [[texts_of(table, name) for name in text_columns] for table in tables]
            labels, label_names, label_notes = _labels(kind, tables, declared.label)
        if declared.metric is not None:
            check_metric(declared.metric, kind, len(label_names or ()))
        positive = positive_class(labels[0], label_names, declared.positive)
        parts = [Examples(texts, pairs[0] if pairs else None, targets)
                 for (texts, *pairs), targets in zip(columns, labels, strict=True)]  # fmt: skip
        if declared.drop_duplicates:
            parts[0] = duplicates.distinct(parts[0])  # before a test part is split off: none stands on both sides
        repeats = len(labels[0]) - len(parts[0])
        if declared.test is None:
            split = test_split(parts[0].labels, kind, declared.test_fraction, declared.split_seed)
            parts = [parts[0].only(rows) for rows in split]
        train, test = parts
        if kind == "regression" and len(test) > 1 and np.ptp(test.labels) == 0:
            raise DataError(f"{str(declared.train)!r}: every target of the test part is {test.labels[0]:g}: nothing can be told "
                            "apart on it", "name a test file with other targets, or a larger test_fraction")  # fmt: skip
        text_notes = [note for table in tables for name in text_columns for note in _odd_texts(table, name)]
        notes = [*read_notes, *kind_notes, *label_notes, *text_notes]
        if declared.drop_duplicates:
            train = duplicates.apart(train, test, label_names)
            notes.append(f"left out of train: {repeats:,} rows that repeat another, "
                         f"and {len(parts[0]) - len(train):,} whose text stands in test")  # fmt: skip
        left_out = sum(len(table.where) for table in read) - sum(len(table.where) for table in tables)
        return kind, TaskData(train, test, label_names, tuple(notes), left_out, positive)


@contextmanager
def _saying(notes: list[str]) -> Iterator[None]:
    """What is wrong with a file is said with how it was read, which may be why."""
    try:
        yield
    except DataError as error:
        raise DataError(error.problem, "; ".join([error.remedy, *notes])) from None


def distinct(names: list[str]) -> list[str]:
    """Raises SpecError where one column is to be two things."""
    for name, count in Counter(names).items():
        if count > 1:
            raise SpecError(f"column {name!r} is used for two things", "give each its own column")
    return names


def rows_without(table: Table, names: Sequence[str]) -> list[int]:
    """The rows in which one of the columns is null, NaN or blank."""
    return [row for row in range(len(table.where)) if any(is_empty(table.columns[name][row]) for name in names)]


def texts_of(table: Table, name: str) -> list[str]:
    """The column, of which every row must be a text with something in it. Raises DataError."""
    path, values = str(table.path), table.columns[name]
    if empty := rows_without(table, [name]):
        raise DataError(f"{path!r}: the text {name!r} is empty in {count_rows(table, empty)}",
                        "fill in those rows, or leave them out with --skip-empty")  # fmt: skip
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(
                f"{path!r}, {where(table, [row])}: {name!r} is {value!r}, not a text", "name a column of texts"
            )
    if broken := [row for row, value in enumerate(values) if is_broken(value)]:
        raise DataError(f"{path!r}: the text {name!r} holds half a character (a lone surrogate, as of an emoji cut in two) in "
                        f"{count_rows(table, broken)}", "correct those rows, or remove them")  # fmt: skip
    return values


def _filled(table: Table, names: Sequence[str]) -> Table:
    """The rows that have texts and label. Raises DataError where none has."""
    filled = table.without(set(rows_without(table, names)))
    if not filled.where:
        raise DataError(
            f"{str(table.path)!r} has no row with all of {', '.join(map(repr, names))}", "are those the columns?"
        )
    return filled


def _labels(
    kind: Kind, tables: Sequence[Table], name: str
) -> tuple[Sequence[NDArray[np.generic]], tuple[str, ...] | None, tuple[str, ...]]:
    """The labels of each table, the names of the classes, and how they were read. Raises DataError."""
    if kind == "regression":
        targets, notes = numbers(tables, name)
        return targets, None, notes
    return classes(tables, name)


def _odd_texts(table: Table, name: str) -> list[str]:
    """Texts in which a person would see nothing, or what a program writes where there is nothing."""
    texts = table.columns[name]
    like_nothing = [row for row, text in enumerate(texts) if text.strip().lower() in LIKE_NOTHING]
    unseen = [row for row, text in enumerate(texts) if not any(sign.isprintable() and sign != " " for sign in text)]
    notes = []
    if like_nothing:
        notes.append(f"the text {name!r} is {texts[like_nothing[0]].strip()!r} or the like in {count_rows(table, like_nothing)}: "
                     "is it missing there?")  # fmt: skip
    if unseen:
        notes.append(f"the text {name!r} holds nothing that can be seen in {count_rows(table, unseen)}")
    return [f"{table.path.name}: {note}" for note in notes]


def count_rows(table: Table, rows: Sequence[int]) -> str:
    """`2 of 10 rows (lines 3 and 7)`"""
    return f"{len(rows):,} of {len(table.where):,} rows ({where(table, rows)})"
