"""The Report: everything that is shown, as plain frozen values; terminal, HTML and charts only render it."""

from __future__ import annotations

from dataclasses import dataclass

from tuneworth.cells import Group
from tuneworth.results import Row

__all__ = ["EnvironmentFact", "Failure", "Progress", "Report"]


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
