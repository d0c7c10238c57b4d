"""How scores grow with data and with time, in sentences: who overtakes whom, who reaches what, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf

from tuneworth import words
from tuneworth.report.value import Report, key_of
from tuneworth.results.cells import Group, compared
from tuneworth.results.rows import Row, cell_of
from tuneworth.stats import Crossing, Interval, crossover, learning_curve, reaches, time_to

__all__ = ["Crossovers", "Target", "crossovers", "reached", "targets"]

ScoreCurve = dict[float, dict[int, float]]


@dataclass(frozen=True)
class Crossovers:
    """What is said about one model and task under one budget, and how many crossings of means may be chance."""

    model: str
    task: str
    budget: str
    sentences: tuple[str, ...]
    unclear: int


@dataclass(frozen=True)
class Target:
    """The first time at which validation scores reached `score`: by method the median over seeds in seconds (None: most
    never did) with its interval (None below 6 seeds)."""

    group: Group
    score: float
    times: tuple[tuple[str, float | None, Interval | None], ...]


def crossovers(report: Report) -> tuple[Crossovers, ...]:
    """Of every method against the reference, under the budget that advice is about, where there are two fractions or more."""
    found = []
    for shown in report.featured:
        groups = [g for g in report.groups if (g.model, g.task, g.budget) == (shown.model, shown.task, shown.budget)]
        curves: dict[str, ScoreCurve] = {}
        for group in groups:
            for cell in group.cells:
                if cell.scores:
                    curves.setdefault(cell.method, {})[group.fraction] = compared(cell, group.baseline)
        full = curves.pop(report.reference or "", None)
        if full is None or len(full) < 2:
            continue
        said, unclear = [], 0
        for method, curve in curves.items():
            sentences, vague = _against(method, curve, report.reference or "", full, report.question.confidence)
            said += sentences
            unclear += vague
        found.append(Crossovers(shown.model, shown.task, shown.budget, tuple(said), unclear))
    return tuple(found)


def _against(
    method: str, curve: ScoreCurve, reference: str, full: ScoreCurve, confidence: float
) -> tuple[list[str], int]:
    shared = sorted(curve.keys() & full.keys())
    curve, full = {f: curve[f] for f in shared}, {f: full[f] for f in shared}
    if len(shared) < 2:
        return [], 0
    said, unclear = [], 0
    own, other = ([point.mean for point in learning_curve(c)] for c in (curve, full))
    gaps = [a - b for a, b in zip(own, other, strict=True)]
    if min(gaps) < 0 < max(gaps):
        over, under = ((method, curve), (reference, full))[:: 1 if gaps[-1] >= 0 else -1]
        crossing = crossover(over[1], under[1], confidence)
        if _informs(crossing, shared):
            said.append(f"{over[0]} overtakes {under[0]} at about {_range(crossing, shared, confidence)}.")
        else:
            unclear += crossing.fraction is not None
    for fraction, score in zip(shared[:-1], own, strict=False):
        if other[0] < score < other[-1]:
            crossing = reaches(curve, fraction, full, confidence)
            if _informs(crossing, shared) and not _holds(crossing, fraction):
                said.append(f"{method} at {words.fraction(fraction)} reaches what {reference} reaches at about "
                            f"{_range(crossing, shared, confidence)}.")  # fmt: skip
                break
    return said, unclear


def _informs(crossing: Crossing, fractions: list[float]) -> bool:
    """Whether the seeds rule out any part of the range: else the means cross, and that is all."""
    if crossing.fraction is None or crossing.low is None or crossing.high is None:
        return False
    return crossing.low > fractions[0] or crossing.high < fractions[-1]


def _holds(crossing: Crossing, fraction: float) -> bool:
    """Whether the crossing may lie at `fraction`, so that neither method is shown to need less data."""
    assert crossing.low is not None
    assert crossing.high is not None
    return crossing.low <= fraction <= crossing.high


def _range(crossing: Crossing, fractions: list[float], confidence: float) -> str:
    """34% of the data (95%: 20% to 60%); an end at the end of what was measured is open."""
    low, high = words.share(crossing.low), words.share(crossing.high)
    between = f"{low} to {high}"
    if crossing.low == fractions[0]:
        between = f"{high} or less"
    elif crossing.high == fractions[-1]:
        between = f"{low} or more"
    return f"{words.share(crossing.fraction)} of the data ({100 * confidence:g}%: {between})"


def targets(report: Report) -> tuple[Target, ...]:
    """When each method reached the best one's final validation score less the margin, where any did on the way."""
    return tuple(_targets(report))


def _targets(report: Report) -> Iterator[Target]:
    rows: dict[object, list[Row]] = {}
    for row in report.trials:
        rows.setdefault(cell_of(row), []).append(row)
    for group in report.featured:
        timelines = {}
        for cell in group.cells:
            own = {
                row["seed"]: [(p["seconds"], p["score"]) for p in row["curve"] or () if p["score"] is not None]
                for row in rows.get(key_of(group, cell.method), ())
            }
            if own and all(len(line) > 1 for line in own.values()):
                timelines[cell.method] = own
        if len(timelines) < 2:
            continue
        ends = {method: sum(line[-1][1] for line in own.values()) / len(own) for method, own in timelines.items()}
        score = max(ends.values()) - report.question.margin
        times = tuple((method, *time_to(own, score, report.question.confidence)) for method, own in timelines.items())
        if any(centre is not None for _, centre, _ in times):
            yield Target(group, score, times)


def reached(centre: float | None, interval: Interval | None) -> str:
    """A time to a target in words: 12 s (10 s to 15 s)."""
    if centre is None:
        return "not reached by most seeds"
    if interval is None:
        return words.seconds(centre)
    end = "or more" if isinf(interval[1]) else f"to {words.seconds(interval[1])}"
    return f"{words.seconds(centre)} ({words.seconds(interval[0])} {end})"
