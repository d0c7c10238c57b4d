"""The comparisons that advice rests on, judged as one family."""

from __future__ import annotations

from dataclasses import dataclass

from tuneworth.advice import Advice, Pair
from tuneworth.report.value import Report
from tuneworth.results.cells import mixed
from tuneworth.stats import holm

__all__ = ["Family", "Shown", "family"]


@dataclass(frozen=True)
class Shown:
    """`pair`: as the advice has it. `holds`: its verdict survives Holm's correction."""

    pair: Pair
    holds: bool
    rising: tuple[str, ...]
    """Which of the two still learnt when the budget ended."""
    mixed: bool


@dataclass(frozen=True)
class Family:
    """The comparisons of each advice, in the order of `Report.advice`; `size`: how many there are in all."""

    by_advice: tuple[tuple[Shown, ...], ...]
    size: int


def family(report: Report) -> Family:
    """Every pair of `Advice.comparisons`.

    Each pair is asked two questions (do they differ? are they equal within the margin?), so Holm's correction is over
    twice as many p-values as there are pairs. Equivalence to a recommended method is the advice's own word, and corrected
    there.
    """
    pairs = [pair for advice in report.advice for pair in advice.comparisons]
    values = [1.0 if p is None else p for pair in pairs for p in (pair.p_value, pair.p_equivalent)]
    adjusted = iter(holm(values))
    level = 1 - report.question.confidence
    shown = tuple(
        tuple(_shown(report, advice, pair, next(adjusted), next(adjusted), level) for pair in advice.comparisons)
        for advice in report.advice
    )
    return Family(shown, len(pairs))


def _shown(report: Report, advice: Advice, pair: Pair, p_value: float, p_equivalent: float, level: float) -> Shown:
    group = next(group for group in report.featured if (group.model, group.task) == (advice.model, advice.task))
    first, second = (next(cell for cell in group.cells if cell.method == name) for name in (pair.a, pair.b))
    if pair.verdict == "equivalent":
        holds = advice.recommendation is not None or p_equivalent <= level
    else:
        holds = pair.verdict != "undecided" and p_value <= level
    return Shown(pair, holds, tuple(cell.method for cell in (first, second) if cell.rising), mixed(first, second))
