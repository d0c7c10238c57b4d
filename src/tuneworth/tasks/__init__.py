"""Tasks: a data set, its columns, its kind and its metrics. One file a family; a new file is found by itself."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import SpecError, did_you_mean
from tuneworth.kinds import Codec, Meaning, Words, get_kind
from tuneworth.spec import FileTask

__all__ = ["Examples", "Task", "TaskData", "all_tasks", "fingerprint", "get_task"]


@dataclass(frozen=True)
class Examples:
    """n examples. `labels`: shape (n, ...), as the kind has them: (n,) int64 class numbers, or float64 targets. `pairs`: second
    texts, or None. `words`: where the words of each text stand, for kinds that answer word by word."""

    texts: Sequence[str]
    pairs: Sequence[str] | None
    labels: NDArray[Any]
    words: Sequence[Words] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def only(self, rows: NDArray[np.int64]) -> Examples:
        """The examples with these numbers, in this order."""
        pairs = None if self.pairs is None else [self.pairs[row] for row in rows]
        words = None if self.words is None else [self.words[row] for row in rows]
        return Examples([self.texts[row] for row in rows], pairs, self.labels[rows], words)


@dataclass(frozen=True)
class TaskData:
    """`test` decides nothing: it is scored once, after training. `label_names[i]` names class i (None: numbers)."""

    train: Examples
    test: Examples
    label_names: tuple[str, ...] | None
    notes: tuple[str, ...] = ()
    """What was decided while reading, a sentence each, for people: "4 and 4.0 were taken as one class"."""
    left_out: int = 0
    """Rows of the files that are no examples, since the user asked to skip them."""
    positive: int = 1
    """The class that F1 is of, where there are two."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What else decides how a kind answers (`kinds.Read`)."""
    manner: Mapping[str, Any] = field(default_factory=dict)
    """How its answers are written."""

    @property
    def classes(self) -> int:
        """How many; 0 for numbers."""
        return len(self.label_names or ())

    def codec(self, kind: str, labels: NDArray[Any]) -> Codec:
        """What is known of the task's answers from `labels`, those that are trained on."""
        return get_kind(kind).fit(labels, self.label_names, {**self.settings, **self.manner})

    def meaning(self, kind: str, whole: bool = True) -> Meaning:
        """What the labels mean to the metrics of that kind. Not `whole`: of a part that may lack a class."""
        return Meaning(kind, self.classes if whole else 0, self.positive, self.label_names or ())


class Task(Protocol):
    """`metrics[0]` is the primary one, the score. `load` reads and checks the data and raises DataError."""

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def kind(self) -> str:
        """The name of one in `kinds`."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]: ...
    def load(self, data_dir: Path | None) -> TaskData: ...


@cache
def all_tasks() -> dict[str, Task]:
    """Every registered task by name: each module of this folder lists its own in `TASKS`."""
    found: dict[str, Task] = {}
    for module in pkgutil.iter_modules(__path__):
        for task in getattr(importlib.import_module(f"{__name__}.{module.name}"), "TASKS", ()):
            found[task.name] = task
    return dict(sorted(found.items()))


def get_task(name: str, declared: Mapping[str, FileTask]) -> Task:
    """A task declared in the study (`[task.NAME]`), else a registered one. Raises SpecError, with the nearest name."""
    if name in declared:
        from tuneworth.tasks.files import from_files

        return from_files(name, declared[name])
    tasks = all_tasks()
    if name not in tasks:
        remedy = did_you_mean(name, [*tasks, *declared])
        raise SpecError(f"unknown task {name!r}", f"{remedy}; a task in your own files needs a table [task.{name}]")
    return tasks[name]


def fingerprint(task: Task, data: TaskData) -> str:
    """16 hex digits over the content: examples in order, labels, kind and metrics; never names or paths.

    What the score means is part of it, but stays out where it means what it always meant: F1 of the second class, macro
    F1 of classes that the test split has examples of.
    """
    digest = hashlib.sha256(repr((task.kind, task.metrics, data.label_names)).encode())
    if task.metrics[0] == "f1" and data.positive != 1:
        digest.update(f"|F1 of class {data.positive}".encode())
    if task.metrics[0] == "macro_f1" and data.test.labels.ndim == 1 and len(np.unique(data.test.labels)) < data.classes:
        digest.update(b"|macro F1 over every class")
    if data.settings:
        digest.update(f"|{sorted(data.settings.items())}".encode())
    for part in (data.train, data.test):
        digest.update(f"|{len(part)}|{part.pairs is not None}|".encode())
        for text in [*part.texts, *(part.pairs or ())]:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        digest.update(np.ascontiguousarray(part.labels).tobytes())
        for words in part.words or ():
            digest.update(np.asarray(words, dtype=np.int64).tobytes() + b"|")
    return digest.hexdigest()[:16]
