"""Delimited text: what separates its columns and what its quotes mean is decided by reading it, and said.

RFC 4180 (quotes around a field, doubled inside it) is what most files follow. Others double no quotes but put a backslash
before them, and in many, above all of tabs, a quote is a character like any other. Read in the wrong way, such a file
gives an error at best; at worst two quotes that have nothing to do with each other join all rows between them.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
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

    Row i begins at `lines[i]`, counted from 1, and ends at `ends[i]`; of it the columns named in `header` are kept.
    """

    header: Sequence[str]
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


def read_records(path: Path, text: str, names: Sequence[str], usual: str, form: Form, whole: bool) -> Records:
    """The named columns of `text`, which `path` holds, or with `whole` all of them; `usual` separates the columns of files
    with its suffix.

    Raises DataError: a column is not there, a row with more or fewer fields than the header, a quote left open.
    """
    named = re.match(r"\"?sep=(.)\"?\r?\n", text)  # Excel's own first line, where it exports by a country's habits
    if named:
        text = "\n" + text[named.end() :]
    delimiter: str = form.delimiter or (named[1] if named else _delimiter(text, names, usual))
    header = _header(text, delimiter, form.quoting or "double")
    at = [position(path, header, name) for name in names]
    blanks = len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])  # "a", "b"
    parse = partial(
        _parse, text, header, range(len(header)) if whole else at, delimiter=delimiter, skipinitialspace=blanks
    )
    found = parse(form.quoting) if form.quoting else _decide(text, delimiter, parse)
    if found.faults:
        remedy = "put quotes around a text that holds the delimiter or a line break, and write a quote in it twice"
        raise DataError(f"{str(path)!r}, line {found.faults[0]:,}: {found.problem}",
                        f"is that line a row? {remedy}; or say how it is written with --delimiter or --quoting")  # fmt: skip
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
    for delimiter in usual + DELIMITERS:
        if wanted <= {cell.strip() for cell in _header(text, delimiter)}:
            return delimiter
    return usual


def _header(text: str, delimiter: str, quoting: Quoting = "double") -> list[str]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, **_HOW[quoting])
    header: list[str] = next(filter(None, rows), [])
    return header


def _decide(text: str, delimiter: str, parse: Callable[[Quoting], Records]) -> Records:
    """Quotes as RFC 4180 has them, unless that fails or swallows rows and another reading does not."""
    quoted = parse("double")
    long = quoted.long
    if '"' not in text or not (quoted.faults or long):
        return quoted
    plain = parse("none")
    # A header in quotes shows that its writer quotes; a lone column of a CSV has no delimiters to tell by.
    joins = not text.lstrip().startswith('"') and (len(quoted.header) > 1 or delimiter == "\t")
    if not quoted.faults and not (joins and _swallows(quoted, plain)):
        rows = "1 row goes" if len(long) == 1 else f"{len(long):,} rows go"
        quoted.notes = (
            f"{rows} over several lines, inside quotes (line {long[0]:,}); --quoting none takes each line for a row",
        )
        return quoted
    if quoted.faults and '\\"' in text:
        escaped = parse("backslash")
        if not escaped.faults and not (joins and _swallows(escaped, plain)):
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


def _swallows(quoted: Records, plain: Records) -> bool:
    """Whether the fields that go over several lines are rows joined by stray quotes: most of those lines are whole rows by
    themselves, and no other line needs its quotes."""
    spans = [(first, last) for first, last in zip(quoted.lines, quoted.ends, strict=True) if last > first]
    inside = {line for first, last in spans for line in range(first, last + 1)}
    if any(line not in inside for line in plain.faults):
        return False
    return 2 * sum(line in inside for line in plain.lines) > len(inside)


def _parse(text: str, header: Sequence[str], at: Sequence[int], quoting: Quoting, **how: Any) -> Records:
    if quoting == "backslash":  # the module would drop every backslash; only one before a quote is an escape
        text = re.sub(r'\\+(?!["\\])', lambda run: 2 * run[0], text)
    reader = csv.reader(io.StringIO(text, newline=""), **_HOW[quoting], **how, strict=True)
    found = Records([header[i] for i in at])
    begun = False
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            found.add_fault(line, f"{error} (is a quote left open there?)")
            return found
        if row is None:
            return found
        if row and not begun:
            begun = True  # this was the header
        elif row and len(row) != len(header):
            found.add_fault(line, f"{len(row)} fields, the header has {len(header)}")
        elif row:
            found.rows.append([row[i] for i in at])
            found.lines.append(line)
            found.ends.append(reader.line_num)
