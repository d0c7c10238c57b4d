"""Numbers as people write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tuneworth.errors import DataError
from tuneworth.kinds.values import is_empty

if TYPE_CHECKING:
    from tuneworth.tasks.tables import Table

__all__ = ["Notation", "found_numbers", "is_numeral", "is_percentage", "notation_of", "number"]

SHARE = 0.9
"""So many of the labels must be numbers for the others to be faults."""

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_COMMA_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", re.ASCII)
_COMMA_DECIMALS = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?", re.ASCII)
_SPACED = re.compile(r"[+-]?[1-9]\d{0,2}([ \u00a0\u2009\u202f'\u2019]\d{3})+(\D\d+)?", re.ASCII)


@dataclass(frozen=True)
class Notation:
    """One way to write numbers. `read` takes a text in which nothing else stands, and gives None where it is no number."""

    read: Callable[[str], float | None]
    says: str = ""


def _plain(text: str) -> float | None:
    return float(text) if _PLAIN.fullmatch(text) else None


def _comma_thousands(text: str) -> float | None:
    return float(text.replace(",", "")) if _COMMA_THOUSANDS.fullmatch(text) else _plain(text)


def _comma_decimals(text: str) -> float | None:
    return float(text.replace(".", "").replace(",", ".")) if _COMMA_DECIMALS.fullmatch(text) else None


PLAIN = Notation(_plain)
NOTATIONS = (
    PLAIN,
    Notation(_comma_thousands, "commas were read as separators of thousands"),
    Notation(_comma_decimals, "commas were read as decimal points, points as separators of thousands"),
)


def is_numeral(text: str) -> bool:
    """Whether it is a number in the plain notation."""
    return _plain(text) is not None


def found_numbers(table: Table, name: str) -> Counter[float] | None:
    """The different numbers in a column, how often each occurs; None where nine of ten labels are not numbers."""
    values = [value for value in table.columns[name] if not is_empty(value)]
    notation = notation_of(table, name)
    found = [read for value in values if (read := number(value, notation)) is not None]
    return Counter(found) if found and len(found) >= SHARE * len(values) else None


def notation_of(table: Table, name: str) -> Notation:
    """The notation in which most of the column's texts are numbers. Raises DataError where two differ about them."""
    texts = {_bare(value): value for value in table.columns[name] if isinstance(value, str)}
    if not any("," in text or text.count(".") > 1 for text in texts):
        return PLAIN
    read = [sum(notation.read(text) is not None for text in texts) for notation in NOTATIONS]
    best = max(read)
    if not read[0] < best or best < SHARE * len(texts):
        return PLAIN
    if read[1] == read[2]:
        text = next(text for text in texts if "," in text and _comma_thousands(text) is not None)
        raise DataError(f"{str(table.path)!r}: is {texts[text]!r} in {name!r} {text.replace(',', '')} or {text.replace(',', '.')}?",
                        "write numbers with a decimal point and nothing between thousands; for classes, say "
                        'kind = "classification"')  # fmt: skip
    return NOTATIONS[read.index(best)]


def number(value: Any, notation: Notation) -> float | None:
    """What a person would read as a number; not what Python's float() takes beside it, such as `1_0` and `nan`."""
    if isinstance(value, str):
        return notation.read(_bare(value))
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def is_percentage(value: Any) -> bool:
    return isinstance(value, str) and value.rstrip().endswith("%")


def _bare(text: str) -> str:
    """Without blanks and percent sign, a minus in ASCII, nothing between groups of three digits but a comma or a point."""
    text = text.strip().removesuffix("%").rstrip().replace("\u2212", "-")
    return re.sub(r"[ \u00a0\u2009\u202f'\u2019]", "", text) if _SPACED.fullmatch(text) else text
