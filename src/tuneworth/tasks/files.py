"""Tasks in the user's own files, and every check of them that can be made before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tuneworth.errors import DataError, SpecError
from tuneworth.kinds import Meaning, Words, check_metric, get_kind, seen_kind
from tuneworth.kinds.values import LIKE_NOTHING, count_rows, rows_without
from tuneworth.spec import FileTask
from tuneworth.tasks import Examples, TaskData, duplicates
from tuneworth.tasks.splits import test_split
from tuneworth.tasks.tables import Table, read_table

__all__ = ["distinct", "from_files"]


def from_files(name: str, declaration: FileTask) -> DeclaredTask:
    """The task that a study file or a command line declares; its files are read on the first question about them.

    Raises SpecError for an unknown kind or metric; asking for kind, metrics or data may raise DataError.
    """
    if declaration.kind is not None:
        get_kind(declaration.kind)
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
    def kind(self) -> str:
        return self._loaded[0]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The defaults of the kind; a metric of the user's own comes first."""
        kind, data = self._loaded
        own = (self.declaration.metric,) if self.declaration.metric is not None else ()
        return tuple(dict.fromkeys((*own, *get_kind(kind).default_metrics(data.meaning(kind)))))

    def load(self, data_dir: Path | None) -> TaskData:  # noqa: ARG002 (a declared path stands for itself)
        """Raises DataError; SpecError where the metric does not suit the data."""
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[str, TaskData]:
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
            name, kind_notes = (declared.kind, ()) if declared.kind else seen_kind(read[0], declared)
            kind = get_kind(name)
            needed = text_columns if kind.optional_label else names
            tables = [_filled(table, needed) for table in read] if declared.skip_empty else read
            columns = [[kind.texts(table, column) for column in text_columns] for table in tables]
            said = kind.read(tables, declared)
        if declared.metric is not None:
            check_metric(declared.metric, name, Meaning(name, len(said.names or ()), names=said.names or ()))
        positive = kind.positive(said.labels[0], said.names, declared.positive)
        places: Sequence[Sequence[Words] | None] = said.words or [None] * len(tables)
        parts = [Examples(texts, pairs[0] if pairs else None, labels, words)
                 for (texts, *pairs), labels, words in zip(columns, said.labels, places, strict=True)]  # fmt: skip
        if declared.drop_duplicates:
            parts[0] = duplicates.distinct(parts[0])  # before a test part is split off: none stands on both sides
        repeats = len(said.labels[0]) - len(parts[0])
        if declared.test is None:
            split = test_split(parts[0].labels, name, declared.test_fraction, declared.split_seed)
            parts = [parts[0].only(rows) for rows in split]
        train, test = parts
        kind.check_test(declared.train, test.labels)
        text_notes = [
            note
            for table, texts in zip(tables, columns, strict=True)
            for column, own in zip(text_columns, texts, strict=True)
            for note in _odd_texts(table, column, own)
        ]
        notes = [*read_notes, *kind_notes, *said.notes, *text_notes]
        if declared.drop_duplicates:
            train = duplicates.apart(train, test, said.names)
            notes.append(f"left out of train: {repeats:,} rows that repeat another, "
                         f"and {len(parts[0]) - len(train):,} whose text stands in test, punctuation aside")  # fmt: skip
        left_out = sum(len(table.where) for table in read) - sum(len(table.where) for table in tables)
        return name, TaskData(train, test, said.names, tuple(notes), left_out, positive, said.settings, said.manner)


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


def _filled(table: Table, names: Sequence[str]) -> Table:
    """The rows that have texts and label. Raises DataError where none has."""
    filled = table.without(set(rows_without(table, names)))
    if not filled.where:
        raise DataError(
            f"{str(table.path)!r} has no row with all of {', '.join(map(repr, names))}", "are those the columns?"
        )
    return filled


def _odd_texts(table: Table, name: str, texts: Sequence[str]) -> list[str]:
    """Texts in which a person would see nothing, or what a program writes where there is nothing."""
    like_nothing = [row for row, text in enumerate(texts) if text.strip().lower() in LIKE_NOTHING]
    unseen = [row for row, text in enumerate(texts) if not any(sign.isprintable() and sign != " " for sign in text)]
    notes = []
    if like_nothing:
        notes.append(f"the text {name!r} is {texts[like_nothing[0]].strip()!r} or the like in {count_rows(table, like_nothing)}: "
                     "is it missing there?")  # fmt: skip
    if unseen:
        notes.append(f"the text {name!r} holds nothing that can be seen in {count_rows(table, unseen)}")
    return [f"{table.path.name}: {note}" for note in notes]
