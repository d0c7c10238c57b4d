"""How far each method may be from the best one, whichever that is: multiple comparisons with the best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from tuneworth.stats.compare import FEWEST
from tuneworth.stats.estimate import Estimate, over_seeds, shared_seeds
from tuneworth.stats.examples import Answers, crossed

__all__ = ["Regret", "regrets"]


@dataclass(frozen=True)
class Regret:
    """Bounds, in points, of best mean - this method's mean, where the best is over all methods of the group."""

    low: float
    high: float

    def status(self, margin: float) -> Literal["inside", "outside", "open"]:
        """Inside: as good as the best but for at most `margin`. Outside: beaten by more. Open: it may be either."""
        if self.high <= margin:
            return "inside"
        return "outside" if self.low > margin else "open"


def regrets(
    scores: Mapping[str, Mapping[int, float]],
    confidence: float = 0.95,
    answers: Mapping[str, Answers] | None = None,
    family: int | None = None,
) -> dict[str, Regret]:
    """The regret of each method from `scores`, method -> seed -> points; with `answers` (by method), for new data.

    With a = 1 - confidence and k methods, b the truly best, d(j, i) = mean of j - mean of i:
    - upper bounds: max(0, max_j upper of d(j, i)), each at one-sided level a / (k - 1). All are right together with
      probability 1 - a, since each is implied by its comparison with b alone, and those are k - 1 (Hsu, Annals of
      Statistics 9, 1981, and 12, 1984; by Bonferroni here, which needs no equal spreads).
    - lower bounds: max(0, max_j lower of d(j, i)), each at a / (k (k - 1)): every ordered pair may speak, so all of them
      are paid for, and no "beaten by more than the margin" is wrong with probability 1 - a.
    A pair with fewer than 3 shared seeds, or without answers where these are asked for, bounds nothing: (0, inf).
    A lone method has (0, 0). A score that is NaN is left out. `family`: k, where methods that are not in `scores` belong
    to the group too.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")
    k = max(len(scores), family or 0)
    if len(scores) < 2:
        return {method: Regret(0.0, 0.0) for method in scores}
    differences = _with_answers(scores, answers) if answers is not None else _by_seeds(scores)
    upper, lower = (1 - confidence) / (k - 1), (1 - confidence) / (k * (k - 1))
    found = {}
    for method in scores:
        against = [differences[other, method] for other in scores if other != method]
        found[method] = Regret(
            max(0.0, *(estimate.lower(lower) for estimate in against if estimate is not None), 0.0),
            max(0.0, *(estimate.upper(upper) if estimate else float("inf") for estimate in against)),
        )
    return found


Differences = dict[tuple[str, str], Estimate | None]


def _by_seeds(scores: Mapping[str, Mapping[int, float]]) -> Differences:
    found: Differences = {}
    for first, second in permutations(scores, 2):
        shared = shared_seeds(scores[first], scores[second])
        values = [scores[first][seed] - scores[second][seed] for seed in shared]
        found[first, second] = over_seeds(values) if len(shared) >= FEWEST else None
    return found


def _with_answers(scores: Mapping[str, Mapping[int, float]], answers: Mapping[str, Answers]) -> Differences:
    values = {}
    for method in scores.keys() & answers.keys():
        seeds = sorted(scores[method].keys() & answers[method].predictions.keys())
        values[method] = dict(zip(seeds, answers[method].values(seeds), strict=True)) if seeds else {}
    found: Differences = {}
    for first, second in permutations(scores, 2):
        a, b = values.get(first, {}), values.get(second, {})
        shared = [seed for seed in shared_seeds(scores[first], scores[second]) if seed in a.keys() & b.keys()]
        found[first, second] = (
            crossed(np.stack([a[seed] - b[seed] for seed in shared])) if len(shared) >= FEWEST else None
        )
    return found
