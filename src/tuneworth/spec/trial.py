"""One trial: all that decides its numbers, and the key that names it; and how a store keeps it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from tuneworth.spec.base import Frozen
from tuneworth.spec.budget import Budget
from tuneworth.spec.recipe import Recipe
from tuneworth.spec.result import TrialResult
from tuneworth.spec.stream import StreamTrial

ENGINE = 5
"""Part of every trial key. Raise it when a change of the engine changes numbers: old results then stay apart."""

SHORTEST = 128
"""Tokens: the shortest length at which `max_length = "auto"` cuts texts, and what it always was before."""

Precision = Literal["auto", "bf16", "fp32", "int8"]

State = Literal["pending", "running", "done", "failed"]

CellKey = tuple[str, str, str, float, str]
"""Model, method, task, fraction, budget: what a report compares within."""


def engine_of(budget: Budget, kind: str, stream: bool) -> int:
    """One more for seconds and FLOPs, whose first and last steps once had a learning rate of 0; one more for `head`, which once
    ran its frozen encoder at every step, dropout on. In streams it still does."""
    return ENGINE + (budget.unit in ("seconds", "flops")) + (kind == "head" and not stream)


class TrialSpec(Frozen):
    """One cell at one seed, with every default filled in: all that decides its numbers, and nothing else."""

    model: str
    model_fingerprint: str
    method: str
    kind: str
    options: Mapping[str, Any]
    recipe: Recipe
    task: str
    task_fingerprint: str
    fraction: float
    budget: Budget
    seed: int
    max_length: int
    evaluations: int
    precision: Precision
    stream: StreamTrial | None = None
    engine: int = Field(
        default_factory=lambda known: engine_of(known["budget"], known["kind"], known["stream"] is not None)
    )
    tunes: Budget | None = None
    """The budget of the cell that this trial helps to choose a learning rate for; None: it is compared itself."""

    @cached_property
    def key(self) -> str:
        """16 hex digits over what decides the numbers; names (of model, method, task) are labels and stay out."""
        stream: Any = {"tasks"} if self.stream else True  # what is no stream has the key it had before there were any
        out: dict[str, Any] = {"model": True, "method": True, "task": True, "stream": stream}
        content = self.model_dump(mode="json", exclude=out if self.tunes else {**out, "tunes": True})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def cell(self) -> CellKey:
        """What a report compares within: everything but seed and recipe. Of a trial that tunes, the cell that it tunes."""
        return self.model, self.method, self.task, self.fraction, str(self.tunes or self.budget)


class TrialRecord(Frozen):
    """A trial as a store keeps it."""

    study: str
    trial: TrialSpec
    state: State = "pending"
    attempt: int = 0
    """How often it was claimed."""
    deaths: int = 0
    """How often its worker died."""
    result: TrialResult | None = None
    error: str | None = None
