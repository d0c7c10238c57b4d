"""What a terminal can show: signs that its encoding has, tables that fit its width."""

from __future__ import annotations

import codecs
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["Fitted", "forgive", "write"]

_INSTEAD = {
    "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{EM DASH}": "-", "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x", "\N{BULLET}": "*", "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'", "\N{LEFT DOUBLE QUOTATION MARK}": '"', "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
}  # fmt: skip
"""Signs that a number or a sentence needs to be read right; of other letters the nearest ones are taken."""


def _nearest(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler of codecs: what cannot be encoded becomes the nearest signs that can, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = []
    for sign in error.object[error.start : error.end]:
        plain = _INSTEAD.get(sign) or unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
        parts.append(plain or ("" if unicodedata.combining(sign) else "?"))
    return "".join(parts), error.end


codecs.register_error("tuneworth-nearest", _nearest)


def forgive(*streams: TextIO) -> None:
    """Let `streams` print every text: a sign that their encoding lacks becomes the nearest it has (`-`, `e`, `?`)."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)  # what a test or a notebook puts there may lack it
        if reconfigure is not None:
            reconfigure(errors="tuneworth-nearest")


def write(text: str) -> None:
    """Data on standard output, such as CSV: whole. Where the stream's encoding lacks a sign it is UTF-8, as in our files."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
    else:
        sys.stdout.write(text)


@dataclass(frozen=True)
class Fitted:
    """The table where its words fit the width; else its rows one below another, a line a column."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        from rich.cells import cell_len
        from rich.measure import Measurement

        for column in self.table.columns:
            if column.no_wrap:  # a measure takes its longest word for enough
                column.min_width = max(cell_len(str(text)) for text in (column.header, *column.cells))
        anywhere = options.update_width(10_000)  # or a measure would be cut to what the console has
        if Measurement.get(console, anywhere, self.table).minimum <= options.max_width:
            yield self.table
        else:
            yield from self._stacked()

    def _stacked(self) -> Iterator[RenderableType]:
        headers = [str(column.header) for column in self.table.columns]
        for first, *others in zip(*(column.cells for column in self.table.columns), strict=True):
            yield _text(first, "bold")
            for header, cell in zip(headers[1:], others, strict=True):
                yield _text(f"  {header}: {_text(cell)}")


def _text(cell: RenderableType, style: str = "") -> Text:
    from rich.text import Text

    return Text(str(cell), style, overflow="fold")
