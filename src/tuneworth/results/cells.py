"""From trials to cells: means over seeds, and the paired comparison with full fine-tuning. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from statistics import fmean, median
from typing import Any

from tuneworth.results.rows import CellKey, Row, Tried, cell_of, tried, tuning_seconds
from tuneworth.stats import (
    Answers,
    Comparison,
    collapsed,
    compare,
    expected_best_of,
    mean,
    standard_deviation,
    still_rising,
    trained_ones,
)
from tuneworth.tasks.summary import metric_of

__all__ = [
    "TRAINED",
    "Cell",
    "Group",
    "answers_in",
    "collapsed_seeds",
    "compared",
    "difference",
    "finished",
    "group_trials",
    "judged",
    "left_out",
    "mixed",
    "quiet",
    "with_failures",
]

STEADY = 1.5
"""How many times longer one seed of a cell may train than another before its time is doubted."""


TRAINED = 0.9
"""The share of a fraction that is trained on; the rest is for validation (tasks.splits.take)."""


@dataclass(frozen=True)
class Cell:
    """One method at one model, task, fraction and budget, over its seeds; the winning recipe where one was swept.

    Costs are means over the finished seeds, but `peak_memory_bytes`, the largest, and `train_seconds`. None: no seed
    finished.
    """

    method: str
    scores: Mapping[int, float]
    """Test score by seed, in points."""
    seen: frozenset[int] | None
    """The finished seeds that collapsed to one answer for all, by their answers; None: not every answer was kept."""
    validation: float | None
    mean: float | None
    """The score of the method, wherever it is shown: over the finished seeds by which it is compared (`judged`)."""
    deviation: float | None
    """Of the same seeds."""
    planned: int
    failed_seeds: tuple[int, ...]
    against_full: Comparison | None
    """This method minus full (`difference`); None for full itself, or where no seed is shared."""
    mixed: bool
    """The paired trials ran on unlike hardware or library versions."""
    trainable_parameters: float | None
    total_parameters: float | None
    train_seconds: float | None
    """The median of the faster half of the seeds: what else a machine does only ever adds to a time, so this repeats."""
    unsteady: tuple[float, float] | None
    """The least and the most training seconds, where they are more than 1.5 times apart: the machine was busy."""
    eval_seconds: float | None
    setup_seconds: float | None
    peak_memory_bytes: float | None
    delta_bytes: float | None
    recipe: Mapping[str, Any]
    swept: tuple[str, ...]
    """The keys of the recipe that more than one value was tried of."""
    recipes_tried: int
    tuning_seconds: float
    """Training seconds spent on choosing the recipe, beside those of the trials that are compared."""
    environment: Mapping[int, str]
    """Hardware and library versions by seed, as one text."""
    rising: float | None
    """The points that the last third of the budget brought on validation, where more would probably follow
    (`stats.still_rising`)."""
    notes: tuple[str, ...]
    """What every finished trial noted."""
    delta_path: str | None
    """The delta of the best seed on validation, of those that were kept."""
    tried: tuple[Tried, ...] = ()
    """What its recipe was chosen from."""
    raced: bool = False
    """By a race of learning rates (`tuning`)."""

    @property
    def effort(self) -> object:
        """Equal where methods were tuned alike: a race asks the same of each, whether or not it went beyond the edge."""
        return "raced" if self.raced else self.recipes_tried

    @property
    def expected(self) -> tuple[float, ...]:
        """The expected best validation score, in points, after 1, 2, ... of the recipes tried, in any order: how much the
        method's score hangs on its recipe (Dodge et al. 2019, arXiv 1909.03004). One that failed counts as the worst."""
        scores = [one.validation_score for one in self.tried if one.validation_score is not None]
        if not scores:
            return ()
        scores += [min(scores)] * sum(one.failed and one.validation_score is None for one in self.tried)
        return tuple(expected_best_of(scores, k) for k in range(1, len(scores) + 1))

    @property
    def failed(self) -> int:
        return len(self.failed_seeds)

    @property
    def trainable_share(self) -> float | None:
        if self.trainable_parameters is None or not self.total_parameters:
            return None
        return self.trainable_parameters / self.total_parameters


@dataclass(frozen=True)
class Group:
    """The methods that are compared with one another: same model, task, fraction and budget. In the study's order."""

    model: str
    task: str
    fraction: float
    budget: str
    metric: str | None
    baseline: float | None
    """The score of the best answer that is the same for all: the largest that its trials give, since an older version
    gave that of the majority class, whatever the metric."""
    cells: tuple[Cell, ...]
    leaked: float = 0.0
    """The share of test texts that stand in the training data too; 0 where nobody counted."""


