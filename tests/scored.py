"""Rows with the scores one says, for tests of advice and claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from synthetic import make, measure
from tuneworth.results.rows import CellKey, Row, rows
from tuneworth.spec import TrialResult, TrialSpec
from tuneworth.stats import Answers

Scores = Mapping[str, Mapping[int, float]]
BASELINE = 50.0


def table(scores: Scores, state: Mapping[tuple[str, int], str] | None = None, **changes: Any) -> list[Row]:
    """A study of one task whose trials scored as given; (method, seed) without a score is pending, or in its `state`.

    `changes`: of the study (`fractions`, `budgets`, ...), or of every result (`baseline_score`, `curve`, ...).
    """
    study = {
        key: value for key, value in changes.items() if key in ("fractions", "budgets", "tasks", "models", "claim")
    }
    results = {"metric": "accuracy", "baseline_score": BASELINE, "curve": flat()} | {
        key: value for key, value in changes.items() if key not in study
    }

    def ended(trial: TrialSpec) -> str | TrialResult:
        score = scores[trial.method].get(trial.seed)
        if score is None:
            return (state or {}).get((trial.method, trial.seed), "pending")
        return measure(trial, score=score, validation_score=score, **results)

    seeds = sorted(set().union(*scores.values()) | {seed for _, seed in state or {}})
    return rows(make(ended, methods=list(scores), seeds=seeds, **{"tasks": ["reviews"], **study}), "first")


def flat() -> tuple[dict[str, float], ...]:
    """A curve that has stopped rising long before its end."""
    return tuple(
        {"step": 20 * i, "seconds": 5.0 * i, "examples": 640 * i, "loss": 0.4, "score": 80.0} for i in range(1, 6)
    )


def rising() -> tuple[dict[str, float], ...]:
    return tuple({**point, "score": 40.0 + 8 * i} for i, point in enumerate(flat(), 1))


def normal(means: Mapping[str, float], seeds: int, spread: float = 0.3, chance: int = 0) -> dict[str, dict[int, float]]:
    """Scores around `means`; half of the variance is shared by the methods of a seed."""
    rng = np.random.default_rng(chance)
    common = rng.normal(0, spread / np.sqrt(2), seeds)
    return {
        method: dict(enumerate(map(float, mean + common + rng.normal(0, spread / np.sqrt(2), seeds))))
        for method, mean in means.items()
    }


def answered(
    shares: Mapping[str, float], seeds: int, examples: int, chance: int = 0, own: float = 0.0
) -> tuple[dict[str, dict[int, float]], dict[CellKey, Answers]]:
    """Predictions of two classes that are right as often as `shares` say; their scores. `own`: how much the examples that
    are hard differ from method to method (0: hardly, for they vary a little with the seed)."""
    rng = np.random.default_rng(chance)
    targets = rng.integers(0, 2, examples)
    hard = rng.permutation(examples) / examples
    scores: dict[str, dict[int, float]] = {}
    answers = {}
    for method, share in shares.items():
        mine = hard + rng.normal(0, own, examples)
        right = {seed: mine + rng.normal(0, 0.005, examples) < share for seed in range(seeds)}
        scores[method] = {seed: 100 * float(one.mean()) for seed, one in right.items()}
        given = {seed: np.where(one, targets, 1 - targets) for seed, one in right.items()}
        answers["minilm", method, "reviews", 1.0, "3epochs"] = Answers("accuracy", targets, given)
    return scores, answers
