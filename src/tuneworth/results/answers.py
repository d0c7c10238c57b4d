"""What the methods answered, by cell: the material of every statement about new data of the same kind. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tuneworth.results.rows import CellKey, Row, cell_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tuneworth.results.predictions import Predictions
    from tuneworth.stats import Answers

__all__ = ["by_cell"]


def by_cell(table: Iterable[Row], predictions: Mapping[str, Predictions]) -> dict[CellKey, Answers]:
    """The finished trials of each cell's selected recipe, from `results.rows` and a store's `predictions`.

    A cell without a finished trial is left out, and so is one with a finished trial whose predictions were not kept (it
    ran under an older version): half of the seeds would answer for all. Class numbers are int64, values float64.
    """
    from tuneworth.kinds import all_kinds, labels_of
    from tuneworth.stats import Answers

    cells: dict[CellKey, list[Row]] = {}
    for row in table:
        if row["selected"] and row["state"] == "done":
            cells.setdefault(cell_of(row), []).append(row)
    found = {}
    for cell, rows in cells.items():
        kept = {row["seed"]: predictions[row["key"]] for row in rows if row["key"] in predictions}
        meaning = labels_of(rows[0]["data"] or {})
        if len(kept) == len(rows) and meaning.kind in ("", *all_kinds()):  # a package may have gone
            found[cell] = Answers(
                rows[0]["metric"],
                _wide(kept[rows[0]["seed"]].targets),
                {seed: _wide(one.predicted) for seed, one in kept.items()},
                meaning,
            )
    return found


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    """Differences of unsigned bytes would wrap around."""
    return array.astype("float64" if array.dtype.kind == "f" else "int64")
