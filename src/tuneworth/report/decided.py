"""What a run until decided has settled, in words: one paragraph a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tuneworth import words
from tuneworth.results.rows import Row

if TYPE_CHECKING:
    from tuneworth.stats import Decision
    from tuneworth.until_decided import GroupKey, Question

__all__ = ["decided"]


def decided(table: Iterable[Row], decisions: Mapping[GroupKey, Decision], question: Question) -> list[str]:
    """A title for each group of the table, and a line for each answer in it; seeds are those that ended."""
    seeds: dict[GroupKey, dict[str, int]] = {}
    for row in table:
        if row["selected"]:
            place = row["model"], row["task"], row["fraction"], row["budget"]
            methods = seeds.setdefault(place, {})
            methods[row["method"]] = methods.get(row["method"], 0) + (row["state"] in ("done", "failed"))
    several = len({place[0] for place in seeds}) > 1
    lines = []
    for place, methods in seeds.items():
        model, task, fraction, budget = place
        where = (
            f"{task}{f' with {model}' if several else ''}, {words.fraction(fraction)} of the training data, {budget}"
        )
        lines += [f"{where}: {line}" if not line.startswith(" ") else line
                  for line in _group(methods, decisions.get(place), question)]  # fmt: skip
    return lines


def _group(seeds: Mapping[str, int], decision: Decision | None, question: Question) -> list[str]:
    if decision is None:
        return ["no trial has a result"]
    if not decision.open:
        title = "decided"
    elif decision.wanted:
        title = f"open; the next look is at {words.several(max(decision.wanted.values()), 'seed')}"
    else:
        title = f"open after {words.several(max(seeds.values()), 'seed')}, the last look; a wider margin may decide it"
    answers = (
        (f"within {question.margin:g} of the best", decision.inside),
        (f"beaten by more than {question.margin:g}", decision.outside),
        ("open", decision.open),
    )
    return [title, *(f"  {answer}: {_named(methods, seeds)}" for answer, methods in answers if methods)]


def _named(methods: Iterable[str], seeds: Mapping[str, int]) -> str:
    return ", ".join(f"{method} ({words.several(seeds[method], 'seed')})" for method in methods)
