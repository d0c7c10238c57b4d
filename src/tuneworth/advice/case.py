"""One question as it was asked, with what was found: what the words of an advice are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

from tuneworth import words
from tuneworth.advice.evidence import FEW, Evidence
from tuneworth.advice.limits import Limits
from tuneworth.advice.value import Excluded, Pair
from tuneworth.results.cells import Cell, Group, difference, judged
from tuneworth.spec import StudySpec
from tuneworth.stats import LOOKS, Answers, Comparison, Verdict, examples_needed, seeds_needed, shared_seeds

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
    answers: Mapping[str, Answers] = field(default_factory=dict)
    """By method, of those whose predictions are all there."""

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
        measured = [cell for cell in self.group.cells if cell.scores]
        if self.chosen:
            asked = [(self.chosen, cell) for cell in measured if cell.method != self.chosen.method]
        else:
            asked = list(combinations([cell for cell in measured if cell.method in self.undecided], 2))
        return tuple(pair for a, b in asked if (pair := self._compared(a, b)) is not None)

    def _compared(self, a: Cell, b: Cell) -> Pair | None:
        """None where the two share no seed."""
        found = difference(self.group, a, b, self.answers, self.margin, self.confidence)
        if found is None:
            return None
        low, high = found.interval or (None, None)
        new_low, new_high = found.wide or (None, None)
        redrawn_low, redrawn_high = found.redrawn or (None, None)
        return Pair(
            a=a.method, b=b.method, difference=found.difference, low=low, high=high, new_low=new_low, new_high=new_high,
            redrawn_low=redrawn_low, redrawn_high=redrawn_high,
            seeds=found.seeds, verdict=self._verdict(found, b), p_value=found.p_value, p_equivalent=found.p_equivalent,
        )  # fmt: skip

    def _verdict(self, found: Comparison, rival: Cell) -> Verdict:
        """The pair's own, but that a recommended method is equivalent to what is inside as it is, and to nothing else:
        what is cheaper and equivalent would have been recommended itself."""
        if self.chosen is None or self.evidence is None or rival.method not in self.evidence.status:
            return found.verdict
        both = [self.evidence.status[cell.method] for cell in (self.chosen, rival)]
        if both == ["inside", "inside"]:
            return "equivalent"
        return "undecided" if found.verdict == "equivalent" else found.verdict

    @cached_property
    def seeds_needed(self) -> int | None:
        """How many seeds in all would tell the surest method, or the chosen one, from those that are still open, at the
        spread seen so far; None where not even the last look would."""
        assert self.evidence is not None
        cells = {cell.method: judged(cell, self.group.baseline).scores for cell in self.within}
        first = cells[self.chosen.method if self.chosen else self.evidence.surest]
        most = 0
        for method in self.undecided:
            shared = shared_seeds(first, cells[method])
            differences = [first[seed] - cells[method][seed] for seed in shared]
            if cells[method] is not first and len(differences) > 1:
                more = seeds_needed(differences, self.margin, self.confidence)
                if more is None:
                    return None
                most = max(most, len(differences) + more)
        return most if most <= LOOKS[-1] else None

    @property
    def examples(self) -> int | None:
        """How many test examples there are; None without predictions."""
        return next((len(answers.targets) for answers in self.answers.values()), None)

    @cached_property
    def examples_needed(self) -> int | None:
        """How many test examples, in all, would probably show that the chosen method is as good on new data; None where
        that is not what is missing, or no number would."""
        evidence, chosen = self.evidence, self.chosen
        if evidence is None or chosen is None or evidence.wide is None or evidence.anywhere:
            return None
        compared = [judged(cell, self.group.baseline) for cell in self.within if cell.method not in evidence.sparse]
        needed = []
        for rival in compared:
            theirs, mine = self.answers[rival.method], self.answers[chosen.method]
            both = theirs.predictions.keys() & mine.predictions.keys()
            shared = [seed for seed in shared_seeds(rival.scores, chosen.scores) if seed in both]
            if rival.method != chosen.method and len(shared) > 1:
                values = theirs.values(shared) - mine.values(shared)
                needed.append(examples_needed(values, self.margin, (1 - self.confidence) / (len(compared) - 1)))
        most = max((number or 0 for number in needed), default=0)
        return most if None not in needed and most > (self.examples or 0) else None

    def score(self, cell: Cell) -> float:
        """The mean over its trials that trained."""
        return cell.mean or 0.0

    @property
    def where(self) -> str:
        group = self.group
        return f"{group.task} at {words.fraction(group.fraction)} of the data and {words.budget(group.budget)} ({group.model})"

    @property
    def metric(self) -> str:
        return words.metric(self.group.metric)

    @property
    def apart(self) -> str:
        points = "point" if self.margin == 1 else "points"
        return f"{self.margin:g} {points} of {self.metric}"
