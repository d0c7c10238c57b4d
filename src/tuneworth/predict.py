"""Predictions for a file: what `tuneworth predict` does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuneworth.deltas.files import read_info
from tuneworth.errors import DataError
from tuneworth.kinds import Answer, Words, get_kind
from tuneworth.kinds.values import count_rows, rows_without
from tuneworth.spec import Form
from tuneworth.tasks.delimited import UNKNOWN
from tuneworth.tasks.files import distinct
from tuneworth.tasks.tables import read_table
from tuneworth.tasks.written import WRITERS
from tuneworth.writing import check_file, whole_file

if TYPE_CHECKING:
    from tuneworth.deltas.predictor import Predictor

CHUNK = 512


@dataclass(frozen=True)
class Predicted:
    """How many rows got a label, and what there is to say about the others, the columns and how the file was read."""

    count: int
    notes: tuple[str, ...]


def predict_file(
    delta: Path,
    source: Path,
    target: Path,
    text: str | None = None,
    text_pair: str | None = None,
    model: str | None = None,
    device: str = "auto",
    allow_pickle: bool = False,
    form: Form = UNKNOWN,
    probabilities: bool = False,
) -> Predicted:
    """Write `target`, whole or not at all: every row of `source` in its order with all its columns, and beside them what the
    delta answers (`Codec.columns`): `label`, for classes `confidence`, and with `probabilities` one column a class. A row
    without a text gets none of them.

    Where the input has a column of one of these names, they are `predicted_label` and so on. Raises UserError.
    """
    info = read_info(delta)
    first, second = (*info.columns, None, None)[:2]
    columns = [text or first, text_pair or second]
    if columns[0] is None or (info.pairs and columns[1] is None):
        raise DataError(f"which column holds the {'texts' if columns[0] is None else 'second texts'}?",
                        "name them with --text" + (" and --text-pair" if info.pairs else ""))  # fmt: skip
    if text_pair and not info.pairs:
        raise DataError(f"{str(delta)!r} was tuned on single texts", "leave out --text-pair")
    info.codec.columns((), probabilities)  # a kind may have none: said at once
    _check_target(target, source)
    names = distinct([name for name in columns[: 2 if info.pairs else 1] if name is not None])
    table = read_table(source, names, form, whole=True)
    empty = rows_without(table, names)
    kind, full = get_kind(info.task_kind), table.without(set(empty))
    texts, words = [kind.texts(full, name) for name in names], kind.words(full, names[0])
    if not texts[0]:
        raise DataError(f"{str(source)!r} has no text in {' and '.join(map(repr, names))}", "is that the column?")
    write = WRITERS[target.suffix.lower()](source, table.every)

    from tuneworth.deltas.predictor import Predictor

    predictor = Predictor(delta, model, device, allow_pickle)
    cut = _cut(predictor, texts)
    answers, blank = iter(_answers(predictor, texts, words)), set(empty)
    rows = [None if row in blank else next(answers) for row in range(len(table.where))]
    added = info.codec.columns(rows, probabilities, words is not None)
    prefix = _prefix(added, [name for name, _ in table.every])
    with whole_file(target) as scratch:
        write(scratch, {prefix + name: values for name, values in added.items()})
    notes = [*table.notes, *cut]
    if empty:
        notes.append(f"{count_rows(table, empty)} without a text: no label there")
    if prefix:
        notes.append(
            f"the predictions are in {', '.join(prefix + name for name in added)}: the input has columns of their names"
        )
    return Predicted(len(rows) - len(empty), tuple(notes))


def _cut(predictor: Predictor, texts: list[list[str]]) -> list[str]:
    """How many of the texts the model did not see whole."""
    import numpy as np

    from tuneworth.tasks import Examples
    from tuneworth.tasks.lengths import counter, longer

    length = predictor.info.max_length
    given = Examples(texts[0], texts[1] if len(texts) > 1 else None, np.empty(len(texts[0])))
    cut = longer(given, length, counter(predictor.tokenizer)).cut(length)
    return [f"{cut:,} of {len(texts[0]):,} texts are longer than {length:,} tokens and were cut there"] if cut else []


def _answers(predictor: Predictor, texts: list[list[str]], words: list[Words] | None) -> Iterator[Answer]:
    """What the predictor says of each text, or pair of texts: `texts` holds the columns."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    starts = range(0, len(texts[0]), CHUNK)
    for start in track(starts, "predicting", console=console, disable=not console.is_terminal):
        own = None if words is None else words[start : start + CHUNK]
        first, *second = (column[start : start + CHUNK] for column in texts)
        yield from predictor.predict(first, second[0] if second else None, own)


def _prefix(added: Iterable[str], names: Iterable[str]) -> str:
    """What makes the new names differ from the input's, in whatever case."""
    taken, prefix = {name.casefold() for name in names}, ""
    while any((prefix + name).casefold() in taken for name in added):
        prefix += "predicted_"
    return prefix


def _check_target(target: Path, source: Path) -> None:
    if target.suffix.lower() not in WRITERS:
        what = repr(target.suffix) if target.suffix else "a file without a suffix"
        raise DataError(f"cannot write {what}", "end --output in .csv, .tsv, .jsonl, .parquet or .conll")
    if check_file(target) == source.resolve():
        raise DataError(f"{str(target)!r} is the input", "give --output another path")
