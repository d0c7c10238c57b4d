"""One question as it was asked, with what was found: what the words of an advice are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from tuneworth import words
from tuneworth.advice.evidence import FEW, Evidence
from tuneworth.advice.limits import Limits
from tuneworth.advice.value import Excluded, Pair
from tuneworth.cells import Cell, Group, judged, trained_mean
from tuneworth.spec import StudySpec
from tuneworth.stats import compare

__all__ = ["Case"]


@dataclass(frozen=True)
class Case:
    """One question as it was asked, and what was found."""

    study: str
    group: Group
    limits: Limits
    margin: float
    confidence: float
    within: tuple[Cell, ...]
    excluded: tuple[Excluded, ...]
    evidence: Evidence | None
    spec: StudySpec | None = None

    @property
    def chosen(self) -> Cell | None:
        return self.evidence.chosen if self.evidence else None

    @property
    def undecided(self) -> tuple[str, ...]:
        """See `Advice.undecided`."""
        if self.evidence is None or self.evidence.grade in ("strong", "moderate"):
            return ()
        if not self.evidence.learnt and self.evidence.seeds >= FEW:
            return ()
        left = [method for method, status in self.evidence.status.items() if status != "outside"]
        return tuple(left) if len(left) > 1 else ()

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """The chosen method against every other, those beyond the limits included; else the undecided ones pairwise."""
        measured = [judged(cell, self.group.baseline) for cell in self.group.cells if cell.scores]
        if self.chosen:
            asked = [(self.chosen, cell) for cell in measured if cell.method != self.chosen.method]
        else:
            asked = list(combinations([cell for cell in measured if cell.method in self.undecided], 2))
        return tuple(pair for a, b in asked if (pair := _compared(a, b, self.margin, self.confidence)) is not None)

    def score(self, cell: Cell) -> float:
        """The mean over its trials that trained."""
        return trained_mean(cell, self.group.baseline) or 0.0

    @property
    def where(self) -> str:
        group = self.group
        return f"{group.task} at {words.fraction(group.fraction)} of the data and {group.budget} ({group.model})"

    @property
    def apart(self) -> str:
        points = "point" if self.margin == 1 else "points"
        return f"{self.margin:g} {points} of {self.group.metric}"


def _compared(a: Cell, b: Cell, margin: float, confidence: float) -> Pair | None:
    """None where the two share no seed."""
    found = compare(a.scores, b.scores, margin, confidence)
    if found is None:
        return None
    low, high = found.interval or (None, None)
    return Pair(a=a.method, b=b.method, difference=found.difference, low=low, high=high, seeds=found.seeds,
                verdict=found.verdict)  # fmt: skip
