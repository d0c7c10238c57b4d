"""How sure a recommendation is, by rule.

Of the methods that are compared (within the limits, with results), one is *inside* where its expected score is shown to be
at most the margin below the best one's, whichever that is (stats.best), or *outside* where it is shown to be further below.
Methods are compared by their trials that trained, as for `--until-decided` (stats.trained_ones): a trial that collapsed to one
answer for all, as the baseline gives, shows on the validation data and is trained again, so what it costs is time. A failed
trial counts as a collapsed one. Of the methods that are inside and have learnt, the one with the fewest trained
parameters is recommended (a tie goes to the faster), before all others those of which at most one trial in five collapsed.
Learnt: the mean of all its trials lies above the baseline. The grade of the evidence:

strong    inside on these test examples, at a confidence that allows for a look at every number of seeds before
          (stats.sequential: what `--until-decided` stops at); inside for new data of this kind too; at least 10 seeds
          paired between any two methods that are not outside; and no doubt: none of these was still learning when its
          budget ended, has failed or collapsed trials (no better than the baseline), or ran in another environment than
          those it is compared with
moderate  inside on these test examples at the confidence, with at least 3 seeds so paired
weak      no method is inside at the confidence, but one is at 80%
none      nothing can be recommended
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tuneworth.advice.value import Grade, Status
from tuneworth.cells import Cell, judged, mixed, with_failures
from tuneworth.stats import LOOKS, Answers, Regret, collapse_rate, level, over_seeds, regrets, shared_seeds

__all__ = ["ENOUGH", "FEW", "LEANING", "Evidence", "has_learnt", "weigh"]

FEW = 3
"""Fewer paired seeds than this carry no recommendation."""
ENOUGH = 10
"""Paired seeds that strong evidence needs: with fewer, a method may collapse often and not have shown it."""
TOLERATED = 0.2
"""The share of collapsed trials up to which a method is as good a choice as one that never collapsed: one more trial in four
makes up for it."""
ROUNDING = 1e-9
"""Points: what all seeds scoring exactly the baseline may be above it, by the mean's rounding."""
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
    """By `behind`."""
    learnt: tuple[str, ...]
    seeds: int
    """The fewest seeds that two methods share of those that are not outside."""
    rising: tuple[str, ...]
    mixed: tuple[str, ...]
    failed: tuple[str, ...]
    collapsed: Mapping[str, int]
    """The number of collapsed trials (failed ones are such), of the methods that have any."""
    lasting: bool = False
    """The chosen method is inside also at the confidence that allows for looks before: `--until-decided` would stop."""

    @property
    def surest(self) -> str:
        """Of the methods that have learnt, the one that can be the least behind the best."""
        return min(self.learnt, key=lambda method: self.behind[method].high)

    def in_doubt(self, methods: Sequence[str]) -> bool:
        """Whether any of `methods` is still in the running, so that a doubt about it matters."""
        return any(self.status[method] != "outside" for method in methods)

    @property
    def doubts(self) -> bool:
        return self.in_doubt((*self.rising, *self.mixed, *self.failed, *self.collapsed))


def weigh(
    cells: Sequence[Cell], baseline: float | None, margin: float, confidence: float,
    answers: Mapping[str, Answers] | None,
) -> Evidence:  # fmt: skip
    """Choose among `cells`, each with results, and grade the choice. `answers` by method; None where any is missing."""
    learnt = [cell.method for cell in cells if has_learnt(with_failures(cell, baseline), baseline, confidence)]
    collapsed = {cell.method: _collapsed(cell, baseline) for cell in cells}
    cells = [judged(cell, baseline) for cell in cells]
    running = [cell for cell in cells if _bounds(cells, confidence)[cell.method].status(margin) != "outside"]
    behind = _bounds(cells, confidence) | _bounds(running, confidence, len(cells))
    wide = _bounds(running, confidence, len(cells), answers) if answers else None
    status = {cell.method: behind[cell.method].status(margin) for cell in cells}
    seeds = min(len(shared_seeds(one.scores, other.scores)) for one in running for other in running)
    found = Evidence(
        None, "none", behind, wide, status, tuple(learnt), seeds,
        rising=tuple(cell.method for cell in cells if cell.rising),
        mixed=tuple(cell.method for cell in cells if any(mixed(cell, other) for other in cells)),
        failed=tuple(cell.method for cell in cells if cell.failed),
        collapsed={method: number for method, number in collapsed.items() if number},
    )  # fmt: skip
    if seeds < FEW:
        return found
    candidates = [cell for cell in running if cell.method in learnt]
    chosen = _cheapest(candidates, behind, margin, collapsed)
    if chosen is None and "inside" not in status.values():
        chosen = _cheapest(candidates, _bounds(running, LEANING, len(cells)), margin, collapsed)
        return replace(found, chosen=chosen, grade="weak" if chosen else "none")
    if chosen is None:
        return found
    look = max((look for look in LOOKS if look <= seeds), default=FEW)
    lasting = _bounds(running, level(look, confidence), len(cells))[chosen.method].status(margin) == "inside"
    on_new_data = wide is not None and wide[chosen.method].status(margin) == "inside"
    strong = lasting and on_new_data and seeds >= ENOUGH and not found.doubts
    return replace(found, chosen=chosen, grade="strong" if strong else "moderate", lasting=lasting)


def _bounds(
    cells: Sequence[Cell], confidence: float, family: int | None = None, answers: Mapping[str, Answers] | None = None
) -> dict[str, Regret]:
    """Of `cells` alone, corrected for the `family` they were part of. What is outside is left out, since few seeds of a
    method that was stopped early would otherwise hide how the rest compare; that it was the best after all has a
    probability of at most (1 - confidence) / family."""
    return regrets({cell.method: cell.scores for cell in cells}, confidence, answers, family)


def _collapsed(cell: Cell, baseline: float | None) -> int:
    scores = list(with_failures(cell, baseline).scores.values())
    return 0 if baseline is None else round(collapse_rate(scores, baseline)[0] * len(scores))


def has_learnt(cell: Cell, baseline: float | None, confidence: float) -> bool:
    """Whether the cell's expected score is shown to lie above the baseline's, at `confidence` (one-sided)."""
    estimate = over_seeds(list(cell.scores.values()))
    return estimate is not None and estimate.p_above((baseline or 0.0) + ROUNDING) <= 1 - confidence


def _cheapest(
    cells: Sequence[Cell], behind: Mapping[str, Regret], margin: float, collapsed: Mapping[str, int]
) -> Cell | None:
    """Of the methods that are inside, one that seldom collapsed; then the fewest trained parameters, then the fastest."""
    inside = [cell for cell in cells if behind[cell.method].status(margin) == "inside"]
    return min(inside, default=None, key=lambda c: (
        collapsed[c.method] > TOLERATED * len(c.scores), c.trainable_parameters or 0.0, c.train_seconds or 0.0, c.method
    ))  # fmt: skip
