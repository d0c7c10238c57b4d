"""The Report: everything that is shown, as plain frozen values; terminal, HTML and charts only render it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneworth.results import Row
from tuneworth.stats import PairedDifference

__all__ = ["Cell", "EnvironmentFact", "Failure", "Group", "Progress", "Report"]


@dataclass(frozen=True)
class Cell:
    """One method at one model, task, fraction and budget, over its seeds; the winning recipe where one was swept.

    Numbers are means over the finished seeds, but `peak_memory_bytes`, the largest. None: no seed finished.
    """

    method: str
    scores: Mapping[int, float]
    """Test score by seed, in points."""
    validation: float | None
    mean: float | None
    deviation: float | None
    planned: int
    failed: int
    against_full: PairedDifference | None
    """This method minus full, paired by seed; None for full itself, or where no seed is shared."""
    mixed: bool
    """The paired trials ran on unlike hardware or library versions."""
    trainable_parameters: float | None
    total_parameters: float | None
    train_seconds: float | None
    eval_seconds: float | None
    setup_seconds: float | None
    peak_memory_bytes: float | None
    delta_bytes: float | None
    recipe: Mapping[str, Any]
    swept: tuple[str, ...]
    """The keys of the recipe that more than one value was tried of."""
    recipes_tried: int
    tuning_seconds: float
    """Training seconds over every recipe tried, the losing ones included."""
    environments: frozenset[str]

    @property
    def trainable_share(self) -> float | None:
        if self.trainable_parameters is None or not self.total_parameters:
            return None
        return self.trainable_parameters / self.total_parameters


@dataclass(frozen=True)
class Group:
    """The methods that are compared with one another: same model, task, fraction and budget. In the study's order."""

    model: str
    task: str
    fraction: float
    budget: str
    metric: str | None
    baseline: float | None
    """The score of always answering the majority class, or the mean."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Failure:
    trial: str
    attempt: int
    error: str


@dataclass(frozen=True)
class EnvironmentFact:
    """What finished trials recorded under one key: each value with the number of trials that had it."""

    key: str
    values: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Progress:
    """Trials of the plan by state."""

    total: int
    done: int
    failed: int

    @property
    def missing(self) -> int:
        return self.total - self.done - self.failed


@dataclass(frozen=True)
class Report:
    study: str
    asked: tuple[tuple[str, str], ...]
    """What the study compares: (label, words)."""
    key_numbers: tuple[tuple[str, str, str], ...]
    """(label, number, note) of the first screen."""
    headline: tuple[str, ...]
    cautions: tuple[str, ...]
    progress: Progress
    reference: str | None
    """The method that the others are compared with: full fine-tuning, where the study has it."""
    methods: tuple[str, ...]
    groups: tuple[Group, ...]
    featured: tuple[Group, ...]
    """The group that speaks for each model and task: the most data, then the longest training."""
    failures: tuple[Failure, ...]
    notes: tuple[tuple[str, int], ...]
    """What trials noted (a halved micro-batch, say), with the number of trials."""
    environment: tuple[EnvironmentFact, ...]
    study_file: str
    trials: tuple[Row, ...]
    """The finished trials of the winning recipes: the dots and curves of the charts."""

    @property
    def swept(self) -> bool:
        return any(cell.recipes_tried > 1 for group in self.groups for cell in group.cells)
