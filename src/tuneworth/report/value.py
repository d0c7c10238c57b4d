"""The Report: everything that is shown, as plain frozen values; terminal, HTML and charts only render it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from tuneworth.advice import Advice, Judged
from tuneworth.report.plain import Plain
from tuneworth.results.cells import Cell, Group
from tuneworth.results.rows import CellKey, Row
from tuneworth.stats import Answers
from tuneworth.tasks.summary import said
from tuneworth.until_decided import Question

__all__ = ["LARGE", "EnvironmentFact", "Failure", "Progress", "Report", "key_of"]

LARGE = 2000
"""Trials beyond which a page shows means and intervals instead of every seed."""


def key_of(group: Group, method: str) -> CellKey:
    """The cell's key, as `results.cell_of` gives it."""
    return group.model, method, group.task, group.fraction, group.budget


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
    advice: tuple[Advice, ...]
    """One a model and task, without limits, at the question's margin and confidence."""
    plain: tuple[Plain, ...]
    """The same advice, in the same order, in everyday words."""
    claims: tuple[Judged, ...]
    question: Question
    cautions: tuple[str, ...]
    progress: Progress
    reference: str | None
    """The method that the others are compared with: full fine-tuning, where the study has it."""
    methods: tuple[str, ...]
    groups: tuple[Group, ...]
    featured: tuple[Group, ...]
    """The group that the advice on a model and task is about, where it has a finished trial."""
    failures: tuple[Failure, ...]
    notes: tuple[tuple[str, int], ...]
    """What trials noted (a halved micro-batch, say), with the number of trials."""
    environment: tuple[EnvironmentFact, ...]
    study_file: str
    trials: tuple[Row, ...]
    """The finished trials of the winning recipes: the dots and curves of the charts."""
    data: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """What was read, by model and task, as far as trials say it: `tasks.summary`."""
    answers: Mapping[CellKey, Answers] = field(default_factory=dict, repr=False)
    """Test predictions by cell, as far as the store has them."""

    def _repr_html_(self) -> str:
        """What a notebook shows: what to do, and the whole grid; `Study.report` writes the page with the charts."""
        from tuneworth.report.papers import table

        said = "".join(f"<p>{escape(one.where)}: <b>{escape(one.act)}</b> {escape(one.why)}</p>" for one in self.plain)
        return f"{said}{table(self, 'html')}"

    @property
    def swept(self) -> bool:
        return any(cell.recipes_tried > 1 for group in self.groups for cell in group.cells)

    @property
    def large(self) -> bool:
        return len(self.trials) > LARGE

    def read(self, model: str, task: str) -> tuple[str, ...]:
        """What was read of a task, in lines."""
        return tuple(said(task, self.data.get((model, task))))

    def reference_cell(self, group: Group) -> Cell | None:
        """The reference method's cell, if any of its seeds finished."""
        return next((cell for cell in group.cells if cell.method == self.reference and cell.scores), None)