def finished(row: Row) -> bool:
    return row["state"] == "done" and row["score"] is not None


def group_trials(
    table: Sequence[Row], reference: str | None, confidence: float = 0.95,
    answers: Mapping[CellKey, Answers] | None = None, margin: float = 0.0,
) -> tuple[Group, ...]:  # fmt: skip
    """Every group of the plan, in plan order of model and task, then by fraction and budget; methods in plan order.
    `reference`: the method that each cell is compared with, at `confidence` and `margin`. `answers`: test predictions by
    cell, which say what collapsed and what holds for new data."""
    spent = tuning_seconds(table)
    places: dict[tuple[str, str, float, str], dict[str, list[Row]]] = {}
    for row in table:
        place = row["model"], row["task"], row["fraction"], row["budget"]
        places.setdefault(place, {}).setdefault(row["method"], []).append(row)
    groups = []
    for place, methods in places.items():
        done = [row for trials in methods.values() for row in trials if finished(row)]
        baselines = [row["baseline_score"] for row in done if row["baseline_score"] is not None]
        baseline = max(baselines, default=None)
        known = {method: (answers or {}).get(cell_of(trials[0])) for method, trials in methods.items()}
        cells = [
            _cell(method, trials, spent[cell_of(trials[0])], baseline, known[method])
            for method, trials in methods.items()
        ]
        metric = metric_of(done[0]) if done else None
        group = Group(*place, metric, baseline, tuple(cells), max(map(_leaked, done), default=0.0))
        groups.append(_against(group, reference, answers or {}, margin, confidence))
    return _ordered(groups)


def _ordered(groups: list[Group]) -> tuple[Group, ...]:
    orders: list[list[Any]] = [
        list(dict.fromkeys(getattr(group, name) for group in groups)) for name in ("model", "task", "budget")
    ]
    models, tasks, budgets = (order.index for order in orders)
    return tuple(sorted(groups, key=lambda g: (models(g.model), tasks(g.task), g.fraction, budgets(g.budget))))


def _cell(method: str, trials: list[Row], spent: float, baseline: float | None, answers: Answers | None) -> Cell:
    chosen = [row for row in trials if row["selected"]]
    done = [row for row in chosen if finished(row)]
    scores = {row["seed"]: row["score"] for row in done}
    told = answers is not None and scores.keys() <= answers.predictions.keys()
    cell = Cell(
        method=method, scores=scores, seen=collapsed(scores, baseline, answers) if told else None,
        validation=_over(done, "validation_score"), mean=None, deviation=None,
        planned=len(chosen), failed_seeds=tuple(row["seed"] for row in chosen if row["state"] == "failed"),
        against_full=None, mixed=False,
        trainable_parameters=_over(done, "trainable_parameters"), total_parameters=_over(done, "total_parameters"),
        train_seconds=_over(done, "train_seconds", quiet), unsteady=_unsteady(done), eval_seconds=_over(done, "eval_seconds"),
        setup_seconds=_over(done, "setup_seconds"), peak_memory_bytes=_over(done, "peak_memory_bytes", max),
        delta_bytes=_over(done, "delta_bytes"), recipe=chosen[0]["recipe"], swept=_swept(trials),
        recipes_tried=_tried(trials), tuning_seconds=spent, tried=tried(trials), raced=bool(trials[0]["tuning"]),
        environment={row["seed"]: _text(row["environment"]) for row in done}, delta_path=_delta_path(done),
        rising=still_rising(_curve(row) for row in done), notes=_noted(done),
    )  # fmt: skip
    counted = list(compared(cell, baseline).values())
    return replace(cell, mean=mean(counted), deviation=standard_deviation(counted)) if counted else cell


def _noted(done: Sequence[Row]) -> tuple[str, ...]:
    first, *others = [row["notes"] or () for row in done] or [()]
    return tuple(note for note in first if all(note in notes for notes in others))


def with_failures(cell: Cell, baseline: float | None) -> Cell:
    """The cell with its failed seeds at the baseline's score: a trial that failed is one that learnt nothing."""
    seen = None if cell.seen is None else cell.seen | set(cell.failed_seeds)
    return replace(cell, scores={**dict.fromkeys(cell.failed_seeds, baseline or 0.0), **cell.scores}, seen=seen)


def collapsed_seeds(cell: Cell, baseline: float | None) -> frozenset[int]:
    """The seeds that learnt nothing: those that collapsed (`stats.collapsed`), and those that failed."""
    whole = with_failures(cell, baseline)
    return whole.seen if whole.seen is not None else collapsed(whole.scores, baseline)


