"""Columns of a CSV, TSV, JSONL or Parquet file. Whatever is wrong with the file is said before anything trains."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneworth.errors import DataError, did_you_mean

__all__ = ["Table", "read_table", "read_utf8", "where"]


@dataclass(frozen=True)
class Table:
    """`columns[name][i]` is row i; `where[i]` says where that stands in the file, counted from 1 in `unit`s."""

    path: Path
    unit: str
    where: Sequence[int]
    columns: dict[str, list[Any]]


def read_table(path: Path, names: Sequence[str]) -> Table:
    """The named columns. Raises DataError: no such file, suffix, column; not UTF-8; ragged or no rows; bad JSON."""
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        remedy = _INSTEAD.get(path.suffix.lower(), "give one of .csv, .tsv, .jsonl, .ndjson, .parquet")
        raise DataError(f"cannot read {str(path)!r}: the suffix {path.suffix!r} is not supported", remedy)
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a directory, not a file", "give the path of one file")
    if not path.exists():
        near = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
        raise DataError(f"there is no file {str(path)!r}", did_you_mean(path.name, near) if near else "check the path")
    try:
        table = reader(path, names)
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}", "check the file") from None
    if not table.where:
        raise DataError(f"{str(path)!r} has no data rows", "give a file with examples in it")
    return table


def read_utf8(path: Path) -> str:
    """The file's text, without its BOM. Raises DataError with the line that is not UTF-8, or holds a NUL."""
    data = path.read_bytes()
    if not data.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{str(path)!r} is empty", "give a file with examples in it")
    at = data.find(b"\0")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at, text = error.start, ""
    else:
        if at < 0:
            return text
    line = data.count(b"\n", 0, at) + 1
    fault = "holds a NUL character" if text else "is not UTF-8 text"
    raise DataError(f"{str(path)!r} {fault} (line {line})", "save it as UTF-8 text")


def where(table: Table, rows: Sequence[int]) -> str:
    """`line 3`, `lines 3, 8 and 12`, `lines 3, 8, 12 and 40 more`."""
    places = [f"{table.where[row]:,}" for row in rows[:3]]
    if len(rows) == 1:
        return f"{table.unit} {places[0]}"
    last = f"{len(rows) - 3:,} more" if len(rows) > 3 else places.pop()
    return f"{table.unit}s {', '.join(places)} and {last}"


def _delimited(dialect: type[csv.Dialect]) -> Callable[[Path, Sequence[str]], Table]:
    def read(path: Path, names: Sequence[str]) -> Table:
        rows = _records(path, csv.reader(io.StringIO(read_utf8(path), newline=""), dialect, strict=True))
        header = next(rows, (1, []))[1]
        doubles = [name for name, count in Counter(header).items() if count > 1 and name]
        if doubles:
            raise DataError(f"{str(path)!r} names column {doubles[0]!r} more than once", "rename one of them")
        at = [_position(path, header, name, dialect.delimiter) for name in names]
        lines: list[int] = []
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for line, row in rows:
            if len(row) != len(header):
                raise DataError(f"{str(path)!r}, line {line:,}: {len(row)} fields, the header has {len(header)}",
                                "put quotes around a text that holds the delimiter or a line break")  # fmt: skip
            lines.append(line)
            for name, position in zip(names, at, strict=True):
                columns[name].append(row[position])
        return Table(path, "line", lines, columns)

    return read


def _records(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows, each with the line where it begins; blank lines are none."""
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            remedy = "is a quote left open there? inside quotes, a quote is written twice"
            raise DataError(f"{str(path)!r}, line {line:,}: {error}", remedy) from None
        if row is None:
            return
        if row:
            yield line, row


def _position(path: Path, header: list[str], name: str, delimiter: str) -> int:
    if name in header:
        return header.index(name)
    remedy = did_you_mean(name, header)
    others = [sign for sign in ",;\t|" if sign != delimiter and sign in header[0]] if len(header) == 1 else []
    if others:
        remedy = f"its header is one column {header[0]!r}: separate the columns with {delimiter!r}, not {others[0]!r}"
    raise DataError(f"{str(path)!r} has no column {name!r}", remedy)


def _json_lines(path: Path, names: Sequence[str]) -> Table:
    lines: list[int] = []
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for line, text in enumerate(read_utf8(path).split("\n"), start=1):
        if not text.strip():
            continue
        row = _json_object(path, line, text)
        for name in names:
            if name not in row:
                raise DataError(f"{str(path)!r}, line {line:,}: no key {name!r}", did_you_mean(name, row))
            columns[name].append(row[name])
        lines.append(line)
    return Table(path, "line", lines, columns)


def _json_object(path: Path, line: int, text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise DataError(f"{str(path)!r}, line {line:,} is not JSON: {what}", "write one JSON object a line") from None
    if not isinstance(row, dict):
        raise DataError(f"{str(path)!r}, line {line:,} is no JSON object", 'write it like {"text": "..."}')
    return row


def _parquet(path: Path, names: Sequence[str]) -> Table:
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
        table = file.read(columns=list(names))
        columns = {name: table.column(name).to_pylist() for name in names}
    except (pa.ArrowException, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{str(path)!r} cannot be read as Parquet: {first}", "write the file again") from None
    return Table(path, "row", range(1, table.num_rows + 1), columns)


_READERS: dict[str, Callable[[Path, Sequence[str]], Table]] = {
    ".csv": _delimited(csv.excel),
    ".tsv": _delimited(csv.excel_tab),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
_INSTEAD = {
    ".json": "write one JSON object a line: `jq -c '.[]' in.json > out.jsonl`",
    ".txt": "name it .csv or .tsv if it is one, with a header line",
    ".xlsx": "save the sheet as CSV (UTF-8)",
    ".xls": "save the sheet as CSV (UTF-8)",
    ".gz": "unpack it first",
    ".zip": "unpack it first",
}
