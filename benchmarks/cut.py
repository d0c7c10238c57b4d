"""A part of a task's examples as a CSV file: what a study of one's own data reads."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tuneworth.tasks import Examples
from tuneworth.tasks.splits import Indices

COLUMNS = ("first", "second", "label")


def write(path: Path, examples: Examples, which: Indices, names: Sequence[str] | None) -> None:
    """The examples `which`, a row each; `second` is empty where they are no pairs, labels of classes are their `names`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i in which:
            second = "" if examples.pairs is None else examples.pairs[i]
            writer.writerow(
                [examples.texts[i], second, examples.labels[i] if names is None else names[examples.labels[i]]]
            )
