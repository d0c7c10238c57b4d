"""Delimited text: what separates its columns and what its quotes mean is decided by reading it, and said.

RFC 4180 (quotes around a field, doubled inside it) is what most files follow. Others double no quotes but put a backslash
before them, and in many, above all of tabs, a quote is a character like any other. Read in the wrong way, such a file
gives an error at best; at worst two quotes that have nothing to do with each other join all rows between them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuneworth.errors import DataError, did_you_mean
from tuneworth.spec import Form, Quoting

__all__ = ["UNKNOWN", "Records", "position", "read_records"]

UNKNOWN = Form()
DELIMITERS = ",\t;|"
csv.field_size_limit(2**31 - 1)  # a whole document may be a field; the module's own limit is 131,072 characters
_HOW: Mapping[Quoting, Mapping[str, Any]] = {
    "double": {},
    "backslash": {"doublequote": False, "escapechar": "\\"},
    "none": {"quoting": csv.QUOTE_NONE},
}


@dataclass
class Records:
    """The rows that have as many fields as the header, and `faults`, the lines of all others; `problem` is the first one's.

    Row i begins at `lines[i]`, counted from 1, and ends at `ends[i]`.
    """

    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    problem: str = ""
    notes: tuple[str, ...] = ()

    def add_fault(self, line: int, problem: str) -> None:
        self.problem = self.problem or problem
        self.faults.append(line)

    @property
    def long(self) -> list[int]:
        """Where the rows begin that go over several lines."""
        return [line for line, end in zip(self.lines, self.ends, strict=True) if end > line]


def read_records(path: Path, text: str, names: Sequence[str], usual: str, form: Form) -> Records:
    """The rows of `text`, which `path` holds; `usual` separates the columns of files with its suffix.

    Raises DataError: a column is not there, a row with more or fewer fields than the header, a quote left open.
    """
    named = re.match(r"\"?sep=(.)\"?\r?\n", text)  # Excel's own first line, where it exports by a country's habits
    if named:
        text = text[named.end() :]
    delimiter: str = form.delimiter or (named[1] if named else _delimiter(text, names, usual))
    header = _header(text, delimiter)
    for name in names:
        position(path, header, name)
    blanks = len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])  # "a", "b"
    found = _decide(text, {"delimiter": delimiter, "skipinitialspace": blanks}, form.quoting)
    shift = 1 if named else 0
    if found.faults:
        remedy = "put quotes around a text that holds the delimiter or a line break, and write a quote in it twice"
        raise DataError(f"{str(path)!r}, line {found.faults[0] + shift:,}: {found.problem}",
                        f"is that line a row? {remedy}; or say how it is written with --delimiter or --quoting")  # fmt: skip
    found.lines = [line + shift for line in found.lines]
    if form.delimiter is None and delimiter != usual:
        found.notes = (*found.notes, f"its columns are separated by {delimiter!r}")
    found.notes = tuple(f"{path.name}: {note}" for note in found.notes)
    return found


def position(path: Path, header: Sequence[str], name: str) -> int:
    """Where the column is; blanks around its name do not count. Raises DataError: it is not there, or there twice."""
    exact = [i for i, cell in enumerate(header) if cell == name]
    found = exact or [i for i, cell in enumerate(header) if cell.strip() == name.strip()]
    if len(found) > 1:
        raise DataError(f"{str(path)!r} names column {name!r} more than once", "rename one of them")
    if not found:
        remedy = did_you_mean(name, header)
        if remedy.startswith("known"):
            remedy = f"its first line must name the columns; {remedy}"
        raise DataError(f"{str(path)!r} has no column {name!r}", remedy)
    return found[0]


def _delimiter(text: str, names: Sequence[str], usual: str) -> str:
    """The suffix's own, if the header so read has the columns; else one by which it has."""
    wanted = {name.strip() for name in names}
    for delimiter in (usual, *DELIMITERS):
        if wanted <= {cell.strip() for cell in _header(text, delimiter)}:
            return delimiter
    return usual


def _header(text: str, delimiter: str) -> list[str]:
    return next(filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)), [])


def _decide(text: str, how: Mapping[str, Any], said: Quoting | None) -> Records:
    """Quotes as RFC 4180 has them, unless that fails or swallows rows and another reading does not."""
    quoted = _parse(text, how, said or "double")
    if said or '"' not in text:
        return quoted
    long = quoted.long
    if not quoted.faults and not long:
        return quoted
    plain = _parse(text, how, "none")
    if not quoted.faults and not _swallows(quoted, plain, how["delimiter"]):
        rows = "1 row goes" if len(long) == 1 else f"{len(long):,} rows go"
        quoted.notes = (
            f"{rows} over several lines, inside quotes (line {long[0]:,}); --quoting none takes each line for a row",
        )
        return quoted
    if quoted.faults and '\\"' in text:
        escaped = _parse(text, how, "backslash")
        if not escaped.faults and not _swallows(escaped, plain, how["delimiter"]):
            escaped.notes = ("inside quoted fields, quotes have a backslash before them; --quoting says otherwise",)
            return escaped
    if quoted.faults and plain.faults:
        return max(quoted, plain, key=lambda records: records.faults[0])  # what is right goes on for longer
    first = quoted.faults[0] if quoted.faults else long[0]
    plain.notes = (
        f"quotes were read as characters of the texts and each line as a row, since line {first:,} has quotes that are not "
        "those of CSV; --quoting double reads them as CSV's",
    )
    return plain


def _swallows(quoted: Records, plain: Records, delimiter: str) -> bool:
    """Whether fields that go over several lines are rows joined by stray quotes: most of those lines are whole rows, and no
    other line needs its quotes. A header in quotes shows that its writer quotes; a lone column of a CSV has no delimiters
    to tell by."""
    inside = {line for first, last in zip(quoted.lines, quoted.ends, strict=True) if last > first
              for line in range(first, last + 1)}  # fmt: skip
    if not inside or any(cell.startswith('"') for cell in plain.header):
        return False
    if len(plain.header) == 1:
        return delimiter == "\t"
    if any(line not in inside for line in plain.faults):
        return False
    return 2 * sum(line in inside for line in plain.lines) > len(inside)


def _parse(text: str, how: Mapping[str, Any], quoting: Quoting) -> Records:
    if quoting == "backslash":  # the module would drop every backslash; only one before a quote is an escape
        text = re.sub(r'\\+(?!["\\])', lambda run: 2 * run[0], text)
    reader = csv.reader(io.StringIO(text, newline=""), **_HOW[quoting], **how, strict=True)
    found = Records()
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            found.add_fault(line, f"{error} (is a quote left open there?)")
            return found
        if row is None:
            return found
        if not row:  # a blank line
            continue
        if not found.header:
            found.header = row
        elif len(row) != len(found.header):
            found.add_fault(line, f"{len(row)} fields, the header has {len(found.header)}")
        else:
            found.rows.append(row)
            found.lines.append(line)
            found.ends.append(reader.line_num)
