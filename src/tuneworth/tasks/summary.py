"""What was read of a task, as one value: said before anything trains, kept with every result, shown in the report. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from tuneworth import words
from tuneworth.kinds import find_kind, get_kind
from tuneworth.tasks import Task, TaskData
from tuneworth.tasks.duplicates import alike, folded, keys, repeated, standing_in
from tuneworth.tasks.lengths import CUT, Lengths

__all__ = ["Summary", "metric_of", "said", "summarise"]


@dataclass(frozen=True)
class Summary:
    """Numbers of examples, of a task as one model reads it. `TrialResult.data` is its `row`."""

    train: int
    test: int
    left_out: int
    """Rows of the files that are no examples, since the user asked to skip them."""
    kind: str
    classes: Mapping[str, int] | None
    """Examples of each class, in the order of their numbers."""
    median_tokens: int | None
    cut: int
    """Texts of more than `max_length` tokens."""
    max_length: int
    duplicates_in_train: int
    """Training texts that repeat an earlier one, but for case and white space."""
    test_in_train: int
    """Test texts that also stand in train, but for case and white space."""
    contradictory: int
    """Texts with two labels; 0 for a kind whose labels of one text may well differ a little."""
    positive: str | None
    """The class that F1 is of, where there are two."""
    near_in_train: int = 0
    """Further training texts that repeat an earlier one but for punctuation."""
    near_test_in_train: int = 0
    """Further test texts that stand in train but for punctuation."""
    scored_by: str | None = None
    """The primary metric in words, where a task offers several and it is no matter of course which."""
    sampled: bool = False
    """`cut` is an estimate: too many texts may be longer to count each one's tokens."""
    notes: tuple[str, ...] = ()
    """What else must be known of the data, a sentence each."""

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Summary:
        """The value that `row` was made of, by this version or another one."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in row.items() if name in known})

    @property
    def row(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "notes": list(self.notes)}

    @property
    def line(self) -> str:
        """One line, without the task's name."""
        rows = f"{self.train:,} rows to train on and {self.test:,} to test on"
        parts = [rows + (f" ({self.left_out:,} more left out)" if self.left_out else ""), self.kind]
        parts += find_kind(self.kind).described(self.classes)
        if self.scored_by is not None:
            parts.append(f"scored by {self.scored_by}")
        if self.positive is not None:
            parts.append(f"F1 is of {self.positive!r}")
        if self.median_tokens is not None:
            parts.append(f"texts of {self.median_tokens:,} tokens at the median")
        cut = f"{'some ' if self.sampled and self.cut else ''}{self.cut:,}" if self.cut else "none"
        parts.append(f"{cut} cut at {self.max_length:,}")
        but = "but for punctuation"
        faults = (
            (self.test_in_train, "test text also stands in train", "test texts also stand in train"),
            (self.near_test_in_train, f"test text stands in train {but}", f"test texts stand in train {but}"),
            (self.duplicates_in_train, "training text repeats another", "training texts repeat another"),
            (self.near_in_train, f"training text repeats another {but}", f"training texts repeat another {but}"),
            (self.contradictory, "text has two labels", "texts have two labels"),
        )
        return "; ".join([", ".join(parts), *(words.several(n, one, many) for n, one, many in faults if n)])


def metric_of(row: Mapping[str, Any]) -> str | None:
    """The metric of a row of results, as it is shown: F1 with the class that it is of, where the trial says so."""
    positive = (row.get("data") or {}).get("positive")
    return f"f1 of {positive!r}" if row["metric"] == "f1" and positive is not None else row["metric"]


def said(name: str, row: Mapping[str, Any] | None) -> Iterator[str]:
    """The lines that say what was read of the task `name`, or of each task of a stream: `TrialResult.data` in words."""
    if row is None:
        return
    if "tasks" in row:
        for task, part in row["tasks"].items():
            yield from said(task, part)
        return
    summary = Summary.of_row(row)
    yield f"{name}: {summary.line}"
    yield from (f"  {note}" for note in summary.notes)


def summarise(task: Task, data: TaskData, lengths: Lengths, max_length: int, positions: int | None) -> Summary:
    """`lengths`: of the data's texts; `positions`: how many tokens the model can read at most."""
    train, test = folded(data.train), folded(data.test)
    near, near_test = alike(data.train), alike(data.test)
    again, leaked = repeated(train), standing_in(test, train)
    labels, kind = np.concatenate([data.train.labels, data.test.labels]), get_kind(task.kind)
    labelled = set(zip([*train, *test], keys(labels), strict=True)) if kind.contradicts() else set()
    cut = lengths.cut(max_length)
    return Summary(
        train=len(train), test=len(test), left_out=data.left_out, kind=task.kind,
        classes=kind.counts(labels, data.label_names),
        median_tokens=lengths.median, cut=cut, max_length=max_length,
        duplicates_in_train=int(again.sum()), test_in_train=int(leaked.sum()),
        near_in_train=int((repeated(near) & ~again).sum()), near_test_in_train=int((standing_in(near_test, near) & ~leaked).sum()),
        contradictory=sum(n > 1 for n in Counter(text for text, _ in labelled).values()),
        positive=data.label_names[data.positive] if data.label_names and "f1" in task.metrics else None,
        scored_by=kind.scored_by(task.metrics, data.meaning(task.kind)), sampled=lengths.sampled,
        notes=(*data.notes, *_about_length(cut, len(labels), max_length, positions),
               *kind.untested(data.test.labels, task.metrics, data.label_names)),
    )  # fmt: skip


def _about_length(cut: int, texts: int, max_length: int, positions: int | None) -> Iterator[str]:
    if cut <= CUT * texts:
        return
    more = min(4 * max_length, positions or 4 * max_length)
    yield f"{cut:,} of {texts:,} texts are longer than {max_length:,} tokens and are cut there" + (
        f": --max-length {more}, or max_length = {more} in a study file, reads more of them"
        if more > max_length
        else ", which is all that the model reads"
    )
