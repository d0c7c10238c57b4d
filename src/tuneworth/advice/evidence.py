"""How sure a recommendation is, by rule.

Of the methods that are compared (within the limits, with results), one is *inside* where its expected score is shown to be
at most the margin below the best one's, whichever that is (stats.best), or *outside* where it is shown to be further below.
Of the methods that are inside and have learnt, the one with the fewest trained parameters is recommended (a tie goes to the
faster). Learnt: its scores lie above the baseline's, which gives one answer for all. The grade of the evidence:

strong    inside on these test examples, at a confidence that holds however often one looked before (stats.sequential);
          inside for new data of this kind too; at least 5 seeds paired with every method that is not outside; and no doubt:
          no method that is not outside was still learning when its budget ended, has failed trials, or ran in another
          environment than those it is compared with
moderate  inside on these test examples at the confidence, with at least 3 seeds so paired
weak      no method is inside at the confidence, but one is at 80%
none      nothing can be recommended
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan

from tuneworth.advice.value import Grade, Status
from tuneworth.cells import Cell, mixed
from tuneworth.stats import Answers, Decision, Regret, decide, over_seeds, regrets

__all__ = ["ENOUGH", "FEW", "LEANING", "Evidence", "has_learnt", "weigh"]

FEW = 3
"""Fewer paired seeds than this carry no recommendation."""
ENOUGH = 5
"""Paired seeds that strong evidence needs."""
LEANING = 0.8
"""The confidence of weak evidence."""


@dataclass(frozen=True)
class Evidence:
    """What is recommended of the methods compared, and everything that the grade follows from."""

    chosen: Cell | None
    grade: Grade
    behind: Mapping[str, Regret]
    """On these test examples, at the confidence."""
    wide: Mapping[str, Regret] | None
    """For new data of this kind; None without predictions."""
    status: Mapping[str, Status]
    """By `behind`, or by the looks of `--until-decided`, whose decisions stand."""
    learnt: tuple[str, ...]
    seeds: int
    """The fewest seeds that two methods share of those that are not outside."""
    rising: tuple[str, ...]
    mixed: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def surest(self) -> str:
        """Of the methods that have learnt, the one that can be the least behind the best."""
        return min(self.learnt, key=lambda method: self.behind[method].high)

    @property
    def doubts(self) -> bool:
        return any(self.status[method] != "outside" for method in (*self.rising, *self.mixed, *self.failed))


def weigh(
    cells: Sequence[Cell], baseline: float | None, margin: float, confidence: float,
    answers: Mapping[str, Answers] | None,
) -> Evidence:  # fmt: skip
    """Choose among `cells`, each with results, and grade the choice. `answers` by method; None where any is missing."""
    looks = decide({cell.method: _with_failures(cell) for cell in cells}, margin, confidence)
    running = [cell for cell in cells if cell.method not in looks.outside]
    behind = _regrets(cells, confidence) | _regrets(running, confidence, len(cells))
    wide = _regrets(running, confidence, len(cells), answers) if answers else None
    status = {cell.method: _status(cell.method, looks, behind, margin) for cell in cells}
    left = [cell for cell in cells if status[cell.method] != "outside"]
    learnt = [cell for cell in cells if has_learnt(cell, baseline, confidence)]
    seeds = min(len(one.scores.keys() & other.scores.keys()) for one in left for other in left)
    chosen = _cheapest([cell for cell in learnt if status[cell.method] == "inside"])
    grade: Grade = "moderate"
    if chosen is None and "inside" not in status.values():
        leaning = _regrets(running, LEANING, len(cells))
        chosen = _cheapest(
            [cell for cell in learnt if cell in running and leaning[cell.method].status(margin) == "inside"]
        )
        grade = "weak"
    found = Evidence(
        chosen, "none", behind, wide, status, tuple(cell.method for cell in learnt), seeds,
        rising=tuple(cell.method for cell in cells if cell.rising),
        mixed=tuple(cell.method for cell in cells if any(mixed(cell, other) for other in cells)),
        failed=tuple(cell.method for cell in cells if cell.failed),
    )  # fmt: skip
    if chosen is None or seeds < FEW:
        return replace(found, chosen=None)
    sure = chosen.method in looks.inside and wide is not None and wide[chosen.method].status(margin) == "inside"
    strong = grade == "moderate" and sure and seeds >= ENOUGH and not found.doubts
    return replace(found, grade="strong" if strong else grade)


def _with_failures(cell: Cell) -> dict[int, float]:
    return {**dict.fromkeys(cell.failed_seeds, nan), **cell.scores}


def _regrets(
    cells: Sequence[Cell], confidence: float, family: int | None = None, answers: Mapping[str, Answers] | None = None
) -> dict[str, Regret]:
    return regrets({cell.method: cell.scores for cell in cells}, confidence, answers, family)


def _status(method: str, looks: Decision, behind: Mapping[str, Regret], margin: float) -> Status:
    if method in looks.outside:
        return "outside"
    return "inside" if method in looks.inside else behind[method].status(margin)


def has_learnt(cell: Cell, baseline: float | None, confidence: float) -> bool:
    """Whether the cell's expected score is shown to lie above the baseline's, at `confidence` (one-sided)."""
    estimate = over_seeds(list(cell.scores.values()))
    return estimate is not None and estimate.p_above(baseline or 0.0) <= 1 - confidence


def _cheapest(cells: Sequence[Cell]) -> Cell | None:
    return min(
        cells, key=lambda cell: (cell.trainable_parameters or 0.0, cell.train_seconds or 0.0, cell.method), default=None
    )
