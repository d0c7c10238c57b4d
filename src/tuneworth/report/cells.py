"""From trials to cells: means over seeds, and the paired comparison with full fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from tuneworth.report.value import Cell, Group
from tuneworth.results import Row, cell_of, tuning_seconds
from tuneworth.stats import mean, paired_difference, standard_deviation

__all__ = ["finished", "group_trials"]


def finished(row: Row) -> bool:
    return row["state"] == "done" and row["score"] is not None


def group_trials(table: Sequence[Row], reference: str | None) -> tuple[Group, ...]:
    """Every group of the plan, in plan order of model and task, then by fraction and budget; methods in plan order."""
    spent = tuning_seconds(table)
    places: dict[tuple[str, str, float, str], dict[str, list[Row]]] = {}
    for row in table:
        place = row["model"], row["task"], row["fraction"], row["budget"]
        places.setdefault(place, {}).setdefault(row["method"], []).append(row)
    groups = []
    for (model, task, fraction, budget), methods in places.items():
        full = [row for row in methods.get(reference or "", []) if row["selected"] and finished(row)]
        cells = tuple(
            _cell(method, trials, full if method != reference else [], spent[cell_of(trials[0])])
            for method, trials in methods.items()
        )
        done = [row for trials in methods.values() for row in trials if finished(row)]
        baselines = [row["baseline_score"] for row in done if row["baseline_score"] is not None]
        groups.append(
            Group(model, task, fraction, budget, done[0]["metric"] if done else None,
                  fmean(baselines) if baselines else None, cells)
        )  # fmt: skip
    return _ordered(groups)


def _ordered(groups: list[Group]) -> tuple[Group, ...]:
    orders: list[list[Any]] = [
        list(dict.fromkeys(getattr(group, name) for group in groups)) for name in ("model", "task", "budget")
    ]
    models, tasks, budgets = (order.index for order in orders)
    return tuple(sorted(groups, key=lambda g: (models(g.model), tasks(g.task), g.fraction, budgets(g.budget))))


def _cell(method: str, trials: list[Row], full: list[Row], spent: float) -> Cell:
    chosen = [row for row in trials if row["selected"]]
    done = [row for row in chosen if finished(row)]
    scores = {row["seed"]: row["score"] for row in done}
    cell = Cell(
        method=method, scores=scores, validation=_over(done, "validation_score"),
        mean=mean(list(scores.values())) if scores else None,
        deviation=standard_deviation(list(scores.values())) if scores else None,
        planned=len(chosen), failed=sum(row["state"] == "failed" for row in chosen),
        against_full=None, mixed=False,
        trainable_parameters=_over(done, "trainable_parameters"), total_parameters=_over(done, "total_parameters"),
        train_seconds=_over(done, "train_seconds"), eval_seconds=_over(done, "eval_seconds"),
        setup_seconds=_over(done, "setup_seconds"), peak_memory_bytes=_over(done, "peak_memory_bytes", max),
        delta_bytes=_over(done, "delta_bytes"), recipe=chosen[0]["recipe"], swept=_swept(trials),
        recipes_tried=len({_text(row["recipe"]) for row in trials}), tuning_seconds=spent,
        environments=frozenset(_text(row["environment"]) for row in done),
    )  # fmt: skip
    difference = paired_difference(scores, {row["seed"]: row["score"] for row in full})
    if difference is None:
        return cell
    return replace(cell, against_full=difference, mixed=_mixed(done, full))


def _mixed(done: list[Row], full: list[Row]) -> bool:
    """Whether a seed's two trials ran in unlike environments."""
    partner = {row["seed"]: row["environment"] for row in full}
    return any(row["environment"] != partner[row["seed"]] for row in done if row["seed"] in partner)


def _swept(trials: list[Row]) -> tuple[str, ...]:
    """The recipe's keys that the cell tried more than one value of."""
    first = trials[0]["recipe"]
    return tuple(key for key in first if any(row["recipe"][key] != first[key] for row in trials))


def _over(rows: list[Row], key: str, how: Callable[[list[float]], float] = fmean) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return how(values) if values else None


def _text(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, sort_keys=True)
