"""Trials as plain rows: what `tuneworth results` prints and what report and advice are made from.

`rows` gives one dict a trial, in plan order, with the keys of `KEYS`. Scores are in points, seconds are wall-clock.
What a trial has not measured (unfinished, failed, or not a finite number) is None.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tuneworth.spec import TrialRecord, TrialResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KEYS", "Row", "cell_of", "frame", "rows", "to_csv", "tuning_seconds"]

Row = dict[str, Any]
Cell = tuple[str, str, str, float, str]

MEASURED = tuple(TrialResult.model_fields)
KEYS = (
    "study", "key", "model", "method", "task", "fraction", "budget", "seed", "recipe", "state", "metric", "score",
    "metrics", "baseline_score", "curve", "train_seconds", "eval_seconds", "setup_seconds", "steps", "examples_seen",
    "trainable_parameters", "total_parameters", "peak_memory_bytes", "delta_bytes", "delta_path", "attempt", "error",
    "environment", "validation_score", "validation_loss", "train_flops", "micro_batch", "notes", "options", "selected",
    "data", "stream", "chunks", "stages", "host",
)  # fmt: skip


class Records(Protocol):
    """The part of a Store that is read here."""

    def records(self, study: str) -> list[TrialRecord]: ...


def rows(store: Records, study: str) -> list[Row]:
    """One row a trial of the study's plan, in plan order. Raises StoreError for an unknown study."""
    table = [_row(record) for record in store.records(study)]
    _select(table)
    return table


def frame(table: Sequence[Row]) -> pd.DataFrame:
    """The rows as a DataFrame: one column a key; nested values stay Python objects."""
    import pandas as pd

    return pd.DataFrame(list(table), columns=list(KEYS))


def to_csv(table: Iterable[Row]) -> str:
    """A header and one line a trial. Nested values are JSON, None is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(KEYS)
    writer.writerows([_csv_value(row[key]) for key in KEYS] for row in table)
    return out.getvalue()


def cell_of(row: Row) -> Cell:
    """What a report compares within: everything but seed and recipe."""
    return row["model"], row["method"], row["task"], row["fraction"], row["budget"]


def tuning_seconds(table: Iterable[Row]) -> dict[Cell, float]:
    """Training seconds of each cell over every recipe that was tried, the losing ones included."""
    spent: dict[Cell, float] = {}
    for row in table:
        spent[cell_of(row)] = spent.get(cell_of(row), 0.0) + (row["train_seconds"] or 0.0)
    return spent


def _row(record: TrialRecord) -> Row:
    trial, result = record.trial, record.result
    known = {
        "study": record.study, "key": trial.key, "model": trial.model, "method": trial.method, "task": trial.task,
        "fraction": trial.fraction, "budget": str(trial.budget), "seed": trial.seed,
        "recipe": trial.recipe.model_dump(), "state": record.state, "attempt": record.attempt, "error": record.error,
        "options": _plain(trial.options), "selected": True, "stream": _plain(trial.stream),
    }  # fmt: skip
    measured = {name: _plain(getattr(result, name)) if result else None for name in MEASURED}
    return {key: known[key] if key in known else measured[key] for key in KEYS}


def _plain(value: Any) -> Any:
    """Dicts, lists, strings, numbers: what JSON can hold. A number that is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    fields = getattr(type(value), "model_fields", None)
    return {name: _plain(getattr(value, name)) for name in fields} if fields else str(value)


def _csv_value(value: Any) -> Any:
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else value


def _select(table: list[Row]) -> None:
    """Mark, in each cell, the trials of the winning recipe; sets `selected` in place.

    The rule, on validation scores alone (the test split decides nothing): recipes with the fewest failed seeds go on,
    of the seeds that all recipes have in the plan (a winner may get more); of those the best mean validation score
    wins, over the seeds that all of them finished; a tie, or no such seed yet, goes to the first in plan order.
    """
    cells: dict[Cell, dict[str, list[Row]]] = {}
    for row in table:
        recipe = json.dumps(row["recipe"], sort_keys=True)
        cells.setdefault(cell_of(row), {}).setdefault(recipe, []).append(row)
    for recipes in cells.values():
        if len(recipes) > 1:
            winner = _winner(list(recipes.values()))
            for trials in recipes.values():
                for row in trials:
                    row["selected"] = trials is winner


def _winner(recipes: list[list[Row]]) -> list[Row]:
    asked = set.intersection(*({row["seed"] for row in trials} for trials in recipes))
    failures = [sum(row["state"] == "failed" and row["seed"] in asked for row in trials) for trials in recipes]
    left = [trials for trials, failed in zip(recipes, failures, strict=True) if failed == min(failures)]
    scores = [
        {row["seed"]: row["validation_score"] for row in trials if row["validation_score"] is not None}
        for trials in left
    ]
    shared = set.intersection(*(set(by_seed) for by_seed in scores))
    if not shared:
        return left[0]
    totals = [math.fsum(by_seed[seed] for seed in shared) for by_seed in scores]
    return left[totals.index(max(totals))]
