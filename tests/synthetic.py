"""Studies with made-up results, for tests of what is shown about results."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from tuneworth.spec import CurvePoint, Recipe, StudySpec, TrialRecord, TrialResult, TrialSpec

ENVIRONMENT = {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.0.0", "device": "cpu: Some Processor"}
TRAINED = {"head": 770, "full": 22_713_986, "bitfit": 40_322, "houlsby": 603_266, "pfeiffer": 304_514, "lora": 74_498}
LEVEL = {"head": -5.0, "full": 0.0, "bitfit": -1.4, "houlsby": -0.6, "pfeiffer": -0.9, "lora": -1.1}
TASKS = {"glue/mrpc": ("f1", 86.0, 81.2), "glue/cola": ("matthews", 41.0, 0.0), "glue/stsb": ("pearson", 84.0, 0.0)}


class Ledger:
    """The part of a store that results are read from."""

    def __init__(self, spec: StudySpec, records: list[TrialRecord]) -> None:
        self.spec, self.trials = spec, records

    def records(self, study: str) -> list[TrialRecord]:
        assert study == self.spec.name
        return self.trials

    def get_study(self, name: str) -> StudySpec:
        assert name == self.spec.name
        return self.spec


def measure(trial: TrialSpec, **changes: Any) -> TrialResult:
    """A result that depends on the trial alone: plausible, and the same every time."""
    metric, level, baseline = TASKS.get(trial.task, ("accuracy", 70.0, 50.0))
    luck, own = np.random.default_rng([trial.seed, 1]), np.random.default_rng([trial.seed, TRAINED.get(trial.kind, 9)])
    timed = trial.budget.unit == "seconds"
    seconds = trial.budget.amount if timed else 26.0 * trial.fraction * (1.0 if trial.kind == "full" else 0.62)
    score = level + LEVEL.get(trial.kind, -2.0) + 4 * np.log10(trial.fraction) - 0.7 * timed
    score += luck.normal(0, 0.8) + own.normal(0, 0.4)
    curve = tuple(
        CurvePoint(step=20 * i, seconds=seconds * i / 5, examples=640 * i, loss=0.7 / i,
                   score=score + 1.0 - 9.0 / i**3.5 + own.normal(0, 0.3))
        for i in range(1, 6)
    )  # fmt: skip
    trained = TRAINED.get(trial.kind, 1000)
    values = {
        "metric": metric, "score": score, "metrics": {metric: score, "other": score - 4}, "baseline_score": baseline,
        "validation_score": score + 1, "curve": curve, "train_seconds": seconds, "eval_seconds": 3.0,
        "setup_seconds": 1.5, "steps": 100, "examples_seen": 3200, "train_flops": 1e12, "delta_path": None,
        "trainable_parameters": trained, "total_parameters": 22_713_986 + trained % 22_713_986,
        "delta_bytes": 4 * trained,
        "peak_memory_bytes": int(3e8 + 12 * trained), "micro_batch": 32, "environment": ENVIRONMENT,
    }  # fmt: skip
    return TrialResult.model_validate(values | changes)


def make(
    state: Callable[[TrialSpec], str | TrialResult] | str = "done",
    sweep: dict[str, tuple[float, ...]] | None = None,
    **study: Any,
) -> Ledger:
    """A study whose trials are all done, unless `state` says otherwise: pending, running, a result, or an error."""
    spec = StudySpec.parse({"name": "first", "tasks": ["glue/mrpc"], **study})
    grid = product(spec.models, spec.tasks, spec.fractions, spec.budgets, spec.methods, spec.seeds)
    records = []
    for model, task, fraction, budget, method, seed in grid:
        for rate in (sweep or {}).get(method, (1e-3,)):
            trial = TrialSpec(
                model=model, model_fingerprint="m", method=method,
                kind=spec.method[method].kind if method in spec.method else method, options={},
                recipe=Recipe(learning_rate=rate), task=task, task_fingerprint=task, fraction=fraction, budget=budget,
                seed=seed, max_length=128, evaluations=5, precision="fp32",
            )  # fmt: skip
            records.append(_record(spec.name, trial, state if isinstance(state, str) else state(trial)))
    return Ledger(spec, records)


def _record(study: str, trial: TrialSpec, what: str | TrialResult) -> TrialRecord:
    if isinstance(what, TrialResult):
        return TrialRecord(study=study, trial=trial, state="done", attempt=1, result=what)
    if what == "done":
        return TrialRecord(study=study, trial=trial, state="done", attempt=1, result=measure(trial))
    if what in ("pending", "running"):
        return TrialRecord(study=study, trial=trial, state=what, attempt=int(what == "running"))
    return TrialRecord(study=study, trial=trial, state="failed", attempt=1, error=what)
