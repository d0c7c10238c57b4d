"""Columns of a CSV, TSV, JSONL, Parquet or CoNLL file. Whatever is wrong with the file is said before anything trains."""

from __future__ import annotations

import codecs
import json
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuneworth.errors import DataError, did_you_mean
from tuneworth.spec import Form
from tuneworth.tasks.conll import read_sentences
from tuneworth.tasks.delimited import UNKNOWN, position, read_records
from tuneworth.tasks.parquet import read_bounded

__all__ = ["ABSENT", "Table", "read_table", "read_text"]


class Absent:
    """The value of a key that a JSON object lacks."""


ABSENT = Absent()


@dataclass(frozen=True)
class Table:
    """`columns[name][i]` is row i; `where[i]` says where that stands in the file, counted from 1 in `unit`s."""

    path: Path
    unit: str
    where: Sequence[int]
    columns: dict[str, list[Any]]
    every: Sequence[tuple[str, Sequence[Any]]] = ()
    """Every column of a file that is read whole, in order; Parquet's as Arrow has them."""
    notes: tuple[str, ...] = ()
    """What was decided on reading it, a sentence each."""

    def at(self, rows: Sequence[int]) -> str:
        """`line 3`, `lines 3, 8 and 12`, `lines 3, 8, 12 and 40 more`."""
        places = [f"{self.where[row]:,}" for row in rows[:3]]
        if len(rows) == 1:
            return f"{self.unit} {places[0]}"
        last = f"{len(rows) - 3:,} more" if len(rows) > 3 else places.pop()
        return f"{self.unit}s {', '.join(places)} and {last}"

    def without(self, rows: Collection[int]) -> Table:
        """The named columns without those rows."""
        if not rows:
            return self
        kept = [row for row in range(len(self.where)) if row not in rows]
        columns = {name: [values[row] for row in kept] for name, values in self.columns.items()}
        return replace(self, where=[self.where[row] for row in kept], columns=columns, every=())


