"""Seeds where the question is open and nowhere else: how a study's plan grows, look by look. Pure: rows in, a plan out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuneworth.errors import SpecError
from tuneworth.results.rows import Row, cell_of
from tuneworth.spec import StudySpec, TrialSpec

if TYPE_CHECKING:
    from tuneworth.results.rows import CellKey
    from tuneworth.stats import Answers, Decision

__all__ = ["GroupKey", "Question", "check", "decisions", "grow", "possible_seeds"]

GroupKey = tuple[str, str, float, str]
"""Model, task, fraction, budget: what methods are compared within."""


@dataclass(frozen=True)
class Question:
    """Which methods score within `margin` points of the best one? `confidence`: that no answer is wrong, over all looks
    at one group. Raises SpecError."""

    margin: float = 1.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.margin < math.inf:
            raise SpecError(f"margin {self.margin:g} is not more than nothing",
                            "give the points of score that make no difference to you, such as 1")  # fmt: skip
        if not 0 < self.confidence < 1:
            raise SpecError(f"confidence {self.confidence:g} is outside (0, 1)", "0.95 means 95%")


def check(spec: StudySpec) -> None:
    """Raises SpecError where there is no question: one method alone is never beaten."""
    if len(spec.methods) < 2:
        raise SpecError(f"there is nothing to decide: {spec.name!r} has one method, {spec.methods[0]!r}",
                        "name two methods or more")  # fmt: skip


def possible_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """The study's seeds, then those that may be added up to the last look: the whole numbers above the largest."""
    from tuneworth.stats import LOOKS

    return *seeds, *itertools.islice(itertools.count(max(seeds) + 1), max(0, LOOKS[-1] - len(seeds)))


def decisions(
    table: Iterable[Row], question: Question, answers: Mapping[CellKey, Answers] | None = None
) -> dict[GroupKey, Decision]:
    """What is decided in each group so far (`stats.decide`), from `results.rows`; in the table's order.

    Methods are compared by their trials that trained (`stats.trained_ones`); `answers`, test predictions by cell, say which
    collapsed. A failed or diverged trial counts with the score of the baseline, and as one that collapsed. Of swept recipes
    the selected one is judged. A group of which no trial has finished is left out: nothing can be said, and more seeds would
    hardly help.
    """
    from tuneworth.stats import collapsed, decide

    rows = list(table)
    done = [row for row in rows if row["state"] == "done"]
    baselines: dict[str, float] = {}
    for row in done:
        if (score := row["baseline_score"]) is not None:
            baselines[row["task"]] = max(score, baselines.get(row["task"], score))
    alive = {group_of(row) for row in done}
    scores: dict[GroupKey, dict[str, dict[int, float]]] = {}
    failed: dict[CellKey, set[int]] = {}
    for row in rows:
        if row["selected"] and group_of(row) in alive:
            mine = scores.setdefault(group_of(row), {}).setdefault(row["method"], {})
            if row["state"] in ("done", "failed"):
                mine[row["seed"]] = row["score"] if row["score"] is not None else baselines.get(row["task"], math.nan)
            if row["state"] == "failed":
                failed.setdefault(cell_of(row), set()).add(row["seed"])
    found = {}
    for place, methods in scores.items():
        baseline, seen = baselines.get(place[1]), {}
        for method, mine in methods.items():
            cell = place[0], method, *place[1:]
            if known := (answers or {}).get(cell):
                seen[method] = collapsed(mine, baseline, known) | failed.get(cell, set())
        found[place] = decide(methods, question.margin, question.confidence, baseline, seen)
    return found


def grow(
    candidates: Sequence[TrialSpec], table: Sequence[Row], decisions: Mapping[GroupKey, Decision]
) -> list[TrialSpec]:
    """The present plan, and the seeds that the next look wants, of the selected recipes alone.

    `table`: the rows of the present plan, none of them pending or running, so that selected recipes are final.
    `candidates`: every trial that may ever be asked for, in plan order; the new plan is a part of it, in its order, with
    no trial twice. A plan as long as the table: nothing is to be added.
    """
    present = {row["key"] for row in table}
    wanted = {
        (place, method): number for place, decision in decisions.items() for method, number in decision.wanted.items()
    }
    recipes = {(group_of(row), row["method"]): row["recipe"] for row in table if row["selected"]}
    order = sorted({trial.seed for trial in candidates})
    allowed = {cell: set(order[:number]) for cell, number in wanted.items()}

    def asked_for(trial: TrialSpec) -> bool:
        cell = (trial.model, trial.task, trial.fraction, str(trial.budget)), trial.method
        return trial.seed in allowed.get(cell, ()) and trial.recipe.model_dump() == recipes[cell]

    return [trial for trial in candidates if trial.key in present or asked_for(trial)]


def group_of(row: Row) -> GroupKey:
    return row["model"], row["task"], row["fraction"], row["budget"]
