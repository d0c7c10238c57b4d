"""What to use for a stream: the rules and grades of `advice.evidence`, on the rows of a stream study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from tuneworth import words
from tuneworth.advice.case import Case
from tuneworth.advice.evidence import FEW, Evidence, weigh
from tuneworth.advice.limits import NO_LIMITS
from tuneworth.advice.sentence import evidence_in_words
from tuneworth.results.cells import Cell, group_trials
from tuneworth.results.rows import Row

__all__ = ["advise_stream"]

MODES = {"separate": ", tuned separately", "sequential": ", one model tuned on and on"}


def advise_stream(rows: Sequence[Row], margin: float = 1.0, confidence: float = 0.95) -> tuple[str, ...]:
    """One sentence a stream and budget.

    What may be chosen is a method, in a stream of tasks with the way it goes through them; the joint model, which no stream
    allows, is no choice. Of those that are inside the margin and have learnt, the one that costs least is used: stored bytes
    in a stream of tasks, training time in a stream of data. A stream's answers are not kept: none of its trials is taken for
    a collapse, and no advice on it is graded strong.
    """
    said = []
    for group in group_trials(_choices(rows), None, confidence):
        cells = tuple(
            replace(cell, seen=frozenset(), mean=fmean(cell.scores.values())) for cell in group.cells if cell.scores
        )
        if cells:
            of_tasks = group.metric == "average"
            evidence = weigh(cells, group.baseline, margin, confidence, {}, prefer="size" if of_tasks else "time")
            case = Case("", replace(group, cells=cells), NO_LIMITS, margin, confidence, cells, (), evidence)
            grade = evidence.grade if len(cells) > 1 else "none"
            said.append(f"{_sentence(case, evidence, of_tasks)} Evidence: {grade}.")
    return tuple(said)


def _choices(rows: Sequence[Row]) -> list[Row]:
    """The rows as those of one task a stream. The baseline is the mean of the seeds', which differ in a stream of data;
    trained parameters are those that must be kept to serve every task, training time is that of a chunk."""
    rows = [row for row in rows if row["stream"] and row["stream"]["mode"] != "joint"]
    baselines: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if row["baseline_score"] is not None:
            baselines.setdefault(_stream(row), []).append(row["baseline_score"])
    found = []
    for row in rows:
        row = {**row, "method": row["method"] + MODES.get(row["stream"]["mode"], ""), "task": _stream(row)[1]}
        if row["baseline_score"] is not None:
            row["baseline_score"] = fmean(baselines[_stream(row)])
        if row["stages"]:
            row["trainable_parameters"] = row["delta_bytes"] / 4
        if row["chunks"]:
            row["train_seconds"] = row["train_seconds"] / len(row["chunks"])
        found.append(row)
    return found


def _stream(row: Row) -> tuple[str, str, str]:
    of_tasks = row["stream"]["kind"] == "tasks"
    return row["model"], " > ".join(row["stream"]["tasks"]) if of_tasks else row["task"], row["budget"]


def _sentence(case: Case, evidence: Evidence, of_tasks: bool) -> str:
    group, names = case.group, [method for method, status in evidence.status.items() if status != "outside"]
    where = f"{group.task} ({group.model}, {group.budget} a {'task' if of_tasks else 'chunk'})"
    points = "1 point" if case.margin == 1 else f"{case.margin:g} points"
    best, seeds = max(case.within, key=case.score), words.several(evidence.seeds, "paired seed")
    if len(case.within) == 1:
        return f"On {where} there is nothing to choose between: only {best.method} has a result, {words.points(best.mean)}."
    if case.chosen is None:
        if evidence.seeds >= FEW and not evidence.learnt:
            return (f"On {where} nothing is clearly above the baseline of {words.points(group.baseline)}, one answer for all; "
                    f"the best, {best.method}, scores {words.points(best.mean)} ({seeds}).")  # fmt: skip
        if evidence.seeds >= FEW and len(names) == 1:
            return f"On {where} {names[0]} is ahead, and not shown to be above the baseline ({seeds})."
        why = f"none is shown to be within {points} of the best ({seeds})"
        few = f"{seeds} can carry no recommendation (from {FEW} on)"
        return f"On {where} it is open between {words.listed(names)}: {few if evidence.seeds < FEW else why}."
    use = "lean to" if evidence.grade == "weak" else "use"
    kind, score = ("small tasks", "on average") if of_tasks else ("data", f"prequential {group.metric}")
    text = (f"For a stream of {kind} like {where} {use} {case.chosen.method}: {words.points(case.score(case.chosen))} {score}, "
            f"{_price(case.chosen, of_tasks)}")  # fmt: skip
    rival = max((cell for cell in case.within if cell.method != case.chosen.method), key=case.score)
    pair = next((pair for pair in case.pairs if pair.b == rival.method), None)
    shown = f" ({evidence_in_words(pair, case.confidence)})" if pair else ""
    place = "the best" if case.score(rival) > case.score(case.chosen) else "the next best"
    return f"{text}; {place}, {rival.method}, scores {words.points(case.score(rival))} at {_price(rival, of_tasks)}{shown}."


def _price(cell: Cell, of_tasks: bool) -> str:
    if of_tasks:
        return f"{words.size(cell.delta_bytes)} stored"
    return f"{words.seconds(cell.train_seconds)} of training a chunk"
