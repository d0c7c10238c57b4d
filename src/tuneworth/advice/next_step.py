"""What to be careful about beside an advice, and the command that would make its evidence stronger."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

from tuneworth import words
from tuneworth.advice.again import compare_command
from tuneworth.advice.case import Case
from tuneworth.advice.command import Command
from tuneworth.advice.evidence import ENOUGH, FEW, LEAKED, Evidence
from tuneworth.results.cells import TRAINED, Cell
from tuneworth.spec import Budget
from tuneworth.stats import LOOKS, next_look

__all__ = ["cautions", "next_command"]

KNOWN = 5
"""Seeds from which on their spread is known well enough to say that no number of them would decide."""


def cautions(case: Case) -> tuple[str, ...]:
    """What stands between this advice and stronger evidence, or should be known beside it; a sentence each."""
    found = []
    missing = [cell.method for cell in case.group.cells if not cell.scores]
    if missing and len(missing) < len(case.group.cells):
        found.append(f"Without a result, and so not considered: {words.listed(missing)}.")
    unlike = {cell.method: len(cell.scores) for cell in case.within}
    if len(set(unlike.values())) > 1:
        each = words.listed([f"{method} {number}" for method, number in unlike.items()])
        found.append(f"Methods have unlike numbers of seeds ({each}); each pair is compared over those that both have.")
    found += [f"{cell.method}: {note}." for cell in case.within for note in cell.notes]
    evidence = case.evidence
    if evidence is None:
        return tuple(found)
    if evidence.rising:
        found.append(f"Still learning when the budget ended: {words.listed(list(evidence.rising))}. "
                     f"With a longer budget than {words.budget(case.group.budget)} the order may change.")  # fmt: skip
    if evidence.leaked > LEAKED:
        found.append(f"{words.share(evidence.leaked)} of the test texts stand in the training data too: scores there may be "
                     "memory, which tells nothing of new texts, and may favour some methods over others.")  # fmt: skip
    found += _unsteady(case)
    if evidence.failed:
        found.append(f"Trials failed: {words.listed(list(evidence.failed))}. Each counts as one that learnt nothing.")
    ended = {cell.method: len(cell.scores) + cell.failed for cell in case.within}
    collapsed = [f"{method} {number} of {ended[method]}" for method, number in evidence.collapsed.items()
                 if method in evidence.learnt]  # fmt: skip
    if collapsed:
        guessed = any(cell.seen is None and cell.method in evidence.collapsed for cell in case.within)
        told = " No answers of theirs were kept: told by scores that equal the baseline." if guessed else ""
        found.append(f"Collapsed trials, one answer for all: {words.listed(collapsed)}. Methods are compared by the others; "
                     f"where the score on validation shows a collapse, train once more.{told}")  # fmt: skip
    if evidence.mixed:
        found.append(f"Compared across unlike hardware or versions: {words.listed(list(evidence.mixed))}.")
    flat = [cell.method for cell in case.within if cell.method not in evidence.learnt]
    if flat and evidence.learnt and evidence.seeds >= FEW:
        found.append(f"Not clearly above the baseline of {words.points(case.group.baseline)}, and so never recommended: "
                     f"{words.listed(flat)}.")  # fmt: skip
    if len({cell.effort for cell in case.within}) > 1:
        efforts = {cell.method: cell.recipes_tried for cell in case.within}
        each = words.listed([f"{method} {number}" for method, number in efforts.items()])
        found.append(
            f"Unequal tuning effort (recipes tried: {each}) favours the more tuned, so the evidence is at most moderate."
        )
    if case.chosen and (evidence.grade == "moderate" or evidence.small) and len(case.within) > 1:
        found += _on_new_data(case, evidence)
    if evidence.grade == "strong" and len(case.within) > 1:
        shared = words.share(TRAINED * case.group.fraction)
        found.append(f"It holds for this training data: seeds share {shared} of it, and tell little of what other data of this "
                     "kind would give.")  # fmt: skip
    if evidence.seeds >= FEW and case.undecided and evidence.learnt:
        found += _seeds(case, evidence)
    if case.chosen and evidence.seeds < ENOUGH and case.chosen.method not in evidence.collapsed:
        seeds = len(case.chosen.scores)
        unseen = 1 - 0.05 ** (1 / seeds)  # the exact 95% bound of a rate of which n runs show nothing
        found.append(f"No trial of {case.chosen.method} collapsed, but {words.several(seeds, 'seed')} "
                     f"cannot rule out that up to {100 * unseen:.0f}% would.")  # fmt: skip
    return tuple(found)


def _on_new_data(case: Case, evidence: Evidence) -> list[str]:
    if evidence.wide is None:
        return ["It holds for these test examples; the store has no predictions from which to tell for new data."]
    if evidence.anywhere:
        return []
    assert case.chosen is not None
    high, enough = evidence.wide[case.chosen.method].high, case.examples_needed
    behind = f"up to {words.points(high)} points behind the best" if isfinite(high) else "further behind the best"
    number = f" (about {words.count(enough)} would do)" if enough else ""
    return [f"It holds for these test examples; on new data of this kind {case.chosen.method} may be {behind}. "
            f"More test examples narrow that{number}, more seeds do not."]  # fmt: skip


def _seeds(case: Case, evidence: Evidence) -> list[str]:
    """How many seeds would decide, at the spread seen so far."""
    number = case.seeds_needed
    if number is None and evidence.seeds < KNOWN:
        return []
    if number is None:
        return [f"At the spread seen so far, not even {LOOKS[-1]} seeds would probably decide within {case.apart}."]
    if number <= evidence.seeds:
        return []
    return [f"At the spread seen so far, about {number} seeds in all would probably decide."]


def _unsteady(case: Case) -> list[str]:
    times = {cell.method: cell.unsteady for cell in case.group.cells}
    if Budget.parse(case.group.budget).timed or not any(times.values()):
        return []
    each = [f"{method} {words.seconds(span[0])} to {words.seconds(span[1])}" for method, span in times.items() if span]
    return [f"Seeds of one method took unlike times ({words.listed(each)}): the machine was busy. Times are the median of the "
            "faster half; a limit is held against the fastest."]  # fmt: skip


def next_command(case: Case) -> Command | None:
    """The command that would make the evidence stronger. None: nothing would."""
    run = Command(arguments=("run", case.study))
    measured: Sequence[Cell] = [cell for cell in case.group.cells if cell.scores]
    if not measured:
        return run
    if len(measured) == 1:
        return run if len(case.group.cells) > 1 else _changed(case, "more methods in it")
    if case.evidence is None:
        return Command(arguments=("methods",))
    evidence, twice = case.evidence, _twice(case.group.budget)
    longer = _changed(case, f'budgets = ["{twice}"] in it', budget=twice)
    decided = evidence.grade in ("strong", "moderate") or (evidence.chosen is not None and evidence.small)
    if evidence.grade == "strong" or (decided and len(case.within) == 1):
        return None
    if evidence.seeds >= FEW and (not evidence.learnt or evidence.undertrained):
        return longer
    confidence = () if case.confidence == 0.95 else ("--confidence", f"{case.confidence:g}")
    until_decided = run.plus("--until-decided", "--margin", f"{case.margin:g}", *confidence)
    look = next_look(evidence.seeds)
    if evidence.sparse:
        return _completed(case, evidence.sparse, run) or until_decided
    if decided and evidence.leaked > LEAKED:
        return _apart(case)
    if decided and case.examples_needed:
        return _changed(case, f"about {words.count(case.examples_needed)} test examples")
    if look and not evidence.lasting and (decided or evidence.seeds < KNOWN or case.seeds_needed is not None):
        return until_decided
    high = evidence.behind[evidence.surest].high
    if not decided and isfinite(high):  # the bounds hold for any margin, so the user may see which one they decide at
        margin = f"{ceil(10 * high) / 10:g}"
        return Command(arguments=("advise", case.study, "--margin", margin, *confidence))
    if evidence.in_doubt(evidence.failed):
        return run.plus("--retry-failed")
    if evidence.in_doubt(evidence.mixed) or evidence.wide is None:
        return _again(case).plus("--store", "fresh.db")  # which knows no study, so that its name alone would not do
    if len({cell.effort for cell in case.within}) > 1:
        return _changed(case, "tune = 3 in it, and no lists of rates")
    if look and (evidence.seeds < ENOUGH or evidence.in_doubt(list(evidence.collapsed))):
        return _changed(case, f"seeds = {look}", seeds=str(look))
    return _changed(case, "more test examples")


def _completed(case: Case, sparse: Sequence[str], run: Command) -> Command | None:
    """The command that runs what the plan has of these methods and the store has not; None where the plan has no more."""
    cells = [cell for cell in case.within if cell.method in sparse]
    if any(cell.planned > len(cell.scores) + cell.failed for cell in cells):
        return run
    return run.plus("--retry-failed") if any(cell.failed for cell in cells) else None


def _changed(case: Case, what: str, **flags: str) -> Command:
    """The study with something changed: by a flag of `compare`, for a study of its making; else in the study's file."""
    again = _again(case, **flags)
    return again if flags and again.arguments[0] == "compare" else again.model_copy(update={"change": what})


def _apart(case: Case) -> Command:
    """The study without the test texts among its training texts."""
    if case.spec is None or case.group.task not in case.spec.task:
        return _changed(case, "no test text among its training texts")
    return _changed(case, f"drop_duplicates = true in its [task.{case.group.task}]", **{"drop-duplicates": ""})


def _again(case: Case, **flags: str) -> Command:
    """What the study was begun with: a `compare`, with `flags` on top, or a study's file."""
    compare = compare_command(case.spec, **flags) if case.spec else None
    return compare or Command(arguments=("run", "STUDY.toml"))


def _twice(budget: str) -> str:
    parsed = Budget.parse(budget)
    return str(parsed.model_copy(update={"amount": 2 * parsed.amount}))
