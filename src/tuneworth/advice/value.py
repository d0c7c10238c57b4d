"""Advice as data: what is recommended, how sure that is, and what it rests on. `model_dump_json` gives the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tuneworth.advice.command import Command
from tuneworth.spec import Frozen
from tuneworth.stats import Verdict

__all__ = ["Advice", "Candidate", "Excluded", "Grade", "Pair", "Recommendation", "Status"]

Grade = Literal["strong", "moderate", "weak", "none"]
Status = Literal["inside", "outside", "open"]


class Recommendation(Frozen):
    """What to train, and where the delta of its best seed lies, if it was kept."""

    model: str
    method: str
    recipe: Mapping[str, Any]
    delta_path: str | None


class Pair(Frozen):
    """Method a minus method b, in points, paired by seed; None: one seed shows no interval. `low` and `high` hold for these
    test examples; `new_low` and `new_high` for new data of this kind, None without both methods' predictions; `redrawn_low` and
    `redrawn_high` for other training data of this kind and amount, on these test examples; the p-values
    are of no difference, and of one of the margin or more (stats.Comparison). Each pair for itself, at the confidence asked
    for; the recommendation itself is corrected for the number of methods, and so is "equivalent", which is
    said of a recommended method and another only where both are inside (advice.evidence)."""

    a: str
    b: str
    difference: float
    low: float | None
    high: float | None
    new_low: float | None = None
    new_high: float | None = None
    redrawn_low: float | None = None
    redrawn_high: float | None = None
    seeds: int
    verdict: Verdict
    p_value: float | None = None
    p_equivalent: float | None = None


class Excluded(Frozen):
    """A limit that a method breaks, with its measured value (seconds, bytes, parameters or a share); None: not measured."""

    method: str
    limit: str
    value: float | None


class Candidate(Frozen):
    """A method within the limits. `score`: the mean over its trials that trained; `collapsed`: how many did not, those that
    failed included. `behind`: bounds on how many points its expected score lies below that of the best such
    method; None: no upper bound is known. `status` compares them with the margin: see stats.best."""

    method: str
    score: float
    behind: tuple[float, float | None]
    status: Status
    seeds: int
    collapsed: int
    recipes_tried: int
    tuning_seconds: float
    """Training time that went into choosing its recipe."""
    expected_validation: tuple[float, ...]
    """The expected best validation score after 1, 2, ... of the recipes tried (`Cell.expected`)."""
    trainable_share: float | None
    train_seconds: float | None
    peak_memory_bytes: float | None
    delta_bytes: float | None


class Advice(Frozen):
    """One recommendation for one model and task at one fraction and budget, under the user's limits.

    `undecided` names the methods that the evidence does not tell apart; empty where the grade is strong or moderate, or
    where nothing is left to choose from.
    """

    model: str
    task: str
    fraction: float
    budget: str
    metric: str | None
    margin: float
    confidence: float
    recommendation: Recommendation | None
    undecided: tuple[str, ...]
    evidence: Grade
    sentence: str
    comparisons: tuple[Pair, ...]
    excluded: tuple[Excluded, ...]
    candidates: tuple[Candidate, ...]
    """Best first."""
    cautions: tuple[str, ...]
    next_command: Command | None

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from tuneworth.advice.show import as_html

        return as_html(self)

    @property
    def runners_up(self) -> tuple[Candidate, ...]:
        """The candidates that are not recommended and not clearly beaten, best first."""
        chosen = self.recommendation.method if self.recommendation else None
        return tuple(one for one in self.candidates if one.method != chosen and one.status != "outside")
