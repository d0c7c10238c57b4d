"""From rows to one Report value; pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tuneworth import words
from tuneworth.advice import Advice, advise_each, judge_claims
from tuneworth.advice.evidence import FEW
from tuneworth.report.plain import plain
from tuneworth.report.toml import to_toml
from tuneworth.report.value import EnvironmentFact, Failure, Progress, Report
from tuneworth.results.cells import Group, finished, group_trials, left_out
from tuneworth.results.rows import CellKey, Row
from tuneworth.spec import StudySpec
from tuneworth.stats import Answers
from tuneworth.until_decided import Question

__all__ = ["build"]


def build(
    table: Sequence[Row], spec: StudySpec, answers: Mapping[CellKey, Answers] | None = None, question: Question | None = None
) -> Report:  # fmt: skip
    """Everything that report, results and summary show, from `results.rows` and the study (as the store keeps it: with
    its claims' dates). `answers`: test predictions by cell, without which nothing is said about new data. `question`: the
    margin and confidence of advice, claims and comparisons. No input is changed."""
    question = question or Question()
    reference = _reference(spec)
    groups = group_trials(table, reference, question.confidence, answers, question.margin)
    advice = (
        advise_each(table, margin=question.margin, confidence=question.confidence, answers=answers, spec=spec)
        if table else ()
    )  # fmt: skip
    done = [row for row in table if finished(row)]
    progress = Progress(len(table), len(done), sum(row["state"] == "failed" for row in table))
    environment = _environment(done)
    return Report(
        study=spec.name,
        asked=_asked(spec, table),
        key_numbers=_key_numbers(progress, groups, done),
        advice=advice,
        plain=tuple(plain(one) for one in advice),
        claims=judge_claims(table, spec, question.confidence, answers),
        question=question,
        cautions=(*_cautions(progress, groups, environment), *(_collapses(groups) if spec.stream is None else ())),
        progress=progress,
        reference=reference,
        methods=spec.methods,
        groups=groups,
        featured=_featured(groups, advice),
        failures=tuple(
            Failure(_trial(row), row["attempt"], row["error"] or "no reason was recorded")
            for row in table if row["state"] == "failed"
        ),
        notes=tuple(Counter(note for row in done for note in row["notes"] or ()).most_common()),
        environment=environment,
        study_file=to_toml(spec),
        trials=tuple(row for row in done if row["selected"]),
        data={(row["model"], row["task"]): row["data"] for row in reversed(done) if row["data"]},
        answers=answers or {},
    )  # fmt: skip


def _featured(groups: Sequence[Group], advice: Sequence[Advice]) -> tuple[Group, ...]:
    asked = {(one.model, one.task, one.fraction, one.budget) for one in advice}
    return tuple(
        group for group in groups
        if (group.model, group.task, group.fraction, group.budget) in asked and any(cell.scores for cell in group.cells)
    )  # fmt: skip


def _reference(spec: StudySpec) -> str | None:
    """The method called full, else the first one of that kind."""
    kinds = {name: spec.method[name].kind if name in spec.method else name for name in spec.methods}
    return "full" if kinds.get("full") == "full" else next((n for n, kind in kinds.items() if kind == "full"), None)


def _asked(spec: StudySpec, table: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    added = {row["seed"] for row in table} - set(spec.seeds)
    more = f", and up to {len(added)} more where the question was open" if added else ""
    return (
        (_label("Model", spec.models), words.listed(list(spec.models))),
        (_label("Method", spec.methods), words.listed(list(spec.methods))),
        (_label("Task", spec.tasks), words.listed(list(spec.tasks))),
        ("Training data", words.listed([words.fraction(value) for value in spec.fractions])),
        (_label("Budget", spec.budgets), words.listed([words.budget(budget) for budget in spec.budgets])),
        (_label("Seed", spec.seeds), words.listed([str(seed) for seed in spec.seeds]) + more),
    )


def _label(noun: str, values: Sequence[Any]) -> str:
    return noun if len(values) == 1 else f"{noun}s"


def _key_numbers(progress: Progress, groups: Sequence[Group], done: Sequence[Row]) -> tuple[tuple[str, str, str], ...]:
    rest = []
    if progress.failed:
        rest.append(f"{progress.failed:,} failed")
    if progress.missing:
        rest.append(f"{progress.missing:,} to run")
    numbers = [("Trials finished", f"{progress.done:,} of {progress.total:,}", ", ".join(rest) or "none failed")]
    counts = sorted({len(cell.scores) for group in groups for cell in group.cells})
    if counts:
        few = "paired: same data, same order"
        if counts[0] < FEW:
            few = "too few for a ranking" if counts[-1] < FEW else f"fewer than {FEW} carry no ranking"
        seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        numbers.append(("Seeds per method", seeds, few))
    races = sum(cell.tuning_seconds for group in groups for cell in group.cells if cell.raced)
    spent = races + sum(row["train_seconds"] or 0 for row in done)
    beside = sum((row["eval_seconds"] or 0) + (row["setup_seconds"] or 0) for row in done)
    numbers.append(("Training time", words.seconds(spent), f"and {words.seconds(beside)} for evaluation and set-up"))
    return tuple(numbers)


def _cautions(progress: Progress, groups: Sequence[Group], environment: Sequence[EnvironmentFact]) -> tuple[str, ...]:
    found = []
    if progress.missing:
        found.append(f"The study is unfinished: {words.several(progress.missing, 'trial')} of {progress.total:,} "
                     f"{'is' if progress.missing == 1 else 'are'} still to run.")  # fmt: skip
        if any(cell.recipes_tried > 1 for group in groups for cell in group.cells):
            found.append("Recipes are swept, so the chosen ones may change until every trial has run.")
    if progress.failed:
        found.append(f"{words.several(progress.failed, 'trial')} failed; each is kept with its reason, and counted.")
    counts = [len(cell.scores) for group in groups for cell in group.cells if cell.scores]
    if counts and min(counts) < FEW:
        cells = sum(1 for number in counts if number < FEW)
        found.append(f"Fewer than {FEW} seeds in {cells} of {words.several(len(counts), 'cell')} with results: "
                     "chance can turn their order, so read no ranking from them.")  # fmt: skip
    if any(len({cell.effort for cell in group.cells}) > 1 for group in groups):
        efforts = {cell.method: cell.recipes_tried for group in groups for cell in group.cells}
        each = words.listed([f"{method} {number}" for method, number in efforts.items()])
        found.append(
            f"Methods were not tuned with the same effort (recipes tried: {each}), which favours the more tuned."
        )
    unlike = [fact.key for fact in environment if len(fact.values) > 1]
    if unlike:
        differ = f"{words.listed(unlike)} {'differs' if len(unlike) == 1 else 'differ'}"
        found.append(f"Trials ran in unlike environments ({differ}), which moves times, and may move scores; "
                     "comparisons that mix them are marked.")  # fmt: skip
    return tuple(found)


def _collapses(groups: Sequence[Group]) -> list[str]:
    """Not for streams, whose answers are not kept and of which no trial is left out."""
    lost: Counter[str] = Counter()
    guessed = 0
    for group in groups:
        for cell in group.cells:
            lost[cell.method] += left_out(cell, group.baseline)
            guessed += left_out(cell, group.baseline) if cell.seen is None else 0
    if not lost.total():
        return []
    each = words.listed([f"{method} {number:,}" for method, number in lost.items() if number])
    kept = f" For {guessed:,} no answers were kept: their scores equal the baseline's." if guessed else ""
    return [f"{words.several(lost.total(), 'trial')} collapsed to one answer for all ({each}): scores and differences are those of "
            f"the others.{kept}"]  # fmt: skip


def _environment(done: Sequence[Row]) -> tuple[EnvironmentFact, ...]:
    keys = dict.fromkeys(key for row in done for key in row["environment"] or ())
    counts = {key: Counter(_words((row["environment"] or {}).get(key)) for row in done) for key in keys}
    return tuple(EnvironmentFact(key, tuple(count.most_common())) for key, count in counts.items())


def _words(value: Any) -> str:
    if value is None:
        return "not recorded"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _trial(row: Row) -> str:
    place = f"{row['task']}, {words.fraction(row['fraction'])}, {words.budget(row['budget'])}, seed {row['seed']}"
    return f"{row['method']} on {place} ({row['model']})"
