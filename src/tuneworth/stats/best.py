"""How far each method may be from the best one, whichever that is: multiple comparisons with the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from tuneworth.stats.compare import FEWEST
from tuneworth.stats.estimate import Estimate, over_seeds, shared_seeds
from tuneworth.stats.examples import Answers, agreeing, crossed, over_seeds_or_examples
from tuneworth.stats.moderate import moderated, prior

__all__ = ["Differences", "Regret", "beaten", "by_seeds", "on_new_data", "regrets", "regrets_of"]

Differences = Mapping[tuple[str, str], Estimate | None]
"""First minus second, in points, by ordered pair of methods; None: they share too little to say anything."""


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

    See `regrets_of`. A score that is NaN is left out.
    """
    differences = by_seeds(scores) if answers is None else on_new_data(scores, answers)
    return regrets_of(scores, differences, confidence, family)


def regrets_of(
    methods: Collection[str], differences: Differences, confidence: float = 0.95, family: int | None = None
) -> dict[str, Regret]:
    """The regret of each of `methods` among them, from the `differences` of its pairs.

    With a = 1 - confidence and k methods, b the truly best, d(j, i) = mean of j - mean of i:
    - upper bounds: max(0, max_j upper of d(j, i)), each at one-sided level a / (k - 1). All are right together with
      probability 1 - a, since each is implied by its comparison with b alone, and those are k - 1 (Hsu, Annals of
      Statistics 9, 1981, and 12, 1984; by Bonferroni here, which needs no equal spreads).
    - lower bounds: max(0, max_j lower of d(j, i)), each at a / (r (k - 1)), of r `methods`: every ordered pair may speak, so
      all of them are paid for, and no "beaten by more than the margin" is wrong with probability 1 - a. That still holds where
      methods so beaten leave, and the others are asked again among themselves (`beaten`): Holm's steps.
    A pair with fewer than 3 shared seeds, or without answers where these are asked for, bounds nothing: (0, inf).
    A lone method has (0, 0). `family`: k, where methods that are not in `methods` belong to the group too.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is outside (0, 1)")
    k = max(len(methods), family or 0)
    if len(methods) < 2:
        return {method: Regret(0.0, 0.0) for method in methods}
    upper, lower = (1 - confidence) / (k - 1), (1 - confidence) / (len(methods) * (k - 1))
    found = {}
    for method in methods:
        against = [differences[other, method] for other in methods if other != method]
        found[method] = Regret(
            max(0.0, *(estimate.lower(lower) for estimate in against if estimate is not None), 0.0),
            max(0.0, *(estimate.upper(upper) if estimate else float("inf") for estimate in against)),
        )
    return found


def beaten(
    methods: Collection[str],
    differences: Differences,
    margin: float,
    confidence: float = 0.95,
    family: int | None = None,
) -> dict[str, Regret]:
    """The regrets of `methods` by steps: what is outside leaves, and the others are compared again, until all that are left stay.

    What leaves keeps the bounds of its last step. Holm's procedure (Scand. J. Statistics 6, 1979): as long as no method within
    the margin has left, at least as many as there are of them are left, so that the next to leave wrongly does so with
    probability a / r at most for each of r.
    """
    family = max(len(methods), family or 0)
    found: dict[str, Regret] = {}
    left = list(methods)
    while True:
        found |= regrets_of(left, differences, confidence, family)
        staying = [method for method in left if found[method].status(margin) != "outside"]
        if len(staying) in (0, len(left)):
            return found
        left = staying


def by_seeds(
    scores: Mapping[str, Mapping[int, float]], answers: Mapping[str, Answers] | None = None
) -> dict[tuple[str, str], Estimate | None]:
    """On these test examples: chance is in the seeds. The pairs lend one another their spread (`stats.moderate`); where the
    seeds of one agree exactly, `answers` say more than they can."""
    pairs = list(combinations(scores, 2))
    shared = {pair: shared_seeds(*(scores[method] for method in pair)) for pair in pairs}
    values = {pair: [scores[pair[0]][seed] - scores[pair[1]][seed] for seed in shared[pair]] for pair in pairs}
    seeds = {pair: over_seeds(values[pair]) for pair in pairs if len(shared[pair]) >= FEWEST}
    spread = {pair: one for pair, one in seeds.items() if one and one.error}
    usual = prior(spread.values(), len({method for pair in spread for method in pair}))
    found: dict[tuple[str, str], Estimate | None] = {}
    for first, second in pairs:
        pair = first, second
        both = (answers[first], answers[second]) if answers and {first, second} <= answers.keys() else None
        estimate = moderated(spread[pair], usual) if pair in spread else None
        if pair in seeds and estimate is None:
            estimate = over_seeds_or_examples(values[pair], shared[pair], both)
        found[first, second], found[second, first] = estimate, estimate.turned if estimate else None
    return found


def on_new_data(
    scores: Mapping[str, Mapping[int, float]], answers: Mapping[str, Answers]
) -> dict[tuple[str, str], Estimate | None]:
    """On new data of this kind: chance is in the seeds and in the test examples."""
    values = {}
    for method in scores.keys() & answers.keys():
        seeds = sorted(scores[method].keys() & answers[method].predictions.keys())
        values[method] = dict(zip(seeds, answers[method].values(seeds), strict=True)) if seeds else {}
    found: dict[tuple[str, str], Estimate | None] = {}
    for first, second in combinations(scores, 2):
        a, b = values.get(first, {}), values.get(second, {})
        shared = [seed for seed in shared_seeds(scores[first], scores[second]) if seed in a.keys() & b.keys()]
        estimate: Estimate | None = None
        if len(shared) >= FEWEST:
            estimate = crossed(np.stack([a[seed] - b[seed] for seed in shared]))
            if not estimate.error:
                estimate = agreeing(estimate.value, answers[first], answers[second], shared, signs=False)
        found[first, second], found[second, first] = estimate, estimate.turned if estimate else None
    return found
