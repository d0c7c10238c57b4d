"""Tags of words: the schemes that mark entities, and which entities a row of tags marks. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tuneworth.kinds.metric import Array

__all__ = ["BLANK", "OUTSIDE", "Entities", "Scheme", "entities", "names_of", "scheme_of", "types_of"]

Scheme = Literal["BIO", "BIOES", "BILOU", "plain"]
BLANK = -1
"""The number of no tag: beyond the end of a sentence."""
OUTSIDE = "O"
_PREFIXES: dict[Scheme, str] = {"BIO": "BI", "BIOES": "BIES", "BILOU": "BILU"}
_O, _B, _I, _E, _S = range(5)
_CODES = {"B": _B, "I": _I, "E": _E, "L": _E, "S": _S, "U": _S}


def scheme_of(tags: Iterable[str]) -> Scheme:
    """The scheme that all of the tags are of; plain: they mark no entities."""
    marks = [tag for tag in set(tags) if tag != OUTSIDE]
    if not marks or any(len(tag) < 3 or tag[1] not in "-_" for tag in marks):
        return "plain"
    used = {tag[0] for tag in marks}
    return next((scheme for scheme, prefixes in _PREFIXES.items() if used <= set(prefixes)), "plain")


def types_of(tags: Iterable[str]) -> list[str]:
    """The types of entities that tags of a scheme name, by alphabet."""
    return sorted({tag[2:] for tag in tags if tag != OUTSIDE})


def names_of(scheme: Scheme, types: Sequence[str]) -> tuple[str, ...]:
    """Every tag that the scheme has for them, what is outside first."""
    return (OUTSIDE, *(f"{prefix}-{name}" for name in types for prefix in _PREFIXES[scheme]))


class Entities(NamedTuple):
    """One an entity: its row, its first word, the word behind its last, and the number of its type."""

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    type: NDArray[np.int64]

    def keys(self, width: int) -> NDArray[np.int64]:
        """A number each, the same for the same entity."""
        found: NDArray[np.int64] = ((self.row * (width + 1) + self.start) * (width + 1) + self.end) * 10_000 + self.type
        return found


@lru_cache(maxsize=64)
def _parsed(names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prefix and type of each tag; at the end, those of BLANK."""
    types = types_of(names)
    prefixes = [_O if name == OUTSIDE else _CODES[name[0]] for name in names]
    numbers = [-1 if name == OUTSIDE else types.index(name[2:]) for name in names]
    return np.array([*prefixes, _O]), np.array([*numbers, -1])


def entities(tags: Array, names: tuple[str, ...]) -> Entities:
    """The entities that rows of tag numbers mark, (n, words): strictly, as seqeval's mode="strict" counts them.

    An entity begins with B or S and goes on with I (and E) of its type; where the scheme ends entities with E, one without is
    none, and neither is what begins with I.
    """
    prefix_of, type_of = _parsed(names)
    prefix, kind = prefix_of[tags], type_of[tags]  # BLANK is the last
    ends = bool(((prefix_of == _E) | (prefix_of == _S)).any())
    before, now = prefix[:, :-1], prefix[:, 1:]
    inside = ((before == _B) | (before == _I)) & ((now == _I) | (now == _E)) & (kind[:, :-1] == kind[:, 1:])
    width = tags.shape[1]
    stops = np.full(tags.shape, width, dtype=np.int64)  # the word behind the run that this one is in
    stops[:, :-1] = np.where(inside, width, np.arange(1, width))
    stops = np.minimum.accumulate(stops[:, ::-1], axis=1)[:, ::-1]
    row, start = np.nonzero((prefix == _B) | (prefix == _S))
    end = stops[row, start]
    if ends:
        last = prefix[row, end - 1]
        whole = (last == _E) | (last == _S)
        row, start, end = row[whole], start[whole], end[whole]
    return Entities(row, start, end, kind[row, start])
