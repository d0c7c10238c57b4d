"""Texts that stand more than once in the data, the same or nearly: counted, and left out of the training split where that is
asked for."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.errors import DataError
from tuneworth.tasks import Examples

__all__ = ["alike", "apart", "distinct", "folded", "keys", "repeated", "standing_in"]


def folded(examples: Examples) -> list[tuple[str, ...]]:
    """What two examples share that are the same to a reader: their texts, without regard to case, white space or the
    Unicode form."""
    return _each(examples, _fold)


def alike(examples: Examples) -> list[tuple[str, ...]]:
    """What two examples share that are nearly the same: their letters and digits, without regard to punctuation, signs and
    compatible forms (NFKC: "ﬁ" is "fi") either. A text of signs alone is its own."""
    return _each(examples, _letters)


def _each(examples: Examples, key: Callable[[str], str]) -> list[tuple[str, ...]]:
    columns = [examples.texts] if examples.pairs is None else [examples.texts, examples.pairs]
    return list(zip(*([key(text) for text in column] for column in columns), strict=True))


def repeated(keys: Sequence[Hashable]) -> NDArray[np.bool_]:
    """Shape (n,): True where an earlier one is the same."""
    first: dict[Hashable, int] = {}
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    return np.array([first[key] < i for i, key in enumerate(keys)], dtype=bool)


def standing_in(keys: Iterable[Hashable], others: Iterable[Hashable]) -> NDArray[np.bool_]:
    """Shape (n,): True where the same one is among the others."""
    known = set(others)
    return np.array([key in known for key in keys], dtype=bool)


def distinct(examples: Examples) -> Examples:
    """Without the rows that repeat an earlier one's text, nearly at least, and its label. Texts with two labels stay: which one
    is right is not for a program to say."""
    again = repeated(list(zip(alike(examples), keys(examples.labels), strict=True)))
    return examples.only(np.flatnonzero(~again))


def apart(train: Examples, test: Examples, names: Sequence[str] | None) -> Examples:
    """Train without the texts that stand in test, nearly at least, whatever their label. Raises DataError where none is left of a
    class."""
    left = train.only(np.flatnonzero(~standing_in(alike(train), alike(test))))
    single = train.labels.ndim == 1  # of sets and tags, none is promised to be there
    lost = sorted({*train.labels.tolist()} - {*left.labels.tolist()}) if names and single else []
    if lost or not len(left):
        what = f"no training example of {names[lost[0]]!r}" if names and lost else "nothing to train on"
        raise DataError(f"without the texts that stand in test there is {what}", "give other texts to test on")
    return left


def keys(labels: NDArray[Any]) -> list[Hashable]:
    """A value an example that is the same where labels are."""
    return labels.tolist() if labels.ndim == 1 else [row.tobytes() for row in labels]


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()).casefold())


class _Letters(dict[int, str]):
    """For str.translate: letters, marks and digits as they are; any other sign is a gap between words."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        self[code] = sign if unicodedata.category(sign)[0] in "LMN" else " "
        return self[code]


_LETTERS = _Letters()


def _letters(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS).split()) or _fold(text)
