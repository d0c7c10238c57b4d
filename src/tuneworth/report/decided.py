"""What a run until decided has settled, in words: one paragraph a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tuneworth import words
from tuneworth.results.rows import Row

if TYPE_CHECKING:
    from tuneworth.stats import Decision
    from tuneworth.until_decided import GroupKey, Question

__all__ = ["decided", "outlook"]

LAVISH = 10
"""Seeds from which on a wider margin is worth a word."""


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
        whose = f"{task} with {model}" if several else task
        where = f"{whose}, {words.fraction(fraction)} of the training data, {words.budget(budget)}"
        lines += [f"{where}: {line}" if not line.startswith(" ") else line
                  for line in _group(methods, decisions.get(place), question)]  # fmt: skip
    return lines


def outlook(question: Question, methods: int) -> str:
    """What it would take, before any trial has run, to tell methods that are equally good; a wider margin too where that is
    many seeds."""
    from tuneworth.stats import LOOKS, ORDINARY_SPREAD, look_needed

    def taken(margin: float) -> int | None:
        return look_needed(margin, methods, question.confidence)

    asked = taken(question.margin)
    text = f"{words.several(asked, 'seed')} of each" if asked else f"more than {LOOKS[-1]} seeds of each"
    wider = next(
        (n * question.margin for n in range(2, 21) if (taken(n * question.margin) or LOOKS[-1]) <= LAVISH), None
    )
    if wider and (asked or LOOKS[-1] + 1) > LAVISH:
        text += f", at margin {wider:g} {words.several(taken(wider) or 0, 'seed')}"
    return (f"methods that are equally good, and spread as usual ({ORDINARY_SPREAD:g} points from seed to seed), take {text} to be "
            "shown so; what is clearly behind takes fewer")  # fmt: skip


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
