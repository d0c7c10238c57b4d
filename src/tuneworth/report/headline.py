"""The headline: by rule, one sentence a model and task, that says no more than the numbers do.

1. The featured group is the one with the most data; of its budgets, the one under which trials trained longest.
2. There, the small method (fewer trained parameters than full) with the best mean validation score is compared with
   full; a tie goes to the fewer parameters. Validation chooses, so that the test score shown is not flattered.
3. The difference is paired by seed, with its 95% interval. With fewer than 3 paired seeds no verdict is given.
"""

from __future__ import annotations

from collections.abc import Sequence

from tuneworth import words
from tuneworth.cells import Cell, Group
from tuneworth.stats import PairedDifference

__all__ = ["FEW", "best_small", "featured", "sentence"]

FEW = 3
"""Fewer seeds than this carry no ranking."""


def featured(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The group that speaks for each model and task; none for a task without a finished trial."""
    best: dict[tuple[str, str], Group] = {}
    for group in groups:
        if any(cell.scores for cell in group.cells):
            held = best.get((group.model, group.task))
            if held is None or _weight(group) > _weight(held):
                best[group.model, group.task] = group
    return tuple(best.values())


def best_small(group: Group, reference: str | None) -> Cell | None:
    """The method set against full: rule 2. Without a finished full, the best of all by validation."""
    full = find(group, reference)
    limit = full.trainable_parameters if full and full.trainable_parameters is not None else float("inf")
    small = [cell for cell in group.cells if cell.scores and cell is not full and _trained(cell) < limit]
    return max(small, key=_merit, default=None)


def find(group: Group, method: str | None) -> Cell | None:
    """The method's cell, if any of its seeds finished."""
    return next((cell for cell in group.cells if cell.method == method and cell.scores), None)


def sentence(group: Group, reference: str | None, models: int) -> str:
    """The group's finding; `models`: how many the study has (a single one goes without saying)."""
    where = f"On {group.task} at {words.fraction(group.fraction)} of the training data and {group.budget}"
    where += f" with {group.model}," if models > 1 else ","
    small, full = best_small(group, reference), find(group, reference)
    if small is None:
        only = full or next(cell for cell in group.cells if cell.scores)
        return f"{where} {_scores(only, group)} {_seeds(only)}{_below_baseline(only, group)}."
    if full is None:
        rest = "full fine-tuning has no result here to compare it with"
        return f"{where} {_scores(small, group)} {_seeds(small)}; {rest}{_below_baseline(small, group)}."
    text = f"{where} {_scores(small, group)} against {words.points(full.mean)} for {full.method}{_compared(small)}"
    if small.trainable_share is not None:
        text += f", with {words.share(small.trainable_share)} of the parameters trained"
    return f"{text}{_below_baseline(small, group, full)}."


def _weight(group: Group) -> tuple[float, float]:
    times = [cell.train_seconds for cell in group.cells if cell.train_seconds is not None]
    return group.fraction, sum(times) / len(times) if times else 0.0


def _trained(cell: Cell) -> float:
    return cell.trainable_parameters if cell.trainable_parameters is not None else float("inf")


def _merit(cell: Cell) -> tuple[float, float]:
    return cell.validation if cell.validation is not None else float("-inf"), -_trained(cell)


def _scores(cell: Cell, group: Group) -> str:
    return f"{cell.method} scores {words.points(cell.mean)} {group.metric}"


def _seeds(cell: Cell) -> str:
    few = ": too few for a ranking" if len(cell.scores) < FEW else ""
    return f"({words.several(len(cell.scores), 'seed')}{few})"


def _compared(small: Cell) -> str:
    pair = small.against_full
    if pair is None:
        return " (on other seeds, so the two are not compared)"
    parts = [words.change(pair.mean)]
    if pair.interval is not None:
        parts.append(f"95% CI {words.between(pair.interval)}")
    few = ": too few for a ranking" if pair.n < FEW else ""
    parts.append(words.several(pair.n, "paired seed") + few)
    return f"{_verdict(pair)}{', '.join(parts)})"


def _verdict(pair: PairedDifference) -> str:
    if pair.n < FEW or pair.interval is None or pair.interval[0] <= 0 <= pair.interval[1]:
        return " (difference " if pair.n < FEW else ": no clear difference ("
    return f": {'worse' if pair.mean < 0 else 'better'} (difference "


def _below_baseline(cell: Cell, group: Group, full: Cell | None = None) -> str:
    shown = [one.mean for one in (cell, full) if one and one.mean is not None]
    if group.baseline is None or max(shown) > group.baseline:
        return ""
    return f", and does not beat the baseline of {words.points(group.baseline)}"
