"""Whether a method has learnt anything, and how often it did not."""

from __future__ import annotations

from tuneworth.cells import Cell, with_failures
from tuneworth.stats import Answers, above_one_answer, collapse_rate, over_seeds
from tuneworth.stats.compare import FEWEST

__all__ = ["collapsed_trials", "has_learnt"]

ROUNDING = 1e-9
"""Points: what all seeds scoring exactly the baseline may be above it, by the mean's rounding."""


def collapsed_trials(cell: Cell, baseline: float | None) -> int:
    """How many trials ended no better than the baseline; a failed one is such."""
    scores = list(with_failures(cell, baseline).scores.values())
    return 0 if baseline is None else round(collapse_rate(scores, baseline)[0] * len(scores))


def has_learnt(cell: Cell, baseline: float | None, confidence: float, answers: Answers | None = None) -> bool:
    """Whether the cell's expected score is shown to lie above that of one answer for all, at `confidence` (one-sided).

    Over its seeds against the `baseline`; where these agree exactly, and so show no chance, over the test examples of
    `answers`, its own, against the most frequent one.
    """
    estimate, floor = over_seeds(list(cell.scores.values())), (baseline or 0.0) + ROUNDING
    if estimate is None:
        return False
    if estimate.p_above(floor) <= 1 - confidence:
        return True
    seeds = [seed for seed in cell.scores if answers and seed in answers.predictions]
    if estimate.error or answers is None or len(seeds) < FEWEST or estimate.value <= floor:
        return False
    return above_one_answer(answers, baseline or 0.0, seeds).p_above(0.0) <= 1 - confidence
