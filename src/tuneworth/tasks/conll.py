"""Words in rows, sentences apart by a blank line: the columns of CoNLL's shared tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneworth.errors import DataError

__all__ = ["Sentences", "read_sentences"]

DOCUMENT = "-DOCSTART-"
"""The word of a row that begins a document, and is none of its own (CoNLL-2003)."""


@dataclass(frozen=True)
class Sentences:
    """`rows[i][j]`: the cells of word j of sentence i, `width` of them; `lines[i]`: where the sentence begins, from 1."""

    rows: Sequence[Sequence[Sequence[str]]]
    lines: Sequence[int]
    width: int

    def column(self, path: Path, name: str) -> list[list[str]]:
        """A column by its number, counted from 0, or from -1 at the end. Raises DataError."""
        try:
            number = int(name)
        except ValueError:
            number = self.width
        if not -self.width <= number < self.width:
            raise DataError(f"{str(path)!r} has no column {name!r}: its columns are the numbers 0 to {self.width - 1}",
                            "--text 0 is the first, --label -1 the last")  # fmt: skip
        return [[cells[number] for cells in sentence] for sentence in self.rows]


def read_sentences(path: Path, text: str) -> Sentences:
    """Columns apart by tabs, where there are any, else by blanks. Raises DataError for a row that is short or long of cells.

    A line with # at a sentence's beginning is a comment, unless it has as many cells as others and a last one that others have.
    """
    tabs = "\t" in text
    lines = [(number, _cells(line, tabs)) for number, line in enumerate(text.split("\n"), start=1)]
    widths = Counter(len(cells) for _, cells in lines if cells and not cells[0].startswith("#"))
    width = widths.most_common(1)[0][0] if widths else 0
    tags = {cells[-1] for _, cells in lines if cells and not cells[0].startswith("#")}
    rows: list[list[list[str]]] = []
    starts: list[int] = []
    inside = False
    for number, cells in lines:
        if not cells or cells[0].startswith(DOCUMENT):
            inside = False
            continue
        if not inside and cells[0].startswith("#") and (len(cells) != width or cells[-1] not in tags):
            continue
        if len(cells) != width or not all(cells):
            what = "an empty cell" if len(cells) == width else f"{len(cells)} columns, and others {width}"
            raise DataError(f"{str(path)!r}, line {number:,} has {what}", "give each word the same columns, and part sentences by "
                            "a blank line")  # fmt: skip
        if not inside:
            rows.append([])
            starts.append(number)
        inside = True
        rows[-1].append(cells)
    return Sentences(rows, starts, width)


def _cells(line: str, tabs: bool) -> list[str]:
    line = line.rstrip("\r")
    if not line.strip():
        return []
    return [cell.strip() for cell in line.split("\t")] if tabs else line.split()
