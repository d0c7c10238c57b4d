"""The claims of a study file, judged. Pure.

A claim says something of a method against another in every cell that it names. Each cell gives one paired test, whose
question and its opposite are complementary, so that at most one of them is ever shown:

test               holds where shown                                 fails where shown
equivalent         |difference| < margin                             |difference| > margin
better             difference > margin (0)                           difference < margin
no-worse           difference > -margin                              difference < -margin
spread-no-larger   spread < ratio (1.5) x the other's                spread > ratio x the other's
spread-larger      spread > ratio (1) x the other's                  spread < ratio x the other's
inconsistent-gain  difference > margin (0) in one cell and difference < margin in another

The claim is *supported* where the test holds in every cell, each at the confidence: who asks for all of them needs no
correction (the intersection-union test, Berger, Technometrics 24, 1982). It is *contradicted* where the test fails in any
cell, after Holm's correction over the claim's cells, since one false alarm of many would do. Else it is *undecided*, as is a
cell with fewer than 3 paired seeds (5, for spreads), or where nothing was learnt that could be compared: no method above the
baseline, or for spreads not both. An inconsistent gain is supported where, so corrected, a gain is shown in one cell and its
absence in another, and contradicted where either is shown in every cell. Differences are in points, between the trials that
trained (stats.trained_ones); spreads are mean distances from the median over all seeds, collapses included, in which a failed
trial counts with the baseline's score, and a permutation test tells them apart (stats.spread_ratio). Margins default to 1
point unless the table says otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Literal

from tuneworth import words
from tuneworth.advice.evidence import FEW
from tuneworth.advice.learnt import has_learnt
from tuneworth.results.cells import Group, group_trials, judged, with_failures
from tuneworth.results.rows import CellKey, Row
from tuneworth.spec import Claim, Frozen, StudySpec
from tuneworth.stats import (
    FEWEST_FOR_SPREADS,
    Answers,
    Estimate,
    holm,
    over_seeds_or_examples,
    shared_seeds,
    spread_ratio,
)
from tuneworth.until_decided import Question

__all__ = ["Judged", "JudgedCell", "judge_claims"]

Ruling = Literal["supported", "contradicted", "undecided"]
_MARGIN = {"better": 0.0, "inconsistent-gain": 0.0}
_RATIO = {"spread-no-larger": 1.5, "spread-larger": 1.0}


class JudgedCell(Frozen):
    """One cell of a claim. `value`: the difference in points, or the ratio of the spreads, with its interval.

    `p_holds` and `p_fails` are uncorrected one-sided p-values; None: the cell can say nothing, and `note` says why.
    """

    model: str
    task: str
    fraction: float
    budget: str
    method: str
    seeds: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    p_holds: float | None = None
    p_fails: float | None = None
    ruling: Ruling = "undecided"
    note: str = ""


class Judged(Frozen):
    """A claim with its ruling. `stated_after`: the study's finished trials when it was stated as it is; 0: before any."""

    name: str
    claim: Claim
    ruling: Ruling
    sentence: str
    stated_after: int
    cells: tuple[JudgedCell, ...]


def judge_claims(
    table: Sequence[Row], spec: StudySpec, confidence: float = 0.95, answers: Mapping[CellKey, Answers] | None = None
) -> tuple[Judged, ...]:
    """Every claim of `spec` (as a store keeps it: with the claims' dates), judged on `results.rows` of the study.

    `answers`: test predictions by cell, which speak where all seeds agree exactly.
    Raises SpecError for a confidence outside (0, 1).
    """
    Question(confidence=confidence)
    groups = group_trials(table, None, answers=answers)
    return tuple(
        _judge(name, claim, groups, spec.stated.get(name, 0), 1 - confidence, answers or {})
        for name, claim in spec.claim.items()
    )


def _judge(
    name: str, claim: Claim, groups: Sequence[Group], stated: int, level: float, answers: Mapping[CellKey, Answers]
) -> Judged:
    cells = [
        _cell(claim, group, method, level, answers)
        for group in groups if _named(claim, group) for method in claim.method
    ]  # fmt: skip
    fails = holm([1.0 if cell.p_fails is None else cell.p_fails for cell in cells])
    holds = [1.0 if cell.p_holds is None else cell.p_holds for cell in cells]
    shown_once = holm(holds)
    if claim.test == "inconsistent-gain":
        holds = shown_once
    rulings: list[Ruling] = [
        "supported" if p <= level else "contradicted" if q <= level else "undecided"
        for p, q in zip(holds, fails, strict=True)
    ]  # fmt: skip
    ruled = tuple(cell.model_copy(update={"ruling": ruling}) for cell, ruling in zip(cells, rulings, strict=True))
    ruling = _inconsistent(ruled, level) if claim.test == "inconsistent-gain" else _everywhere(rulings)
    return Judged(name=name, claim=claim, ruling=ruling, sentence=_sentence(claim, ruling, ruled, stated),
                  stated_after=stated, cells=ruled)  # fmt: skip


