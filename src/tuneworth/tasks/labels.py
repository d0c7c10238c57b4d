"""What a column of labels says: classes or numbers, read as a person would; what could be read otherwise is said."""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import DataError
from tuneworth.spec import Kind
from tuneworth.tasks.tables import Table, is_broken, where

__all__ = ["LIKE_NOTHING", "classes", "guess", "is_empty", "numbers"]

FEW = 20
"""Whole numbers of at most this many different values are taken for classes where the kind is not given."""
ROWS_A_CLASS = 5
"""So many rows a value, on average, make classes of more whole numbers than that, if they count on from 0 or 1."""
EVEN = 0.1
"""... and if the rarest has this share of the average at least: a scale from 0 to 100 thins out at its ends."""
SHARE = 0.9
"""So many of the labels must be numbers for the others to be faults."""
LIKE_NOTHING = {"nan", "na", "n/a", "<na>", "none", "null", "nil", "nat"}
"""What programs write for a value that is missing, in lower case."""

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_COMMA_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?", re.ASCII)
_COMMA_DECIMALS = re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?", re.ASCII)
_SPACED = re.compile(r"[+-]?[1-9]\d{0,2}([ \u00a0\u2009\u202f'\u2019]\d{3})+(\D\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?(0|[1-9]\d*)(\.0+)?", re.ASCII)
_UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")


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


def is_empty(value: Any) -> bool:
    """Null, NaN or blank."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def guess(table: Table, name: str) -> tuple[Kind, tuple[str, ...]]:
    """The kind of task that the labels of the training file make, and how to say otherwise where they could make another.

    Regression where nine of ten labels are numbers and they are fractions, percentages, or whole numbers that look like
    no classes. Raises DataError where it cannot be told what numbers they are.
    """
    values = [value for value in table.columns[name] if not is_empty(value)]
    notation = _notation(table, name)
    found = [number for value in values if (number := _number(value, notation)) is not None]
    if not found or len(found) < SHARE * len(values):
        return "classification", ()
    counts = Counter(found)
    if not all(number.is_integer() for number in counts) or notation.says or any(map(_is_percentage, values)):
        return "regression", ()
    if len(counts) > FEW and not _count_on(counts):
        return "regression", (f"{name!r} holds {len(counts):,} different whole numbers and was taken for a number to predict; "
                              "if they name classes, say --kind classification",)  # fmt: skip
    if len(counts) == 2:
        return "classification", ()
    return "classification", (
        f"the {len(counts)} different whole numbers in {name!r} were taken for the names of classes; if they are amounts, "
        "say --kind regression",
    )


def _count_on(counts: Counter[float]) -> bool:
    """Whether whole numbers look like the numbers of classes: from 0 or 1 on without a gap, and about as often each."""
    low, high, mean = min(counts), max(counts), counts.total() / len(counts)
    return (
        low in (0, 1) and high - low + 1 == len(counts) and mean >= ROWS_A_CLASS and min(counts.values()) >= EVEN * mean
    )


def numbers(tables: Sequence[Table], name: str) -> tuple[list[NDArray[np.float64]], tuple[str, ...]]:
    """The targets of each table, and how they were read. Raises DataError: missing, no number, not finite, all the same."""
    notation = _notation(tables[0], name)
    targets = [_targets(table, name, notation) for table in tables]
    notes = [f"{name!r}: {notation.says}"] if notation.says else []
    values = tables[0].columns[name]
    if any(map(_is_percentage, values)):
        notes.append(f"{name!r} holds percentages: 45% was read as 45")
    elif not notation.says and all(
        isinstance(v, str) and re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", v.strip()) for v in values
    ):
        notes.append(f"the point in {name!r} was read as a decimal point: {values[0]} as a little more than "
                     f"{math.floor(targets[0][0])}")  # fmt: skip
    return targets, tuple(notes)


def _targets(table: Table, name: str, notation: Notation) -> NDArray[np.float64]:
    values = table.columns[name]
    _no_missing(table, name)
    targets = [_number(value, notation) for value in values]
    for i, (value, target) in enumerate(zip(values, targets, strict=True)):
        if target is None or not math.isfinite(target):
            fault = "no number" if target is None and not _is_odd(value) else "not a finite number"
            raise DataError(f"{str(table.path)!r}, {where(table, [i])}: the target {name!r} is {value!r}, {fault}",
                            'correct the row; if these are classes, say kind = "classification"')  # fmt: skip
    if len(set(targets)) == 1:
        raise DataError(f"{str(table.path)!r}: every target {name!r} is {values[0]!r}", "there is nothing to learn")
    return np.array(targets, dtype=np.float64)


def _is_odd(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower().lstrip("+-") in {"nan", "inf", "infinity"}


def _notation(table: Table, name: str) -> Notation:
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


def _number(value: Any, notation: Notation) -> float | None:
    """What a person would read as a number; not what Python's float() takes beside it, such as `1_0` and `nan`."""
    if isinstance(value, str):
        return notation.read(_bare(value))
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError):
        return None


def _bare(text: str) -> str:
    """Without blanks and percent sign, a minus in ASCII, nothing between groups of three digits but a comma or a point."""
    text = text.strip().removesuffix("%").rstrip().replace("\u2212", "-")
    return re.sub(r"[ \u00a0\u2009\u202f'\u2019]", "", text) if _SPACED.fullmatch(text) else text


def _is_percentage(value: Any) -> bool:
    return isinstance(value, str) and value.rstrip().endswith("%")


