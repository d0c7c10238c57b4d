"""Whether a method has learnt anything."""

from __future__ import annotations

from tuneworth.results.cells import Cell, collapsed_seeds
from tuneworth.stats import Answers, above_one_answer, over_seeds
from tuneworth.stats.compare import FEWEST

__all__ = ["has_learnt"]

ROUNDING = 1e-9
"""Points: what all seeds scoring exactly the baseline may be above it, by the mean's rounding."""


def has_learnt(cell: Cell, baseline: float | None, confidence: float, answers: Answers | None = None) -> bool:
    """Whether the cell's expected score is shown to lie above that of one answer for all, at `confidence` (one-sided). A
    trial that collapsed to another answer than the baseline's counts with the baseline's score at most.

    Over its seeds against the `baseline`; where these agree exactly, and so show no chance, over the test examples of
    `answers`, its own, against the most frequent one.
    """
    floor, lost = (baseline or 0.0) + ROUNDING, collapsed_seeds(cell, baseline)
    estimate = over_seeds([min(score, floor) if seed in lost else score for seed, score in cell.scores.items()])
    if estimate is None:
        return False
    if estimate.p_above(floor) <= 1 - confidence:
        return True
    seeds = [seed for seed in cell.scores if answers and seed in answers.predictions]
    if estimate.error or answers is None or len(seeds) < FEWEST or estimate.value <= floor:
        return False
    return above_one_answer(answers, baseline or 0.0, seeds).p_above(0.0) <= 1 - confidence
