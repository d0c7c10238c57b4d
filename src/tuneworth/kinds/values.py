"""What a cell of a file holds, whatever is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuneworth.errors import DataError

if TYPE_CHECKING:
    from tuneworth.tasks.tables import Table

__all__ = ["LIKE_NOTHING", "count_rows", "is_broken", "is_empty", "no_missing", "rows_without", "texts_of"]

LIKE_NOTHING = {"nan", "na", "n/a", "<na>", "none", "null", "nil", "nat"}
"""What programs write for a value that is missing, in lower case."""


def is_empty(value: Any) -> bool:
    """Null, NaN or blank."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def is_broken(text: str) -> bool:
    """Whether it holds half of a surrogate pair, as of an emoji cut in two: no text that can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def count_rows(table: Table, rows: Sequence[int]) -> str:
    """`2 of 10 rows (lines 3 and 7)`"""
    return f"{len(rows):,} of {len(table.where):,} rows ({table.at(rows)})"


def no_missing(table: Table, name: str) -> None:
    """Raises DataError where a label is missing."""
    missing = [i for i, value in enumerate(table.columns[name]) if is_empty(value)]
    if missing:
        raise DataError(f"{str(table.path)!r}: the label {name!r} is missing in {count_rows(table, missing)}",
                        "label those rows, or leave them out with --skip-empty")  # fmt: skip


def rows_without(table: Table, names: Sequence[str]) -> list[int]:
    """The rows in which one of the columns is null, NaN or blank."""
    return [row for row in range(len(table.where)) if any(is_empty(table.columns[name][row]) for name in names)]


def texts_of(table: Table, name: str) -> list[str]:
    """The column, of which every row must be a text with something in it. Raises DataError."""
    path, values = str(table.path), table.columns[name]
    if empty := rows_without(table, [name]):
        raise DataError(f"{path!r}: the text {name!r} is empty in {count_rows(table, empty)}",
                        "fill in those rows, or leave them out with --skip-empty")  # fmt: skip
    for row, value in enumerate(values):
        if not isinstance(value, str):
            raise DataError(f"{path!r}, {table.at([row])}: {name!r} is {value!r}, not a text", "name a column of texts")
    if broken := [row for row, value in enumerate(values) if is_broken(value)]:
        raise DataError(f"{path!r}: the text {name!r} holds half a character (a lone surrogate, as of an emoji cut in two) in "
                        f"{count_rows(table, broken)}", "correct those rows, or remove them")  # fmt: skip
    return values
