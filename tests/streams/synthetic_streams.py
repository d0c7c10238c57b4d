"""Stream studies with made-up results, for tests of what is shown about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from synthetic import Ledger, measure
from tuneworth.plan import expand
from tuneworth.results.rows import Row, rows
from tuneworth.spec import Chunk, Stage, StudySpec, TaskScore, TrialRecord, TrialResult, TrialSpec

DATA = {"kind": "data", "chunk": 50}
TASKS = {"kind": "tasks"}
NAMES = ("glue/mrpc", "glue/cola")

Score = Callable[[TrialSpec], float]


def table(stream: dict[str, Any], score: Score, **study: Any) -> tuple[list[Row], StudySpec]:
    spec = StudySpec.parse({"name": "flow", "methods": ["full", "bitfit"], "tasks": NAMES, "stream": stream, **study})
    trials = expand(spec, dict.fromkeys(spec.models, "m"), {name: name for name in spec.tasks})
    done = [TrialRecord(study="flow", trial=t, state="done", attempt=1, result=_result(t, score(t))) for t in trials]
    return rows(Ledger(spec, done), "flow"), spec


def _result(trial: TrialSpec, score: float) -> TrialResult:
    assert trial.stream is not None
    size = {"full": 90_000_000, "bitfit": 100_000}[trial.kind]
    seconds = {"full": 12.0, "bitfit": 6.0}[trial.kind]
    common: dict[str, Any] = {"score": score, "baseline_score": 50.0, "train_seconds": seconds, "delta_bytes": size}
    if trial.stream.kind == "data":
        chunks = [Chunk(examples=50, score=score + k, cumulative=score - 1 + k, baseline=50.0, train_seconds=1.0,
                        eval_seconds=0.1, steps=5) for k in range(3)]  # fmt: skip
        return measure(trial, **common, chunks=tuple(chunks))
    parts = [TaskScore(task=name, metric="f1", score=score, baseline=50.0) for name in NAMES]
    stages = [Stage(learned=(name,), scores=tuple(parts[: k + 1]), train_seconds=1.0, eval_seconds=0.1, steps=5,
                    stored_bytes=size * (k + 1)) for k, name in enumerate(NAMES)]  # fmt: skip
    if trial.stream.mode == "joint":
        stages = [stages[1].model_copy(update={"learned": NAMES})]
    metrics = {} if trial.stream.mode == "joint" else {"forgetting": 1.5, "backward_transfer": -1.5}
    return measure(
        trial, **common, metric="average", metrics={"average": score, **metrics}, stages=tuple(stages), curve=()
    )
