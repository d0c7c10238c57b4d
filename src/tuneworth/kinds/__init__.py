"""Kinds: what an answer is, from the column it is read from to the words it is given in. One file a kind.

Other packages add kinds through the entry-point group `tuneworth.kinds`; those below enter by the same door. Kind files must
not import torch when they are imported: every user mistake answers within a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tuneworth.errors import Diverged, SpecError, did_you_mean
from tuneworth.kinds.base import Answer, Codec, Errors, Kind, Read, Words
from tuneworth.kinds.metric import Array, Meaning, Metric

if TYPE_CHECKING:
    from tuneworth.spec import FileTask
    from tuneworth.tasks.tables import Table

__all__ = [
    "Answer",
    "Codec",
    "Errors",
    "Kind",
    "Meaning",
    "Metric",
    "Read",
    "Words",
    "all_kinds",
    "all_metrics",
    "baseline",
    "check_metric",
    "evaluate",
    "find_kind",
    "get_kind",
    "get_metric",
    "kind_of",
    "labels_of",
    "pseudo_values",
    "register",
    "seen_kind",
]

GROUP = "tuneworth.kinds"
BUILT_IN = ("tokens:Tokens", "multilabel:Multilabel", "regression:Regression", "classification:Classification")
FALLBACK = "classification"
"""The kind of labels in which no other kind sees its own."""


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by name: the built-in ones, then those of other packages."""
    found: dict[str, Kind] = {}
    own = [EntryPoint(at, f"{__name__}.{at}", GROUP) for at in BUILT_IN]
    for entry in (*own, *entry_points(group=GROUP)):
        kind: Kind = entry.load()()
        found[kind.name] = kind
    return found


def get_kind(name: str) -> Kind:
    """Raises SpecError, with the nearest name."""
    kinds = all_kinds()
    if name not in kinds:
        raise SpecError(f"unknown kind of task {name!r}", did_you_mean(name, kinds))
    return kinds[name]


def find_kind(name: str) -> Kind:
    """The kind, or one that says nothing of its labels, where a result is from a package that is not here."""
    return all_kinds().get(name) or Kind()


def seen_kind(table: Table, task: FileTask) -> tuple[str, tuple[str, ...]]:
    """The kind that the columns of the training file plainly hold, and what is to be said of that. Raises DataError."""
    last = get_kind(FALLBACK)
    for kind in all_kinds().values():
        if kind is not last and (notes := kind.sees(table, task)) is not None:
            return kind.name, notes
    return last.name, last.sees(table, task) or ()


def all_metrics() -> dict[str, list[str]]:
    """The kinds that have each metric."""
    found: dict[str, list[str]] = {}
    for kind in all_kinds().values():
        for name in kind.metrics:
            found.setdefault(name, []).append(kind.name)
    return found


def check_metric(name: str, kind: str | None = None, meaning: Meaning = Meaning()) -> None:
    """Raises SpecError where no metric has that name, or it is for another kind or for other labels, as far as `meaning` knows
    them."""
    known = all_metrics()
    if kind is None:
        if name not in known:
            raise SpecError(f"unknown metric {name!r}", did_you_mean(name, known))
        return
    own = get_kind(kind)
    if name not in own.metrics:
        if name not in known:
            raise SpecError(f"unknown metric {name!r}", did_you_mean(name, own.metrics))
        raise SpecError(f"metric {name!r} is for {' and '.join(known[name])}, the task is {kind}",
                        _choose(own.default_metrics(meaning)))  # fmt: skip
    made_for = own.metrics[name].classes
    if made_for and meaning.classes not in (0, made_for):
        raise SpecError(f"metric {name!r} is for {made_for} classes, the task has {meaning.classes}",
                        _choose(own.default_metrics(meaning)))  # fmt: skip
    if meaning.names and name not in own.default_metrics(meaning):
        raise SpecError(f"metric {name!r} does not suit labels like {meaning.names[0]!r}",
                        _choose(own.default_metrics(meaning)))  # fmt: skip


def kind_of(metric: str, meaning: Meaning) -> Kind:
    """The kind that labels of that meaning are of; where it is not said, as in results of before there were several with one
    name for a metric, the fallback first. Raises ValueError for a metric that it does not have."""
    for kind in [get_kind(meaning.kind)] if meaning.kind else [get_kind(FALLBACK), *all_kinds().values()]:
        if metric in kind.metrics:
            return kind
    raise ValueError(f"there is no metric {metric!r}; known: {', '.join(sorted(all_metrics()))}")


def get_metric(name: str, meaning: Meaning) -> Metric:
    """Raises ValueError for a metric that the kind does not have."""
    return kind_of(name, meaning).metrics[name]


def evaluate(
    metrics: Sequence[str], predictions: Array, labels: Array, meaning: Meaning = Meaning()
) -> dict[str, float]:  # fmt: skip
    """Each metric in points. Both arrays as the kind has them: n examples first. Raises Diverged where a prediction is not
    finite."""
    if not np.isfinite(predictions).all():
        raise Diverged("the model's predictions are not finite")
    return {name: get_metric(name, meaning).points(labels, predictions, meaning) for name in metrics}


def pseudo_values(metric: str, labels: Array, predictions: Array, meaning: Meaning = Meaning()) -> Array:
    """What each test example contributes to a metric, in points: (trials, n). `predictions`: (trials, n, ...). Raises
    ValueError."""
    return get_metric(metric, meaning).pseudo_values(labels, predictions, meaning)


class _Task(Protocol):
    """As in `tasks`."""

    @property
    def kind(self) -> str: ...
    @property
    def metrics(self) -> tuple[str, ...]: ...


class _Examples(Protocol):
    @property
    def labels(self) -> Array: ...


class _Data(Protocol):
    @property
    def train(self) -> _Examples: ...
    @property
    def test(self) -> _Examples: ...
    def meaning(self, kind: str) -> Meaning: ...


def baseline(task: _Task, data: _Data) -> dict[str, float]:
    """What the test split gives to the best answer that is the same for all, by each of the task's metrics."""
    kind, meaning = get_kind(task.kind), data.meaning(task.kind)

    def score(metric: str) -> float:
        answer = np.asarray(kind.constant(data.train.labels, metric, meaning))
        answers = np.broadcast_to(answer, (len(data.test.labels), *answer.shape))
        return evaluate((metric,), answers, data.test.labels, meaning)[metric]

    return {metric: score(metric) for metric in task.metrics}


def register(kind: Kind) -> None:
    """Add a kind to this process, as a package's entry point does: for tests and notebooks."""
    all_kinds()[kind.name] = kind


def labels_of(row: Mapping[str, Any]) -> Meaning:
    """The meaning that a result's `data` says its labels have; of trials of before it said so, as they were scored then."""
    names = tuple(row.get("classes") or ())
    positive = row.get("positive") if names else None
    return Meaning(row.get("kind", ""), len(names), 1 if positive is None else names.index(positive), names)


def _choose(names: Sequence[str]) -> str:
    return f"choose one of {', '.join(names)}"
