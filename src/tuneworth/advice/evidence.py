"""How sure a recommendation is, by rule.

Of the methods that are compared (within the limits, any two with 3 paired seeds or more), one is *inside* where its expected
score is shown to be at most the margin below the best one's, whichever that is (stats.best), or *outside* where it is shown
to be further below. Methods are compared by their trials that trained, as for `--until-decided` (stats.trained_ones): a
trial that collapsed to one answer for all, as the baseline gives, shows on the validation data and is trained again, so what
it costs is time. A failed trial counts as a collapsed one. Of the methods that are inside and have learnt, the one with the
fewest trained parameters is recommended (a tie goes to the faster; or by time or memory, where these are preferred), before
all others those of which at most one trial in five collapsed. "Equivalent" is said of two methods that are both inside, and
of no others, so that the cheaper of two equivalents is never passed over. Learnt: the mean of all its trials lies above the
baseline; where all of these score alike, by an exact test over the test examples. The grade of the evidence:

strong    inside on these test examples, at a confidence that allows for a look at every number of seeds before
          (stats.sequential: what `--until-decided` stops at); inside for new data of this kind too, of all methods
          compared; at least 10 seeds paired between any two methods that are not outside; and no doubt: none of these has
          failed or collapsed trials (one answer for all), or ran in another environment than those it is
          compared with; none within the limits was undertrained or is left out for want of seeds; the test texts are not
          among the training texts; one answer weighs no more than the margin; and all methods were tuned with the same effort
moderate  inside on these test examples at the confidence, with at least 3 seeds so paired
weak      no method is inside at the confidence, but one is at 80%; or those that score best answer every test example
          alike; or it is inside on so few test examples that one answer weighs more than the margin, and not for new data; or
          it is inside, and a method left out for want of seeds scores higher so far
none      nothing can be recommended
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from tuneworth.advice.compared import alike, comparable, undertrained
from tuneworth.advice.learnt import has_learnt
from tuneworth.advice.limits import Prefer
from tuneworth.advice.value import Grade, Status
from tuneworth.results.cells import Cell, collapsed_seeds, judged, mixed, with_failures
from tuneworth.stats import LOOKS, Answers, Regret, beaten, by_seeds, level, on_new_data, regrets_of, shared_seeds

__all__ = ["ENOUGH", "FEW", "LEAKED", "LEANING", "Evidence", "weigh"]

FEW = 3
"""Fewer paired seeds than this carry no recommendation."""
ENOUGH = 10
"""Paired seeds that strong evidence needs: with fewer, a method may collapse often and not have shown it."""
TOLERATED = 0.2
"""The share of collapsed trials up to which a method is as good a choice as one that never collapsed: one more trial in four
makes up for it."""
LEANING = 0.8
"""The confidence of weak evidence."""


LEAKED = 0.03
"""The share of test texts among the training texts from which on scores may be memory: it can move a score by as many points."""


@dataclass(frozen=True)
class Evidence:
    """What is recommended of the methods compared, and everything that the grade follows from."""

    chosen: Cell | None
    grade: Grade
    behind: Mapping[str, Regret]
    """On these test examples, at the confidence."""
    wide: Mapping[str, Regret] | None
    """For new data of this kind, among all methods compared; None without predictions."""
    status: Mapping[str, Status]
    """By `behind`."""
    learnt: tuple[str, ...]
    seeds: int
    """The fewest seeds that two methods share of those that are not outside."""
    rising: Mapping[str, float]
    """Methods whose validation score still rose, and by how much over the last third of the budget."""
    undertrained: tuple[str, ...]
    """Those of `rising` that a longer budget may bring into question: see `compared.undertrained`."""
    mixed: tuple[str, ...]
    failed: tuple[str, ...]
    collapsed: Mapping[str, int]
    """The number of collapsed trials (failed ones are such), of the methods that have any."""
    sparse: tuple[str, ...]
    """Methods left out because they share fewer than 3 seeds with others that share as many with one another."""
    leaked: float
    lasting: bool = False
    """The chosen method is inside also at the confidence that allows for looks before: `--until-decided` would stop."""
    anywhere: bool = False
    """The chosen method is inside for new data of this kind too."""
    small: bool = False
    """One answer to a test example weighs more than the margin."""
    alike: tuple[str, ...] = field(default=())
    """Of the methods not outside those that score best, where they answer every test example alike, at every seed."""

    @property
    def surest(self) -> str:
        """Of the methods that have learnt, the one that can be the least behind the best."""
        return min(self.learnt, key=lambda method: self.behind[method].high)

    def in_doubt(self, methods: Sequence[str]) -> bool:
        """Whether any of `methods` is still in the running, so that a doubt about it matters."""
        return any(self.status[method] != "outside" for method in methods)

    @property
    def doubts(self) -> bool:
        return (
            self.in_doubt((*self.mixed, *self.failed, *self.collapsed))
            or bool(self.undertrained or self.sparse)
            or self.leaked > LEAKED
        )


def weigh(
    cells: Sequence[Cell], baseline: float | None, margin: float, confidence: float,
    answers: Mapping[str, Answers], leaked: float = 0.0, prefer: Prefer = "size",
) -> Evidence:  # fmt: skip
    """Choose among `cells`, each with results, and grade the choice. `answers` by method, of those that have them."""
    everyone = cells
    learnt = [
        cell.method for cell in cells
        if has_learnt(with_failures(cell, baseline), baseline, confidence, answers.get(cell.method))
    ]  # fmt: skip
    collapsed = {cell.method: len(collapsed_seeds(cell, baseline)) for cell in cells}
    cells = comparable([judged(cell, baseline) for cell in cells])
    scores = {cell.method: cell.scores for cell in cells}
    here, there = by_seeds(scores, answers), on_new_data(scores, answers) if scores.keys() <= answers.keys() else None

    def bounds(methods: Sequence[str], confidence: float) -> dict[str, Regret]:
        # Of `methods` alone, corrected for all that were compared. What is outside is left out, since few seeds of a
        # method that was stopped early would otherwise hide how the rest compare; that it was the best after all has a
        # probability of at most (1 - confidence) / k.
        return regrets_of(methods, here, confidence, len(cells))

    behind = {cell.method: Regret(0.0, inf) for cell in everyone} | beaten(list(scores), here, margin, confidence)
    running = [cell for cell in cells if behind[cell.method].status(margin) != "outside"]
    names = [cell.method for cell in running]
    seeds = min(len(shared_seeds(one.scores, other.scores)) for one in running for other in running)
    found = Evidence(
        None, "none", behind,
        wide=regrets_of(scores, there, confidence) if there else None,
        status={method: regret.status(margin) for method, regret in behind.items()},
        learnt=tuple(learnt), seeds=seeds,
        rising={cell.method: cell.rising for cell in everyone if cell.rising},
        undertrained=tuple(cell.method for cell in everyone if undertrained(cell, behind[cell.method], margin)),
        mixed=tuple(cell.method for cell in everyone if any(mixed(cell, other) for other in everyone)),
        failed=tuple(cell.method for cell in everyone if cell.failed),
        collapsed={method: number for method, number in collapsed.items() if number},
        sparse=tuple(cell.method for cell in everyone if cell.method not in scores), leaked=leaked,
        small=any(margin * len(given.targets) < 100 for given in answers.values()), alike=alike(running, answers),
    )  # fmt: skip
    if seeds < FEW:
        return found
    candidates = [cell for cell in running if cell.method in learnt]

    def cheapest(inside: Mapping[str, Regret]) -> Cell | None:
        return _cheapest(
            [cell for cell in candidates if inside[cell.method].status(margin) == "inside"], collapsed, prefer
        )

    chosen = cheapest(behind)
    if chosen is None and "inside" not in found.status.values():
        chosen = cheapest(bounds(names, LEANING))
        if chosen is None and set(found.alike) <= set(learnt):
            chosen = _cheapest([cell for cell in running if cell.method in found.alike], collapsed, prefer)
        return replace(found, chosen=chosen, grade="weak" if chosen else "none")
    if chosen is None:
        return found
    look = max((look for look in LOOKS if look <= seeds), default=FEW)
    lasting = bounds(names, level(look, confidence))[chosen.method].status(margin) == "inside"
    anywhere = found.wide is not None and found.wide[chosen.method].status(margin) == "inside"
    same_effort = len({cell.effort for cell in everyone}) == 1  # a beaten method may be one that was not tuned
    strong = lasting and anywhere and seeds >= ENOUGH and same_effort and not found.doubts and not found.small
    missed = any(
        (cell.mean or 0.0) > (chosen.mean or 0.0)
        for cell in everyone if cell.method in found.sparse
    )  # fmt: skip
    grade: Grade = "strong" if strong else "weak" if missed or (found.small and not anywhere) else "moderate"
    return replace(found, chosen=chosen, grade=grade, lasting=lasting, anywhere=anywhere)


def _cheapest(cells: Sequence[Cell], collapsed: Mapping[str, int], prefer: Prefer) -> Cell | None:
    """Of methods that are as good, one that seldom collapsed; then by the cost that is preferred, then by the others."""

    def rank(cell: Cell) -> tuple[bool, float, float, float, str]:
        size, time, memory = (
            inf if cost is None else cost
            for cost in (cell.trainable_parameters, cell.train_seconds, cell.peak_memory_bytes)
        )
        first, *rest = {"size": (size, time, memory), "time": (time, size, memory), "memory": (memory, size, time)}[
            prefer
        ]
        return collapsed[cell.method] > TOLERATED * len(cell.scores), first, rest[0], rest[1], cell.method

    return min(cells, default=None, key=rank)