def _named(claim: Claim, group: Group) -> bool:
    """Whether the group is one that the claim is about."""
    budgets = [str(budget) for budget in claim.budgets]
    asked = (
        (claim.models, group.model),
        (claim.tasks, group.task),
        (claim.fractions, group.fraction),
        (budgets, group.budget),
    )
    return all(not named or value in named for named, value in asked)


def _everywhere(rulings: Sequence[Ruling]) -> Ruling:
    if "contradicted" in rulings:
        return "contradicted"
    return "supported" if set(rulings) == {"supported"} else "undecided"


def _inconsistent(cells: Sequence[JudgedCell], level: float) -> Ruling:
    found = {cell.ruling for cell in cells}
    if {"supported", "contradicted"} <= found:
        return "supported"
    always = any(
        all(p is not None and p <= level for p in side)
        for side in ([cell.p_holds for cell in cells], [cell.p_fails for cell in cells])
    )
    return "contradicted" if always and cells else "undecided"


def _cell(claim: Claim, group: Group, method: str, level: float, answers: Mapping[CellKey, Answers]) -> JudgedCell:
    spread = claim.test.startswith("spread")
    all_trials = {cell.method: with_failures(cell, group.baseline) for cell in group.cells if cell.scores}
    compared = {name: cell if spread else judged(cell, group.baseline) for name, cell in all_trials.items()}
    first, second = compared.get(method), compared.get(claim.against)
    shared = shared_seeds(first.scores, second.scores) if first and second else []
    one = JudgedCell(model=group.model, task=group.task, fraction=group.fraction, budget=group.budget, method=method,
                     seeds=len(shared))  # fmt: skip
    if first is None or second is None or len(shared) < (FEWEST_FOR_SPREADS if spread else FEW):
        of_spreads = " of spreads" if spread and len(shared) >= FEW else ""
        return one.model_copy(update={"note": f"{words.several(len(shared), 'paired seed')} say nothing{of_spreads}"})
    a, b = [first.scores[seed] for seed in shared], [second.scores[seed] for seed in shared]
    known = [
        answers.get((group.model, name, group.task, group.fraction, group.budget)) for name in (method, claim.against)
    ]
    if spread:
        measured = _spread(claim, a, b, level)
    else:
        both = (known[0], known[1]) if known[0] and known[1] else None
        apart = over_seeds_or_examples([x - y for x, y in zip(a, b, strict=True)], shared, both)
        assert apart is not None, "3 seeds or more"
        measured = _difference(claim, apart, level)
    above = [
        has_learnt(all_trials[name], group.baseline, 1 - level, given)
        for name, given in zip((method, claim.against), known, strict=True)
    ]
    if not (all(above) if spread else any(above)):
        note = "not both above the baseline" if spread else "neither is above the baseline"
        measured |= {"p_holds": None, "p_fails": None, "note": note}
    return one.model_copy(update=measured)


def _difference(claim: Claim, estimate: Estimate, level: float) -> dict[str, object]:
    margin = claim.margin if claim.margin is not None else _MARGIN.get(claim.test, 1.0)
    if claim.test == "equivalent":
        holds = max(estimate.p_above(-margin), estimate.p_below(margin))
        fails = min(1.0, 2 * min(estimate.p_above(margin), estimate.p_below(-margin)))
    else:
        threshold = -margin if claim.test == "no-worse" else margin
        holds, fails = estimate.p_above(threshold), estimate.p_below(threshold)
    low, high = estimate.interval(1 - level) or (None, None)
    return {"value": estimate.value, "low": low, "high": high, "p_holds": holds, "p_fails": fails}


def _spread(claim: Claim, a: Sequence[float], b: Sequence[float], level: float) -> dict[str, object]:
    ratio = claim.ratio if claim.ratio is not None else _RATIO[claim.test]
    found = spread_ratio(a, b)
    if found is None:
        return {"note": "neither varies from seed to seed"}
    larger, smaller = found.p_larger(ratio), found.p_smaller(ratio)
    holds, fails = (larger, smaller) if claim.test == "spread-larger" else (smaller, larger)
    low, high = found.interval(1 - level) or (None, None)
    value = found.value if isfinite(found.value) else None
    return {"value": value, "low": low, "high": high, "p_holds": holds, "p_fails": fails}


def _sentence(claim: Claim, ruling: Ruling, cells: Sequence[JudgedCell], stated: int) -> str:
    """BitFit matches full: undecided (shown in 3 of 9 cells, ...). Before any result was there."""
    if not cells:
        return f"{claim.says}: undecided (none of its cells has a trial yet)."
    counts = Counter(cell.ruling for cell in cells)
    shown = {"supported": "holds", "contradicted": "fails", "undecided": "open"}
    if claim.test == "inconsistent-gain":
        shown |= {"supported": "shows a gain", "contradicted": "shows none"}
    parts = [f"{shown[key]} in {counts[key]}" for key in ("supported", "contradicted", "undecided") if counts[key]]
    when = "Stated before any result" if not stated else f"Stated after {words.several(stated, 'trial')} had finished"
    return f"{claim.says}: {ruling} ({', '.join(parts)} of {words.several(len(cells), 'cell')}). {when}."