def judged(cell: Cell, baseline: float | None) -> Cell:
    """The cell with the scores by which it is compared: those of the trials that trained (`stats.trained_ones`)."""
    whole = with_failures(cell, baseline)
    return replace(cell, scores=trained_ones(whole.scores, baseline, whole.seen))


def compared(cell: Cell, baseline: float | None) -> dict[int, float]:
    """The scores that the cell's `mean` is of: of the finished seeds by which it is compared."""
    scores = judged(cell, baseline).scores
    return {seed: scores[seed] for seed in cell.scores if not isnan(scores[seed])}


def left_out(cell: Cell, baseline: float | None) -> int:
    """How many finished seeds the cell's `mean` is not of, since they collapsed."""
    return len(cell.scores) - len(compared(cell, baseline))


def answers_in(group: Group, answers: Mapping[CellKey, Answers]) -> dict[str, Answers]:
    """Predictions by method, of those that have them for every seed."""
    found = {}
    for cell in group.cells:
        known = answers.get((group.model, cell.method, group.task, group.fraction, group.budget))
        if known is not None and cell.scores and cell.scores.keys() <= known.predictions.keys():
            found[cell.method] = known
    return found


def difference(
    group: Group, first: Cell, second: Cell, answers: Mapping[str, Answers], margin: float, confidence: float
) -> Comparison | None:
    """First minus second, paired by seed over the trials that trained: on these test examples; on new data, with the
    `answers` of both methods; and with other training data. The one place where such a figure comes from. None where no seed
    is shared."""
    both = (answers[first.method], answers[second.method]) if {first.method, second.method} <= answers.keys() else None
    mine, theirs = (judged(cell, group.baseline).scores for cell in (first, second))
    return compare(mine, theirs, margin, confidence, both, TRAINED * group.fraction)


def _against(
    group: Group, reference: str | None, answers: Mapping[CellKey, Answers], margin: float, confidence: float
) -> Group:
    full = next((cell for cell in group.cells if cell.method == reference), None)
    if full is None:
        return group
    known = answers_in(group, answers)

    def with_difference(cell: Cell) -> Cell:
        found = difference(group, cell, full, known, margin, confidence) if cell is not full else None
        return replace(cell, against_full=found, mixed=found is not None and mixed(cell, full))

    return replace(group, cells=tuple(map(with_difference, group.cells)))


def mixed(first: Cell, second: Cell) -> bool:
    """Whether a seed's two trials ran in unlike environments."""
    return any(second.environment.get(seed, own) != own for seed, own in first.environment.items())


def _curve(row: Row) -> list[tuple[float, float]]:
    """(Share of the steps taken, score) of each evaluation."""
    return [(point["step"] / max(1, row["steps"]), point["score"]) for point in row["curve"] or ()]


def quiet(seconds: list[float]) -> float:
    """The median of the faster half: what else a machine does only ever adds to a time, so this repeats."""
    return median(sorted(seconds)[: (len(seconds) + 1) // 2])


def _unsteady(done: list[Row]) -> tuple[float, float] | None:
    times = [row["train_seconds"] for row in done if row["train_seconds"] is not None]
    return (min(times), max(times)) if times and max(times) > STEADY * min(times) else None


def _leaked(row: Row) -> float:
    found = row["data"] or {}
    leaked = (found.get("test_in_train") or 0) + (found.get("near_test_in_train") or 0)
    return leaked / max(1, found.get("test") or 0)


def _delta_path(done: list[Row]) -> str | None:
    kept = [row for row in done if row["delta_path"] and row["validation_score"] is not None]
    return max(kept, key=lambda row: row["validation_score"])["delta_path"] if kept else None


def _swept(trials: list[Row]) -> tuple[str, ...]:
    """The recipe's keys that the cell tried more than one value of."""
    first = trials[0]["recipe"]
    if trials[0]["tuning"]:
        return ("learning_rate",)
    return tuple(key for key in first if any(row["recipe"][key] != first[key] for row in trials))


def _tried(trials: list[Row]) -> int:
    raced = {trial["learning_rate"] for trial in trials[0]["tuning"] or ()}
    return len(raced) or len({_text(row["recipe"]) for row in trials})


def _over(rows: list[Row], key: str, how: Callable[[list[float]], float] = fmean) -> float | None:
    values = [row[key] for row in rows if row[key] is not None]
    return how(values) if values else None


def _text(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, sort_keys=True)
