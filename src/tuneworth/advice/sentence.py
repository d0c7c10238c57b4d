"""Advice in one sentence that a person can act on."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan

from tuneworth import words
from tuneworth.advice.case import Case
from tuneworth.advice.evidence import FEW, LEAKED, Evidence
from tuneworth.advice.limits import cost_in_words
from tuneworth.advice.value import Pair
from tuneworth.results.cells import Cell, judged
from tuneworth.spec import Budget

__all__ = ["evidence_in_words", "sentence"]

ALIKE = 1.05
"""Costs no further apart than this are not worth a word."""


def sentence(case: Case) -> str:
    measured = [cell for cell in case.group.cells if cell.scores]
    if not measured:
        return f"Nothing to advise on {case.where}: no trial has a result yet. Evidence: none."
    if len(measured) == 1:
        [only] = measured
        return (f"Nothing to choose between on {case.where}: only {only.method} has a result, {words.points(only.mean)} "
                f"{case.metric} over {words.several(len(only.scores), 'seed')}. Evidence: none.")  # fmt: skip
    if case.evidence is None:
        return f"No method keeps your limits on {case.where}: {_nearest(case)}. Evidence: none."
    if case.chosen is None:
        return f"{_nothing_chosen(case, case.evidence)} Evidence: none."
    costs = ", ".join(_costs(case, case.chosen))
    use = "Use" if case.evidence.grade != "weak" else "Lean to"
    said = "; ".join([f"{_standing(case)}, {costs}", *_doubts(case, case.evidence)])
    return (f"{use} {case.chosen.method} ({_recipe(case.chosen)}) on {case.where}: {said}. "
            f"Evidence: {case.evidence.grade}{_of_what(case, case.evidence)}.")  # fmt: skip


def _of_what(case: Case, evidence: Evidence) -> str:
    """What the grade holds for, where that is not new data of this kind."""
    if evidence.anywhere or len(case.within) == 1:
        return ""
    return f", for these {words.count(case.examples)} test examples" if case.examples else ", for these test examples"


def _doubts(case: Case, evidence: Evidence) -> list[str]:
    """What a reader must know who reads nothing else: what the limits cost, and why the order may be another."""
    found = []
    lost = [pair for pair in case.pairs if pair.b not in evidence.status and pair.difference < -case.margin]
    if lost:
        most = min(lost, key=lambda pair: pair.difference)
        found.append(f"your limits cost {words.points(-most.difference)} points against {most.b}")
    if evidence.sparse:
        found.append(f"{words.listed(_with_seeds(case, evidence.sparse))} cannot be compared yet")
    if evidence.undertrained:
        rises = [f"{method} (+{words.points(evidence.rising[method])} points in the last third)"
                 for method in evidence.undertrained]  # fmt: skip
        found.append(
            f"still learning when the budget ended: {words.listed(rises)}, so a longer one may change the order"
        )
    if evidence.leaked > LEAKED:
        found.append(f"{words.share(evidence.leaked)} of the test texts stand in the training data too")
    return found


def _with_seeds(case: Case, methods: Sequence[str]) -> list[str]:
    found = []
    for cell in case.within:
        if cell.method in methods:
            trained = sum(not isnan(score) for score in judged(cell, case.group.baseline).scores.values())
            which = "" if trained == len(cell.scores) else " that trained"
            ahead = ", ahead so far" if case.chosen and case.score(cell) > case.score(case.chosen) else ""
            found.append(f"{cell.method} ({words.several(trained, 'seed')}{which}{ahead})")
    return found


def _nothing_chosen(case: Case, evidence: Evidence) -> str:
    names = [method for method, status in evidence.status.items() if status != "outside"]
    if evidence.seeds < FEW:
        few = f"{words.several(evidence.seeds, 'paired seed')} can carry no recommendation (from {FEW} on)"
        if evidence.collapsed and min(len(cell.scores) for cell in case.within) >= FEW:
            few = f"collapses leave {few}"
        return (
            f"Undecided between {words.listed(names)} on {case.where}: {few}."
            if len(names) > 1
            else f"{few} on {case.where}."
        )
    if not evidence.learnt:
        return (f"Nothing to recommend on {case.where}: no method is clearly above the baseline of "
                f"{words.points(case.group.baseline)} ({case.metric}), which gives one answer for all.")  # fmt: skip
    seeds, surest = words.several(evidence.seeds, "paired seed"), evidence.surest
    behind = evidence.behind[surest].high
    sure = f"; the surest is {surest}, at most {words.points(behind)} points behind" if isfinite(behind) else ""
    doubts = "".join(f"; {doubt}" for doubt in _doubts(case, evidence))
    if len(names) == 1:
        return f"Nothing to recommend on {case.where}: {names[0]} is ahead, and not shown to be above the baseline{doubts}."
    return (f"Undecided between {words.listed(names)} on {case.where}: none is shown to be within {case.apart} of the best "
            f"({seeds}{sure}){doubts}.")  # fmt: skip


def _nearest(case: Case) -> str:
    """For each limit that every method breaks, the method that comes nearest; else that none keeps all of them."""
    parts = []
    methods = {one.method for one in case.excluded}
    for limit in dict.fromkeys(one.limit for one in case.excluded):
        broken = [one for one in case.excluded if one.limit == limit]
        known = [one for one in broken if one.value is not None]
        if {one.method for one in broken} == methods and known:
            least = min(known, key=lambda one: one.value or 0.0)
            most = cost_in_words(limit, getattr(case.limits, limit))
            parts.append(f"the least is {cost_in_words(limit, least.value)} ({least.method}), the limit {most}")
    return "; ".join(parts) or "each is kept by some, but no method keeps all of them"


def _recipe(cell: Cell) -> str:
    changed = [key for key in cell.swept if key != "learning_rate"]
    return ", ".join([f"lr {cell.recipe['learning_rate']:g}", *(f"{key} {cell.recipe[key]}" for key in changed)])


def _standing(case: Case) -> str:
    """Against the largest of the others, which is what one saves on, and against the best where that is another one."""
    assert case.evidence is not None
    assert case.chosen is not None
    others = [cell for cell in case.within if cell.method not in (case.chosen.method, *case.evidence.sparse)]
    if not others:
        return f"the only method that keeps your limits, {words.points(case.score(case.chosen))} ({case.metric})"
    largest = max(others, key=lambda cell: cell.trainable_parameters or 0.0)
    best = max(others, key=case.score)
    rival = best if (largest.trainable_parameters or 0.0) < (case.chosen.trainable_parameters or 0.0) else largest
    text = _compared(case, case.evidence, rival)
    behind = case.evidence.behind[case.chosen.method].high
    if best is not rival and case.score(best) > case.score(case.chosen) and isfinite(behind):
        text += f"; the best, {best.method}, is at most {words.points(behind)} points ahead"
    return text


def _compared(case: Case, evidence: Evidence, rival: Cell) -> str:
    pair = next((pair for pair in case.pairs if pair.b == rival.method), None)
    if pair is None:
        return f"as good as any within {case.apart}"
    if {pair.a, pair.b} <= set(evidence.alike):
        return f"the same answer as {rival.method} to every test example, at {words.several(pair.seeds, 'seed')}"
    how = {"equivalent": f"equivalent to {rival.method} within {case.apart}", "better": f"better than {rival.method}"}
    below = f"at most {case.apart} below {rival.method}"
    text = how.get(pair.verdict, below if pair.difference <= case.margin else f"ahead of {rival.method}, or {below}")
    if evidence.grade == "weak" and pair.verdict not in how:
        text = f"probably {text}"
    return f"{text} ({evidence_in_words(pair, case.confidence)})"


def evidence_in_words(pair: Pair, confidence: float) -> str:
    """difference -0.3, 95% CI -0.8 to 0.2, 10 paired seeds."""
    parts = [f"difference {words.change(pair.difference)}"]
    if pair.low is not None and pair.high is not None:
        parts.append(f"{100 * confidence:g}% CI {words.between((pair.low, pair.high))}")
    return ", ".join([*parts, words.several(pair.seeds, "paired seed")])


def _costs(case: Case, cell: Cell) -> list[str]:
    """What is trained and stored, what is saved against the largest method, and what is paid more of than elsewhere."""
    costs = [f"{words.share(cell.trainable_share)} of the parameters", f"{words.size(cell.delta_bytes)} a task"]
    largest = max(case.group.cells, key=lambda other: other.trainable_parameters or 0.0)
    timed = Budget.parse(case.group.budget).timed
    if largest is not cell and not timed and cell.train_seconds and largest.train_seconds:
        speed = largest.train_seconds / cell.train_seconds
        costs += [f"{speed:.1f}x faster than {largest.method}"] if speed > ALIKE else []
    return costs + _worse(case, cell, timed)


def _worse(case: Case, cell: Cell, timed: bool) -> list[str]:
    """By each cost, against the cheapest of the methods that are as good; where there is none, against the next best."""
    assert case.evidence is not None
    others = [other for other in case.within if other.method != cell.method]
    as_good = [other for other in others if case.evidence.status[other.method] == "inside"]
    found = []
    for cost, how in (
        ("train_seconds", "slower than"),
        ("peak_memory_bytes", "the memory of"),
        ("delta_bytes", "the size of"),
    ):
        known = [
            (value, other.method)
            for other in as_good or sorted(others, key=case.score)[-1:] if (value := getattr(other, cost))
        ]  # fmt: skip
        mine = getattr(cell, cost)
        if known and mine and not (timed and cost == "train_seconds"):
            least, method = min(known)
            ratio = mine / least
            found += [f"{ratio:,.{1 if ratio < 9.95 else 0}f}x {how} {method}"] if ratio > ALIKE else []
    return found
