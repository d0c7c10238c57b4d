"""What a trial measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuneworth.spec.base import Frozen


class CurvePoint(Frozen):
    """One intermediate evaluation. `score` is the primary metric on the validation split, in points; `loss` the mean over the
    training batches since the last evaluation."""

    step: int
    seconds: float
    examples: int
    loss: float
    score: float
    validation_loss: float | None = None
    """The mean loss on the validation split; None where it was not kept (streams, and older versions)."""
    one_answer: bool | None = None
    """Whether all answers on the validation split were one (`stats.one_answer`); None as above."""


class Chunk(Frozen):
    """One chunk of a data stream: tested, then trained on.

    `score` is that of the chunk, predicted before any training on it; `cumulative` that of all predictions so far;
    `baseline` the same of always answering the majority, or the mean, of the chunks before (the first one's own at first).
    """

    examples: int
    score: float
    cumulative: float
    baseline: float
    train_seconds: float
    eval_seconds: float
    steps: int


class TaskScore(Frozen):
    """A task's primary metric on its test split, and what one answer for all would get, in points."""

    task: str
    metric: str
    score: float
    baseline: float


class Stage(Frozen):
    """One stage of a task stream: the tasks tuned on in it, and how every task seen so far scores after it."""

    learned: tuple[str, ...]
    scores: tuple[TaskScore, ...]
    train_seconds: float
    eval_seconds: float
    steps: int
    stored_bytes: int
    """Trained parameters that must be kept to serve every task seen so far, heads included."""


class SurestError(Frozen):
    """A test example that was answered wrongly, and how sure the model was of it. Texts are cut to 300 characters."""

    text: str
    right: str
    answered: str
    surprise: float
    """A probability; of numbers, how far off in deviations of the training targets."""


class TrialResult(Frozen):
    """What one trial measured. Scores are in points (100 x the metric), seconds are wall-clock."""

    metric: str
    score: float
    metrics: Mapping[str, float]
    validation_score: float
    validation_loss: float | None = None
    """The mean loss on the validation split at the end; None as in `CurvePoint`."""
    baseline_score: float
    curve: tuple[CurvePoint, ...]
    train_seconds: float
    eval_seconds: float
    setup_seconds: float
    steps: int
    examples_seen: int
    train_flops: float
    trainable_parameters: int
    total_parameters: int
    peak_memory_bytes: int
    delta_bytes: int
    delta_path: str | None
    host: str = ""
    """The machine that `delta_path` is a path of; empty: the trial ran before this was kept, or left no delta."""
    micro_batch: int
    notes: tuple[str, ...] = ()
    environment: Mapping[str, Any]
    data: Mapping[str, Any] | None = None
    """What was read, as numbers (rows, classes, cut texts, duplicates); None: the trial ran before this was kept."""
    surest_errors: tuple[SurestError, ...] = ()
    """The test examples that were answered most surely wrong, the surest first."""
    chunks: tuple[Chunk, ...] = ()
    """Of a data stream; `score` is then the prequential one, over all chunks."""
    stages: tuple[Stage, ...] = ()
    """Of a task stream; `score` is then the mean over tasks after the last stage."""
