"""Where a method errs: by class, label, entity or size of the target, and the examples that it answered most surely wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tuneworth.kinds import Errors, find_kind
from tuneworth.report.value import Report, key_of
from tuneworth.results.cells import Group
from tuneworth.results.rows import Row, cell_of
from tuneworth.stats import Answers

__all__ = ["Mistakes", "mistakes"]


@dataclass(frozen=True)
class Mistakes:
    """Of the recommended method of a group, or the best one; `surest`: of its best seed on validation."""

    group: Group
    method: str
    seeds: int
    tables: tuple[Errors, ...]
    surest: tuple[Mapping[str, Any], ...]


def mistakes(report: Report) -> tuple[Mistakes, ...]:
    """One a featured group whose answers were kept."""
    recommended = {(one.model, one.task): one.recommendation.method for one in report.advice if one.recommendation}
    found = []
    for group in report.featured:
        scored = [cell for cell in group.cells if cell.mean is not None]
        if not scored:
            continue
        best = max(scored, key=lambda cell: cell.mean or 0.0).method
        method = recommended.get((group.model, group.task), best)
        key = key_of(group, method)
        rows = [row for row in report.trials if cell_of(row) == key]
        tables = _tables(report.answers[key]) if key in report.answers else ()
        surest = tuple(_best(rows).get("surest_errors") or ()) if rows else ()
        if tables or surest:
            found.append(Mistakes(group, method, len(rows), tables, surest))
    return tuple(found)


def _tables(answers: Answers) -> tuple[Errors, ...]:
    given = np.stack([answers.predictions[seed] for seed in sorted(answers.predictions)])
    return find_kind(answers.meaning.kind).errors(answers.targets, given, answers.meaning)


def _best(rows: list[Row]) -> Row:
    return max(rows, key=lambda row: row["validation_score"] or 0.0)
