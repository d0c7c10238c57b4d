"""Worlds with a known truth: trials of several methods on one task, drawn from a latent normal (probit) model.

A trial of method i at seed s answers test example e rightly where

    ability_i + luck_is + ease_e + liking_ie + whim_ise > 0

ease: how easy the example is, to all methods alike (sd 1); liking: how well it suits one method (sd 0.2 to 0.6), so that
methods' answers to one example correlate; luck: what a seed does to all answers of a trial, partly shared by the methods
(the same data in the same order); whim: what it does to a single answer. Normal terms make the true mean score a closed
form, on the drawn test examples as on new ones. The spread of scores from seed to seed, luck and whim together, is drawn
from 0.5 to 3 points, as real trials have it. A collapsed trial gives one answer for all: class 1, or at times the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tuneworth.stats import Answers

Array = NDArray[np.float64]
SEEDS = 20
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(31)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class World:
    """`scores`, `collapsed`: (methods, seeds); `predictions`: (methods, seeds, examples); `baseline`: the score of always
    answering the majority class. The truth, per method in points: the expected score `here`, on these test examples, and
    `anywhere`, on new ones; and both of trials that do not collapse.
    """

    metric: str
    targets: NDArray[np.int64]
    predictions: NDArray[np.int64]
    scores: Array
    collapsed: NDArray[np.bool_]
    collapse: Array
    baseline: float
    here: Array
    anywhere: Array
    trained_here: Array
    trained_anywhere: Array

    def by_seed(self, method: int, seeds: int = SEEDS) -> dict[int, float]:
        return dict(enumerate(self.scores[method, :seeds].tolist()))

    def answers(self, method: int, seeds: int = SEEDS) -> Answers:
        return Answers(self.metric, self.targets, {seed: self.predictions[method, seed] for seed in range(seeds)})


def draw(
    generator: np.random.Generator,
    gaps: Array,
    collapse: Array,
    spread: tuple[float, float] = (0.5, 3.0),
    examples: tuple[int, int] = (100, 1500),
    twins: bool = False,
    metrics: Sequence[str] = ("accuracy", "f1"),
    positives: tuple[float, float] = (0.5, 0.7),
    other: float = 0.0,
    above: tuple[float, float] | None = None,
) -> World:
    """One world of len(gaps) methods. `gaps`: the true mean score of the best method less each one's, on new data, in
    points, shape (methods,); `collapse`: each one's probability of collapse. `twins`: methods that differ in nothing
    but their names, so that they are equal on these examples too. `positives`: the share of class 1 (MRPC has 0.68), which
    is the majority but for F1. `other`: the share of collapses that answer class 0, always. `above`: points between the best
    method and one answer for all."""
    n, k = int(np.exp(generator.uniform(*np.log(examples)))), len(gaps)
    metric = str(generator.choice(list(metrics)))
    share = generator.uniform(*positives)
    liking, together = generator.uniform(0.2, 0.6), generator.uniform(0, 0.6)
    seed_sd = generator.uniform(*spread, size=1 if twins else k) * np.ones(k)
    luck, whim = _latent_spread(seed_sd, generator.uniform(0.2, 0.8), n)
    if twins:
        collapse = np.full(k, collapse[0])

    floor = 100 * share if metric == "accuracy" else 200 * share / (1 + share)
    baseline, lowest = floor, 100 * (1 - share) if metric == "accuracy" else 0.0
    floor = (1 - other) * floor + other * lowest
    high = min(92.0, float((gaps + collapse * floor + (1 - collapse) * 96).min()))  # what every method can reach
    best = generator.uniform(min(high, max(80.0, floor + gaps.max() + 1)), high)
    if above is not None:
        best = baseline + generator.uniform(*above)
    aim = (best - gaps - collapse * floor) / (1 - collapse)  # of trials that do not collapse
    ability = np.array([_ability(*each, metric, share, liking) for each in zip(aim, luck, whim, strict=True)])
    anywhere = np.array([_expected(*each, metric, share, liking) for each in zip(ability, luck, whim, strict=True)])

    targets = (generator.random(n) < share).astype(np.int64)
    likes = liking * generator.normal(size=(1 if twins else k, n))
    ease = generator.normal(size=n) + likes * np.ones((k, 1))
    seed_luck = np.sqrt(together) * generator.normal(size=SEEDS) + np.sqrt(1 - together) * generator.normal(
        size=(k, SEEDS)
    )
    latent = (ability[:, None] + luck[:, None] * seed_luck)[..., None] + ease[:, None]
    correct = latent + whim[:, None, None] * generator.standard_normal((k, SEEDS, n), dtype=np.float32) > 0
    collapsed = generator.random((k, SEEDS)) < collapse[:, None]
    always = generator.random((k, SEEDS)) >= other  # answers class 1
    correct = np.where(collapsed[..., None], targets == always[..., None], correct)

    sure = ndtr((ability[:, None, None] + luck[:, None, None] * NODES[:, None] + ease[:, None]) / whim[:, None, None])
    expected = _score(metric, (sure * (targets == 1)).mean(-1), (sure * (targets == 0)).mean(-1))
    majority = _score(metric, targets.mean(), np.zeros(1))
    minority = _score(metric, np.zeros(1), 1 - targets.mean())
    fallen = (1 - other) * majority + other * minority
    rates = (correct & (targets == 1)).mean(-1), (correct & (targets == 0)).mean(-1)
    trained = expected @ WEIGHTS
    return World(
        metric, targets, np.where(correct, targets, 1 - targets), _score(metric, *rates), collapsed, collapse,
        float(majority[0]),
        (1 - collapse) * trained + collapse * fallen, (1 - collapse) * anywhere + collapse * floor, trained, anywhere,
    )  # fmt: skip


def _score(metric: str, right_1: Array, right_0: Array) -> Array:
    """Points, from the shares of examples that are rightly answered 1 and 0."""
    right = np.asarray(right_1 + right_0)
    if metric == "accuracy":
        return 100 * right
    return np.asarray(200 * right_1 / (2 * right_1 + 1 - right))


def _latent_spread(points: Array, part: float, n: int) -> tuple[Array, Array]:
    """Latent sds of luck and whim that give about this sd of scores, `part` of its variance from luck.

    Around 85 points one unit of ability is worth 100 * phi(1) = 24 points, and whim's share of the variance is
    100^2 * phi(1) * whim / sqrt(pi) / n.
    """
    slope = 0.24
    luck = np.sqrt(part) * points / 100 / slope
    whim = (1 - part) * np.square(points / 100) * n * np.sqrt(np.pi) / slope
    return luck, np.clip(whim, 0.02, 0.7)


def _expected(ability: float, luck: float, whim: float, metric: str, share: float, liking: float) -> float:
    """The mean score on new data of trials that do not collapse."""
    right = ndtr((ability + luck * NODES) / np.sqrt(1 + liking**2 + whim**2))
    return float(_score(metric, share * right, (1 - share) * right) @ WEIGHTS)


def _ability(aim: float, luck: float, whim: float, metric: str, share: float, liking: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(lambda a: _expected(a, luck, whim, metric, share, liking) - aim, ndtri(1e-6), ndtri(1 - 1e-6)))
