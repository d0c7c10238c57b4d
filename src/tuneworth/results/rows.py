"""Trials as plain rows: what `tuneworth results` prints and what report and advice are made from.

`rows` gives one dict a trial, in plan order, with the keys of `KEYS`. Scores are in points, seconds are wall-clock.
What a trial has not measured (unfinished, failed, or not a finite number) is None.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tuneworth.spec import CellKey, TrialRecord, TrialResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KEYS", "CellKey", "Row", "Tried", "cell_of", "frame", "rows", "select", "to_csv", "tried", "tuning_seconds"]

Row = dict[str, Any]


class Tried(NamedTuple):
    """A recipe that a cell's own was chosen from. `recipe`: the keys in which recipes differ. Loss and score on validation:
    None where it has not ended well, or the loss was not kept. `budget`: that of the trials they are from, in a race a
    part of the cell's."""

    recipe: Mapping[str, Any]
    budget: str
    validation_loss: float | None
    validation_score: float | None
    failed: bool


MEASURED = tuple(TrialResult.model_fields)
KEYS = (
    "study", "key", "model", "method", "task", "fraction", "budget", "seed", "recipe", "state", "metric", "score",
    "metrics", "baseline_score", "curve", "train_seconds", "eval_seconds", "setup_seconds", "steps", "examples_seen",
    "trainable_parameters", "total_parameters", "peak_memory_bytes", "delta_bytes", "delta_path", "attempt", "error",
    "environment", "validation_score", "train_flops", "micro_batch", "notes", "options", "selected",
    "data", "stream", "chunks", "stages", "host", "validation_loss", "tuning", "surest_errors",
)  # fmt: skip


class Records(Protocol):
    """The part of a Store that is read here."""

    def records(self, study: str) -> list[TrialRecord]: ...


def rows(store: Records, study: str) -> list[Row]:
    """One row a compared trial of the study's plan, in plan order. Raises StoreError for an unknown study.

    Trials that raced for a learning rate (`tuning`) are no rows: each row's `tuning` lists those of its cell, so that none of
    them is ever taken for a score. None: nothing was tuned.
    """
    records = store.records(study)
    raced: dict[CellKey, list[Row]] = {}
    for record in records:
        if record.trial.tunes:
            raced.setdefault(record.trial.cell, []).append(_raced(record))
    table = [_row(record) for record in records if not record.trial.tunes]
    for row in table:
        row["tuning"] = raced.get(cell_of(row))
    select(table)
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


def cell_of(row: Row) -> CellKey:
    """What a report compares within: everything but seed and recipe."""
    return row["model"], row["method"], row["task"], row["fraction"], row["budget"]


def tuning_seconds(table: Iterable[Row]) -> dict[CellKey, float]:
    """Training seconds that each cell spent on choosing its recipe: its race, and the trials of recipes that lost."""
    spent: dict[CellKey, float] = {}
    for row in table:
        if cell_of(row) not in spent:
            spent[cell_of(row)] = sum(trial["train_seconds"] or 0.0 for trial in row["tuning"] or ())
        if not row["selected"]:
            spent[cell_of(row)] += row["train_seconds"] or 0.0
    return spent


def tried(trials: Sequence[Row]) -> tuple[Tried, ...]:
    """The recipes that one cell, all of whose rows are `trials`, chose from, under like conditions: those of the first heat
    of its race, or those that the user listed, by their means over the seeds that all of them finished. None: ()."""
    race = trials[0]["tuning"]
    if race:
        return tuple(
            Tried({"learning_rate": trial["learning_rate"]}, trial["budget"], trial["validation_loss"],
                  trial["validation_score"], trial["state"] == "failed")
            for trial in race if trial["budget"] == race[0]["budget"] and trial["state"] in ("done", "failed")
        )  # fmt: skip
    first = trials[0]["recipe"]
    keys = [key for key in first if any(row["recipe"][key] != first[key] for row in trials)]
    recipes: dict[tuple[Any, ...], list[Row]] = {}
    for row in trials:
        recipes.setdefault(tuple(row["recipe"][key] for key in keys), []).append(row)
    done = [{row["seed"] for row in rows if row["state"] == "done"} for rows in recipes.values()]
    shared = set.intersection(*(seeds for seeds in done if seeds)) if any(done) else set()
    return tuple(
        Tried(dict(zip(keys, values, strict=True)), rows[0]["budget"], _mean(rows, "validation_loss", shared),
              _mean(rows, "validation_score", shared), any(row["state"] == "failed" for row in rows))
        for values, rows in recipes.items() if keys
    )  # fmt: skip


def _mean(rows: Sequence[Row], key: str, seeds: Set[int]) -> float | None:
    values = [row[key] for row in rows if row["seed"] in seeds]
    return None if not values or None in values else math.fsum(values) / len(values)


def _row(record: TrialRecord) -> Row:
    trial, result = record.trial, record.result
    known = {
        "study": record.study, "key": trial.key, "model": trial.model, "method": trial.method, "task": trial.task,
        "fraction": trial.fraction, "budget": str(trial.budget), "seed": trial.seed,
        "recipe": trial.recipe.model_dump(), "state": record.state, "attempt": record.attempt, "error": record.error,
        "options": _plain(trial.options), "selected": True, "stream": _plain(trial.stream), "tuning": None,
    }  # fmt: skip
    measured = {name: _plain(getattr(result, name)) if result else None for name in MEASURED}
    return {key: known[key] if key in known else measured[key] for key in KEYS}


def _raced(record: TrialRecord) -> Row:
    trial, result = record.trial, record.result
    measured = ("validation_loss", "validation_score", "train_seconds", "steps")
    return {
        "key": trial.key, "learning_rate": trial.recipe.learning_rate, "budget": str(trial.budget), "seed": trial.seed,
        "state": record.state, "error": record.error,
        **{name: _plain(getattr(result, name)) if result else None for name in measured},
    }  # fmt: skip


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


def select(table: list[Row]) -> None:
    """Mark, in each cell, the trials of the winning recipe; sets `selected` in place.

    The rule, on validation scores alone (the test split decides nothing): recipes with the fewest failed seeds go on,
    of the seeds that all recipes have in the plan (a winner may get more); of those the best mean validation score
    wins, over the seeds that all of them finished; a tie, or no such seed yet, goes to the first in plan order.
    """
    cells: dict[CellKey, dict[str, list[Row]]] = {}
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