def classes(tables: Sequence[Table], name: str) -> tuple[list[NDArray[np.int64]], tuple[str, ...], tuple[str, ...]]:
    """The class numbers of each table; the names of the classes, in order; how they were read. Raises DataError."""
    for table in tables:
        _no_missing(table, name)
    spelt = [[_class_name(table, name, i) for i in range(len(table.where))] for table in tables]
    merged, notes = _merge([label for column in spelt for label in column], name)
    columns = [[merged[label] for label in column] for column in spelt]
    counts, path = Counter(columns[0]), str(tables[0].path)
    if len(counts) == 1:
        raise DataError(f"{path!r}: every label {name!r} is {columns[0][0]!r}", "give examples of two classes at least")
    once = [label for label, count in counts.items() if count == 1]
    if once:
        row = where(tables[0], [columns[0].index(once[0])])
        more = f", and {len(once) - 1:,} more labels" if len(once) > 1 else ""
        raise DataError(f"{path!r}: the label {once[0]!r} is seen once only ({row}){more}",
                        f"is {name!r} the right column? add examples of it, or remove it")  # fmt: skip
    for table, column in zip(tables[1:], columns[1:], strict=True):
        for i, label in enumerate(column):
            if label not in counts:
                raise DataError(f"{str(table.path)!r}, {where(table, [i])}: the label {label!r} is in test only",
                                f"train has {', '.join(map(repr, list(counts)[:5]))}")  # fmt: skip
    names = tuple(sorted(counts, key=_order(counts)))
    number = {label: i for i, label in enumerate(names)}
    encoded = [np.array([number[label] for label in column], dtype=np.int64) for column in columns]
    return encoded, names, (*notes, *_odd_names(counts, name))


def _class_name(table: Table, name: str, row: int) -> str:
    value = table.columns[name][row]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (str, int, float, Decimal, datetime.date, datetime.time)):
        spelt = str(value).strip()
        if not is_broken(spelt):
            return spelt
    what = "holds half a character" if isinstance(value, str) else f"is a {type(value).__name__}"
    raise DataError(f"{str(table.path)!r}, {where(table, [row])}: the label {name!r} is {value!a}, which {what}",
                    "give each row one label: a text or a number")  # fmt: skip


def _merge(spelt: Iterable[str], name: str) -> tuple[dict[str, str], list[str]]:
    """The class of each spelling, and what is to be said of that.

    Spellings that look alike (another Unicode form of the same characters, other blanks) and, among them, whole numbers
    with and without decimals are one class. A class of one spelling keeps it.
    """
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys(spelt):
        spellings[_fold(label)].append(label)
    several = {key: all_of for key, all_of in spellings.items() if len(all_of) > 1}
    numeric = [key for key in several if _WHOLE.fullmatch(key)]
    merged = {
        label: key if key in several or (numeric and _WHOLE.fullmatch(key)) else label
        for key, all_of in spellings.items()
        for label in all_of
    }
    notes = []
    if numeric:
        first = " and ".join(map(repr, sorted(several[numeric[0]])))
        more = f", and so {len(numeric) - 1:,} others" if len(numeric) > 1 else ""
        notes.append(f"{first} in {name!r} were taken for one class{more}")
    alike = [key for key in several if key not in numeric]
    if alike:
        notes.append(
            f"{_some(alike)} in {name!r}: spellings that look alike (Unicode forms, blanks) were taken for one class"
        )
    by_case: defaultdict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys(merged.values()):
        by_case[label.casefold()].append(label)
    cases = [same for same in by_case.values() if len(same) > 1]
    if cases:
        more = f" (and so {len(cases) - 1:,} others)" if len(cases) > 1 else ""
        notes.append(f"{' and '.join(map(repr, cases[0]))} in {name!r}{more} differ in case alone and were taken for "
                     f"{len(cases[0])} classes; if they are one, spell them alike")  # fmt: skip
    return merged, notes


def _fold(label: str) -> str:
    """What two spellings have in common that a person would take for the same."""
    if "." in label and _WHOLE.fullmatch(label):
        return label.partition(".")[0]
    if label.isascii() and " " not in label and label.isprintable():
        return label
    return " ".join(_UNSEEN.sub("", unicodedata.normalize("NFC", label)).split()) or label


def _odd_names(names: Iterable[str], column: str) -> list[str]:
    """Names that one could take for something else."""
    names = list(names)
    missing = [name for name in names if name.lower() in LIKE_NOTHING]
    notes = (
        [f"{column!r} holds {_some(missing)}, taken for the name of a class, not for a missing label"]
        if missing
        else []
    )
    like_numbers = [name for name in names if re.fullmatch(r"[^a-zA-Z]*\d[^a-zA-Z]*", name) and _plain(name) is None]
    if 2 * len(like_numbers) > len(names):
        notes.append(f"labels like {like_numbers[0]!r} in {column!r} were taken for the names of {len(names)} classes, not for "
                     "numbers")  # fmt: skip
    return notes


def _some(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:3])) + (f" and {len(labels) - 3:,} more" if len(labels) > 3 else "")


def _order(labels: Iterable[str]) -> Any:
    """Numbers by value, texts by alphabet."""
    numeric = all(_plain(label) is not None and math.isfinite(float(label)) for label in labels)
    return (lambda label: (float(label), label)) if numeric else None


def _no_missing(table: Table, name: str) -> None:
    missing = [i for i, value in enumerate(table.columns[name]) if is_empty(value)]
    if missing:
        count = f"{len(missing):,} of {len(table.where):,} rows ({where(table, missing)})"
        raise DataError(f"{str(table.path)!r}: the label {name!r} is missing in {count}",
                        "label those rows, or leave them out with --skip-empty")  # fmt: skip
