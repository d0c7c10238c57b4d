"""A table as CSV, TSV, JSON lines or Parquet, with new columns beside those that were read.

What a format cannot hold is said when its writer is made, before there is anything to write.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuneworth.errors import DataError
from tuneworth.kinds.values import is_broken
from tuneworth.tasks.tables import ABSENT

__all__ = ["WRITERS"]

Columns = Sequence[tuple[str, Sequence[Any]]]
Write = Callable[[Path, Mapping[str, Sequence[Any]]], None]


def _delimited(delimiter: str) -> Callable[[Path, Columns], Write]:
    def writer(source: Path, columns: Columns) -> Write:
        cells = [[_cell(source, name, value) for value in _values(column)] for name, column in columns]

        def write(target: Path, added: Mapping[str, Sequence[Any]]) -> None:
            with target.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, delimiter=delimiter)
                rows.writerow([*(name for name, _ in columns), *added])
                rows.writerows(zip(*cells, *added.values(), strict=True))

        return write

    return writer


def _json_lines(source: Path, columns: Columns) -> Write:
    _check_names(source, columns)
    names, values = [name for name, _ in columns], [_values(column) for _, column in columns]
    rows = [{name: value for name, value in zip(names, row, strict=True) if value is not ABSENT}
            for row in zip(*values, strict=True)]  # fmt: skip
    lines = [_json(source, row) for row in rows]

    def write(target: Path, added: Mapping[str, Sequence[Any]]) -> None:
        with target.open("w", encoding="utf-8", newline="") as file:
            for line, answer in zip(lines, zip(*added.values(), strict=True), strict=True):
                file.write(f"{line[:-1]}, {_json(source, dict(zip(added, answer, strict=True)))[1:]}\n")

    return write


def _parquet(source: Path, columns: Columns) -> Write:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_names(source, columns)
    arrays = []
    for name, column in columns:
        try:
            given = isinstance(column, pa.ChunkedArray)
            arrays.append(column if given else pa.array([None if value is ABSENT else value for value in column]))
        except (pa.ArrowException, UnicodeEncodeError) as error:
            fault = str(error).splitlines()[0]
            raise _refused(source, name, f"what Parquet cannot hold: {fault}", ".jsonl") from None

    def write(target: Path, added: Mapping[str, Sequence[Any]]) -> None:
        new = [pa.array(values) for values in added.values()]
        pq.write_table(pa.table([*arrays, *new], names=[*(name for name, _ in columns), *added]), target)

    return write


def _values(column: Sequence[Any]) -> Sequence[Any]:
    values: Sequence[Any] = column if isinstance(column, list) else column.to_pylist()  # type: ignore[attr-defined]
    return values


def _cell(source: Path, name: str, value: Any) -> str:
    if value is None or value is ABSENT:
        return ""
    if isinstance(value, bytes):
        raise _refused(source, name, "bytes", ".parquet")
    text = (
        value
        if isinstance(value, str)
        else _json(source, value)
        if isinstance(value, (list, dict, bool))
        else str(value)
    )
    if is_broken(text):
        raise _refused(source, name, "half a character, as of an emoji cut in two", ".jsonl")
    return text


def _json(source: Path, value: Any) -> str:
    def other(value: Any) -> str:
        if isinstance(value, bytes):
            raise _refused(source, "", "bytes", ".parquet")
        return str(value)

    text = json.dumps(value, ensure_ascii=False, default=other)
    return json.dumps(value, default=other) if is_broken(text) else text  # half a character stays as it was written


def _check_names(source: Path, columns: Columns) -> None:
    for name, count in Counter(name for name, _ in columns).items():
        if count > 1:
            raise DataError(f"{str(source)!r} names column {name!r} more than once", "end --output in .csv or .tsv")


def _refused(source: Path, name: str, what: str, suffix: str) -> DataError:
    column = f"column {name!r} of {str(source)!r}" if name else repr(str(source))
    return DataError(f"{column} holds {what}", f"end --output in {suffix}")


def _conll(source: Path, columns: Columns) -> Write:
    sentences = [_values(column) for _, column in columns]
    if not all(isinstance(sentence, list) for column in sentences for sentence in column):
        raise DataError(f"{str(source)!r} holds no words in columns", "end --output in .jsonl")

    def write(target: Path, added: Mapping[str, Sequence[Any]]) -> None:
        with target.open("w", encoding="utf-8", newline="") as file:
            for sentence in zip(*sentences, *added.values(), strict=True):
                file.writelines("\t".join(map(str, cells)) + "\n" for cells in zip(*sentence, strict=True))
                file.write("\n")

    return write


WRITERS: Mapping[str, Callable[[Path, Columns], Write]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".conll": _conll,
}
"""By the suffix of the file to write: from the file that was read and its columns, what writes them with new ones."""
