"""From rows, limits and statistics to advice. Pure: the same rows, in any order, give the same advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from tuneworth.advice.case import Case
from tuneworth.advice.evidence import Evidence, weigh
from tuneworth.advice.limits import NO_LIMITS, Limits, Prefer
from tuneworth.advice.next_step import cautions, next_command
from tuneworth.advice.sentence import sentence
from tuneworth.advice.value import Advice, Candidate, Excluded, Recommendation
from tuneworth.errors import SpecError, did_you_mean
from tuneworth.results.cells import Cell, Group, answers_in, group_trials
from tuneworth.results.rows import CellKey, Row
from tuneworth.spec import Budget, StudySpec
from tuneworth.stats import Answers
from tuneworth.until_decided import Question

__all__ = ["advise", "advise_each"]


def advise(
    table: Sequence[Row], limits: Limits = NO_LIMITS, task: str | None = None, fraction: float | None = None,
    budget: str | None = None, margin: float = 1.0, confidence: float = 0.95,
    answers: Mapping[CellKey, Answers] | None = None, model: str | None = None,
) -> Advice:  # fmt: skip
    """The recommendation for one model and task: `advise_each`, where there is one. Raises SpecError where there are more."""
    found = advise_each(table, limits, task, fraction, budget, margin, confidence, answers, model)
    if len(found) > 1:
        places = ", ".join(f"{one.task} ({one.model})" for one in found)
        raise SpecError(
            f"the study holds {len(found)} questions: {places}", "name one task (and model), or ask for each"
        )
    return found[0]


def advise_each(
    table: Sequence[Row], limits: Limits = NO_LIMITS, task: str | None = None, fraction: float | None = None,
    budget: str | None = None, margin: float = 1.0, confidence: float = 0.95,
    answers: Mapping[CellKey, Answers] | None = None, model: str | None = None, spec: StudySpec | None = None,
) -> tuple[Advice, ...]:  # fmt: skip
    """One recommendation for each model and task, from `results.rows` of one study, in the study's order.

    `fraction`: by default the largest that has results. `budget`: by default the one under which trials trained longest,
    of those under which a method keeps the limits. `margin` in points: a smaller difference does not matter to you.
    `answers`: test predictions by cell, without which nothing is graded strong. `spec`: of a study that `compare` made, the
    next command is a `compare` too. Rules and grades: advice.evidence.
    Raises SpecError for a task, fraction, budget or model that the study does not have, or numbers that cannot be.
    """
    Question(margin, confidence)
    groups = group_trials(table, None, answers=answers)
    if not groups:
        raise SpecError("the study has no trials", "run it first: tuneworth run STUDY.toml")
    wanted = {"model": model, "task": task, "fraction": fraction, "budget": budget and str(Budget.parse(budget))}
    for name, value in wanted.items():
        if value is not None:
            groups = _named(groups, name, value)
    places = dict.fromkeys((group.model, group.task) for group in groups)
    study = table[0]["study"]
    return tuple(
        _advise(_featured([g for g in groups if (g.model, g.task) == place], limits), limits, margin, confidence,
                answers or {}, study, spec)
        for place in places
    )  # fmt: skip


def _named(groups: Sequence[Group], name: str, value: object) -> tuple[Group, ...]:
    known = list(dict.fromkeys(getattr(group, name) for group in groups))
    if value not in known:
        texts = [f"{one:g}" if isinstance(one, float) else one for one in known]
        shown = f"{value:g}" if isinstance(value, float) else repr(value)
        raise SpecError(f"the study has no {name} {shown}", did_you_mean(str(value), texts) if name in ("task", "model")
                        else f"it has {', '.join(texts)}")  # fmt: skip
    return tuple(group for group in groups if getattr(group, name) == value)


def _featured(groups: Sequence[Group], limits: Limits) -> Group:
    """The group that is asked about, by the rule of `advise_each`."""
    groups = [group for group in groups if any(cell.scores for cell in group.cells)] or groups
    most = [group for group in groups if group.fraction == max(group.fraction for group in groups)]
    longest = sorted(most, key=_seconds, reverse=True)
    return next((group for group in longest if _within(group, limits)), longest[0])


def _seconds(group: Group) -> float:
    times = [cell.train_seconds for cell in group.cells if cell.train_seconds is not None]
    return sum(times) / len(times) if times else 0.0


def _within(group: Group, limits: Limits) -> list[Cell]:
    return [cell for cell in group.cells if cell.scores and not limits.broken_by(cell, group)]


def _advise(
    group: Group, limits: Limits, margin: float, confidence: float, answers: Mapping[CellKey, Answers], study: str,
    spec: StudySpec | None,
) -> Advice:  # fmt: skip
    measured = [cell for cell in group.cells if cell.scores]
    within = _within(group, limits)
    excluded = tuple(
        Excluded(method=cell.method, limit=limit, value=value)
        for cell in measured for limit, value in limits.broken_by(cell, group)
    )  # fmt: skip
    # One method alone has nothing to be compared with; limits that leave one of several have decided.
    known = answers_in(group, answers)
    all_as_long = Budget.parse(group.budget).timed and limits.prefer == "time"
    prefer: Prefer = "size" if all_as_long else limits.prefer
    weighed = len(measured) > 1 and within
    evidence = weigh(within, group.baseline, margin, confidence, known, group.leaked, prefer) if weighed else None
    case = Case(study, group, limits, margin, confidence, tuple(within), excluded, evidence, spec, known)
    chosen = case.chosen
    return Advice(
        model=group.model, task=group.task, fraction=group.fraction, budget=group.budget, metric=group.metric,
        margin=margin, confidence=confidence,
        recommendation=_recommendation(chosen, group) if chosen else None,
        undecided=case.undecided, evidence=evidence.grade if evidence else "none", sentence=sentence(case),
        comparisons=case.pairs, excluded=excluded, candidates=_candidates(within, evidence),
        cautions=cautions(case), next_command=next_command(case),
    )  # fmt: skip


def _recommendation(cell: Cell, group: Group) -> Recommendation:
    return Recommendation(model=group.model, method=cell.method, recipe=cell.recipe, delta_path=cell.delta_path)


def _candidates(within: Sequence[Cell], evidence: Evidence | None) -> tuple[Candidate, ...]:
    candidates = []
    for cell in within:
        regret = evidence.behind[cell.method] if evidence else None
        high = regret.high if regret and isfinite(regret.high) else None
        candidates.append(Candidate(
            method=cell.method, score=cell.mean or 0.0, behind=(regret.low if regret else 0.0, high),
            status=evidence.status[cell.method] if evidence else "open", seeds=len(cell.scores),
            collapsed=evidence.collapsed.get(cell.method, 0) if evidence else 0,
            recipes_tried=cell.recipes_tried, tuning_seconds=cell.tuning_seconds,
            expected_validation=cell.expected,
            trainable_share=cell.trainable_share, train_seconds=cell.train_seconds,
            peak_memory_bytes=cell.peak_memory_bytes, delta_bytes=cell.delta_bytes,
        ))  # fmt: skip
    return tuple(sorted(candidates, key=lambda one: (-one.score, one.method)))
