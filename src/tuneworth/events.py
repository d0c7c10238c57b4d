"""What goes to a worker (a Job) and what comes back (Events)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuneworth.errors import UserError
from tuneworth.results.predictions import Predictions
from tuneworth.spec import FileTask, TrialResult, TrialSpec


@dataclass(frozen=True)
class Job:
    """All that a worker needs to run one trial; pickles small."""

    trial: TrialSpec
    model_source: str
    """Where the model is found here: a local directory, or a hub name."""
    task: FileTask | None
    """The declaration of a task in the user's files; None for a registered task."""
    data_dir: Path | None
    files: Path
    """Where deltas, checkpoints and tokens are kept."""
    study: str
    device: str = "auto"
    checkpoint_seconds: float = 30.0
    keep_delta: bool = True
    allow_pickle: bool = False
    stream_tasks: Mapping[str, FileTask] = field(default_factory=dict)
    """For a stream: the declarations of its tasks that are in the user's files, by name."""
    data: Mapping[str, Any] | None = None
    """What was read (`tasks.summary`), which the result then says too."""

    @property
    def checkpoint_path(self) -> Path:
        return self.files / "checkpoints" / self.study / f"{self.trial.key}.safetensors"

    @property
    def delta_path(self) -> Path:
        return self.files / "deltas" / self.study / self.trial.key


@dataclass(frozen=True)
class Progress:
    """Training goes on: `share` of the budget used, in [0, 1]; `rate` in examples a training second."""

    key: str
    share: float
    rate: float


@dataclass(frozen=True)
class Finished:
    key: str
    result: TrialResult
    predictions: Predictions | None = None
    """On the test split; None for a stream, which has many."""


@dataclass(frozen=True)
class Failed:
    """The trial itself failed: running it again would fail again, so its reason is its result."""

    key: str
    error: str


@dataclass(frozen=True)
class Died:
    """The worker is gone: the trial may well succeed when it is run again."""

    key: str
    reason: str


@dataclass(frozen=True)
class Halted:
    """The machine is at fault, a full disk first of all: the trial goes back, and the run ends with the error."""

    key: str
    error: UserError


Event = Progress | Finished | Failed | Died | Halted
