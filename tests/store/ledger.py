"""Studies, trials and results for the tests of stores. Numbers are chosen to be hard to keep exactly."""

from __future__ import annotations

import numpy as np

from tuneworth.results.predictions import Predictions
from tuneworth.spec import Budget, CurvePoint, Recipe, StudySpec, TrialResult, TrialSpec

STUDY = StudySpec(name="first", tasks=("glue/mrpc",), recipe={"bitfit": {"learning_rate": [5e-4, 2e-3]}}, seeds=(0, 7))


def trial(seed: int) -> TrialSpec:
    return TrialSpec(
        model="minilm",
        model_fingerprint="f" * 16,
        method="bitfit",
        kind="bitfit",
        options={"subset": "all", "deep": {"n": 1}},
        recipe=Recipe(learning_rate=0.1 + 0.2),
        task="glue/mrpc",
        task_fingerprint="a" * 16,
        fraction=1 / 3,
        budget=Budget.parse("2e14flops"),
        seed=seed,
        max_length=128,
        evaluations=5,
        precision="auto",
    )


def plan(count: int, start: int = 0) -> list[TrialSpec]:
    return [trial(seed) for seed in range(start, start + count)]


def result(score: float = 200 / 3) -> TrialResult:
    return TrialResult(
        metric="f1",
        score=score,
        metrics={"f1": score, "accuracy": 1e-300},
        validation_score=-0.0,
        baseline_score=81.2,
        curve=(CurvePoint(step=1, seconds=0.1, examples=32, loss=2 / 3, score=5e-324),),
        train_seconds=1e22 / 3,
        eval_seconds=0.3,
        setup_seconds=1.1,
        steps=10,
        examples_seen=2**53 + 1,
        train_flops=2e14,
        trainable_parameters=1,
        total_parameters=2,
        peak_memory_bytes=2**40,
        delta_bytes=7,
        delta_path="first/é.safetensors",
        micro_batch=16,
        notes=("größer", "a 'quote'"),
        environment={"torch": "2.13", "gpu": None, "cores": [1, 2.5]},
    )


def answered(seed: int, task_fingerprint: str = "a" * 16) -> Predictions:
    """Answers to 40 questions of three classes; the targets depend on the task alone."""
    predicted = np.random.default_rng(seed).integers(0, 3, 40)
    return Predictions.compact(predicted, np.arange(40) % 3, task_fingerprint)
