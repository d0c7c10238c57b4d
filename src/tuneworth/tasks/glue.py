"""GLUE (Wang et al. 2018, arXiv 1804.07461): each task a short declaration, one loader for all.

GLUE keeps the labels of its test sets to itself, so dev is the test split here (for MNLI, matched dev).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tuneworth.errors import DataError, did_you_mean
from tuneworth.kinds.regression import Regression
from tuneworth.tasks import Examples, TaskData
from tuneworth.tasks.hub import load_columns
from tuneworth.tasks.tables import read_text

HUB = "nyu-mll/glue"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GlueTask:
    """`columns` are text, second text and label: header names, or positions where the files have no header.

    `hub_columns` are the same on the hub, where they differ. `labels` are the classes in the hub's order; files write
    a class by name or by number. `width` is the number of columns of files without a header.
    """

    config: str
    directory: str
    summary: str
    metrics: tuple[str, ...]
    columns: tuple[str | int | None, ...]
    labels: tuple[str, ...] | None
    hub_columns: tuple[str | None, ...] = ("sentence1", "sentence2", "label")
    kind: str = "classification"
    dev: str = "dev.tsv"
    hub_dev: str = "validation"
    width: int | None = None
    hub: str = HUB
    torn_rows: bool = False
    """The files as handed out hold a few rows that are cut off: they are dropped, and their number is logged."""

    @property
    def name(self) -> str:
        return f"glue/{self.config}"

    def load(self, data_dir: Path | None) -> TaskData:
        """From `data_dir` (None: the directory that TUNEWORTH_DATA names) where that holds the task, else the hub.

        Raises DataError: a directory that is not there, a missing or damaged file, no way to the hub.
        """
        folder = self._folder(data_dir)
        if folder is not None:
            return TaskData(self._read(folder / "train.tsv"), self._read(folder / self.dev), self.labels)
        return TaskData(self._fetch("train"), self._fetch(self.hub_dev), self.labels)

    def _folder(self, data_dir: Path | None) -> Path | None:
        root = data_dir or (
            Path(os.environ["TUNEWORTH_DATA"]).expanduser() if os.environ.get("TUNEWORTH_DATA") else None
        )
        if root is not None and not root.is_dir():
            raise DataError(f"the data directory {str(root)!r} is not there", self._remedy())
        return root / self.directory if root is not None and (root / self.directory).is_dir() else None

    def _remedy(self) -> str:
        return (f"give GLUE's own files: --data-dir DIR (or TUNEWORTH_DATA=DIR) with "
                f"DIR/{self.directory}/train.tsv and DIR/{self.directory}/{self.dev}")  # fmt: skip

    def _fetch(self, split: str) -> Examples:
        names = [name for name in self.hub_columns if name is not None]
        columns = load_columns(self.hub, self.config, split, names, self._remedy())
        text, pair, label = (columns[name] if name is not None else None for name in self.hub_columns)
        return self._examples(text or [], pair, label or [], f"{self.hub}/{self.config}, {split}, row", 1)

    def _read(self, path: Path) -> Examples:
        rows = self._rows(path)
        header = None if self.width is not None else rows.pop(0)
        at = [_position(path, header, column) for column in self.columns]
        text, pair, label = ([row[i] for row in rows] if i is not None else None for i in at)
        return self._examples(text or [], pair, label or [], f"{str(path)!r}, line", 1 if header is None else 2)

    def _rows(self, path: Path) -> list[list[str]]:
        """Tab-separated; a quote is plain text, and a line ends at a line feed only."""
        if not path.is_file():
            raise DataError(f"there is no file {str(path)!r}", self._remedy())
        lines = read_text(path).split("\n")
        rows = [line.rstrip("\r").split("\t") for line in (lines[:-1] if lines[-1] == "" else lines)]
        width = self.width or len(rows[0])
        ragged = [i for i, row in enumerate(rows) if len(row) != width]
        if ragged and not (self.torn_rows and len(ragged) * 1000 <= len(rows)):
            i = ragged[0]
            raise DataError(f"{str(path)!r}, line {i + 1:,}: {len(rows[i])} columns, expected {width}",
                            f"get {self.directory} again: the file is damaged")  # fmt: skip
        if ragged:
            _log.warning("%s: dropped %d rows that are cut off, as the hub's copy does", path, len(ragged))
        if len(rows) - len(ragged) <= (self.width is None):
            raise DataError(f"{str(path)!r} has no data rows", f"get {self.directory} again")
        return [row for row in rows if len(row) == width] if ragged else rows

    def _examples(
        self, texts: Sequence[str], pairs: Sequence[str] | None, labels: Sequence[Any], where: str, first: int
    ) -> Examples:
        try:
            numbers = [self._label(label) for label in labels]
        except ValueError:
            i = next(i for i, label in enumerate(labels) if not self._known(label))
            wanted = " or ".join(self.labels) if self.labels else "a number"
            raise DataError(f"{where} {i + first:,}: the label is {labels[i]!r}", f"expected {wanted}") from None
        return Examples(texts, pairs, np.array(numbers, dtype=np.int64 if self.labels else np.float64))

    def _label(self, value: Any) -> float:
        """Raises ValueError for what is no class of the task (-1 on the hub means: withheld), or no finite number."""
        if self.labels is None:
            if not np.isfinite(number := float(value)):
                raise ValueError
            return number
        if value in self.labels:
            return self.labels.index(value)
        if not 0 <= int(value) < len(self.labels):
            raise ValueError
        return int(value)

    def _known(self, value: Any) -> bool:
        try:
            self._label(value)
        except ValueError:
            return False
        return True


def _position(path: Path, header: list[str] | None, column: str | int | None) -> int | None:
    if isinstance(column, int) or column is None:
        return column
    assert header is not None, "columns are named where there is a header"
    if column not in header:
        raise DataError(f"{str(path)!r} has no column {column!r}", did_you_mean(column, header))
    return header.index(column)


_PAIR = ("sentence1", "sentence2", "label")
_ENTAILMENT = ("entailment", "not_entailment")

TASKS = (
    GlueTask("mrpc", "MRPC", "do two news sentences say the same?", ("f1", "accuracy"),
             ("#1 String", "#2 String", "Quality"), ("not_equivalent", "equivalent")),
    GlueTask("cola", "CoLA", "is the sentence good English?", ("matthews",), (3, None, 1),
             ("unacceptable", "acceptable"), ("sentence", None, "label"), width=4),
    GlueTask("stsb", "STS-B", "how alike are two sentences, from 0 to 5?", ("pearson", "spearman"),
             ("sentence1", "sentence2", "score"), None, kind=Regression.name),
    GlueTask("rte", "RTE", "does a text entail a sentence?", ("accuracy",), _PAIR, _ENTAILMENT),
    GlueTask("sst2", "SST-2", "is a film review positive?", ("accuracy",), ("sentence", None, "label"),
             ("negative", "positive"), ("sentence", None, "label")),
    GlueTask("qnli", "QNLI", "does a sentence answer a question?", ("accuracy",), ("question", "sentence", "label"),
             _ENTAILMENT, ("question", "sentence", "label")),
    GlueTask("qqp", "QQP", "do two questions ask the same?", ("f1", "accuracy"),
             ("question1", "question2", "is_duplicate"), ("not_duplicate", "duplicate"),
             ("question1", "question2", "label"), torn_rows=True),
    GlueTask("mnli", "MNLI", "does a premise entail a hypothesis, contradict it, or neither? (matched dev)",
             ("accuracy",), ("sentence1", "sentence2", "gold_label"), ("entailment", "neutral", "contradiction"),
             ("premise", "hypothesis", "label"), dev="dev_matched.tsv", hub_dev="validation_matched"),
    GlueTask("wnli", "WNLI", "does a sentence follow once its pronoun is resolved?", ("accuracy",), _PAIR,
             ("not_entailment", "entailment")),
)  # fmt: skip