def read_table(path: Path, names: Sequence[str], form: Form = UNKNOWN, whole: bool = False) -> Table:
    """The named columns, and with `whole` every other one as well.

    Raises DataError: no such file, suffix, column; not UTF-8; ragged or no rows; bad JSON.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        remedy = _INSTEAD.get(path.suffix.lower(), "give one of .csv, .tsv, .jsonl, .ndjson, .parquet, .conll")
        raise DataError(f"cannot read {str(path)!r}: the suffix {path.suffix!r} is not supported", remedy)
    if form != UNKNOWN and path.suffix.lower() not in _DELIMITED:
        raise DataError(f"{str(path)!r} has no delimiters and no quotes", "leave out --delimiter and --quoting")
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a directory, not a file", "give the path of one file")
    if not path.exists():
        near = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
        raise DataError(f"there is no file {str(path)!r}", did_you_mean(path.name, near) if near else "check the path")
    try:
        table = reader(path, names, form, whole)
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}", "check the file") from None
    if not table.where:
        raise DataError(f"{str(path)!r} has no data rows", "give a file with examples in it")
    return table


def read_text(path: Path) -> str:
    """The file's text, in UTF-8, or in UTF-16 where a BOM says so. Raises DataError with the line that cannot be read, or
    holds a NUL."""
    data = path.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{str(path)!r} is empty", "give a file with examples in it")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        fault, before = f"is not {'UTF-16' if wide else 'UTF-8'} text", data[: error.start].decode("latin-1")
        command = f"iconv -f cp1252 -t utf-8 {shlex.quote(path.name)} > utf8{path.suffix}"
        remedy = f"save it as UTF-8 text; if Windows wrote it: `{command}`"
    else:
        if "\0" not in text:
            return text
        fault, before, remedy = "holds a NUL character", text[: text.index("\0")], "save it as UTF-8 text without any"
    raise DataError(f"{str(path)!r} {fault} (line {before.count(chr(10)) + 1:,})", remedy)


def _delimited(usual: str) -> _Reader:
    def read(path: Path, names: Sequence[str], form: Form, whole: bool) -> Table:
        found = read_records(path, read_text(path), names, usual, form, whole)
        at = [position(path, found.header, name) for name in names]
        columns = {name: [row[i] for row in found.rows] for name, i in zip(names, at, strict=True)}
        every = [(name, [row[i] for row in found.rows]) for i, name in enumerate(found.header)] if whole else []
        return Table(path, "line", found.lines, columns, every, found.notes)

    return read


def _json_lines(path: Path, names: Sequence[str], _: Form, whole: bool) -> Table:
    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    for line, text in enumerate(read_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        row = _json_object(path, line, text)
        for name in names:
            if name not in row:
                raise DataError(f"{str(path)!r}, line {line:,}: no key {name!r}", did_you_mean(name, row))
        rows.append(row if whole else {name: row[name] for name in names})
        lines.append(line)
    columns = {name: [row[name] for row in rows] for name in names}
    keys = dict.fromkeys(key for row in rows for key in row) if whole else ()
    return Table(path, "line", lines, columns, [(key, [row.get(key, ABSENT) for row in rows]) for key in keys])


def _json_object(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        remedy = f"write one JSON object a line: `jq -c . {shlex.quote(path.name)} > lines.jsonl` does, for objects that are whole"
        raise DataError(f"{str(path)!r}, line {line:,} is not JSON: {what}", remedy) from None
    if not isinstance(row, dict):
        remedy = f"`jq -c '.[]' {shlex.quote(path.name)} > lines.jsonl` unpacks a list" if isinstance(row, list) else ""
        raise DataError(f"{str(path)!r}, line {line:,} is no JSON object", remedy or 'write it like {"text": "..."}')
    return row


def _parquet(path: Path, names: Sequence[str], _: Form, whole: bool) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.stat().st_size:
        raise DataError(f"{str(path)!r} is empty", "give a file with examples in it")
    try:
        file = pq.ParquetFile(path)
        header = file.schema_arrow.names
        for name in names:
            if name not in header:
                raise DataError(f"{str(path)!r} has no column {name!r}", did_you_mean(name, header))
            if header.count(name) > 1:
                raise DataError(f"{str(path)!r} names column {name!r} more than once", "rename one of them")
        table = read_bounded(path, None if whole else list(names))
        columns = {name: table.column(name).to_pylist() for name in names}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{str(path)!r} cannot be read as Parquet: {first}", "write the file again") from None
    every = list(zip(table.column_names, table.columns, strict=True)) if whole else []
    return Table(path, "row", range(1, table.num_rows + 1), columns, every)


def _conll(path: Path, names: Sequence[str], _: Form, whole: bool) -> Table:
    found = read_sentences(path, read_text(path))
    if len(names) > 1 and found.width < 2:
        raise DataError(
            f"{str(path)!r} has rows of one column: words without tags", "write word and tag, a tab between them"
        )
    columns = {name: found.column(path, name) for name in names}
    every = [(str(number), found.column(path, str(number))) for number in range(found.width)] if whole else []
    return Table(path, "line", found.lines, columns, every)


_Reader = Callable[[Path, Sequence[str], Form, bool], Table]
_DELIMITED: dict[str, _Reader] = {".csv": _delimited(","), ".tsv": _delimited("\t")}
_READERS: dict[str, _Reader] = {
    **_DELIMITED,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".conll": _conll,
}
_INSTEAD = {
    ".json": "write one JSON object a line: `jq -c '.[]' in.json > out.jsonl`",
    ".txt": "name it .csv or .tsv if it is one, with a header line",
    ".xlsx": "save the sheet as CSV (UTF-8)",
    ".xls": "save the sheet as CSV (UTF-8)",
    ".iob": "name it .conll",
    ".bio": "name it .conll",
    ".gz": "unpack it first",
    ".zip": "unpack it first",
}
