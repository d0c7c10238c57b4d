"""Chance from the test examples beside chance from the seeds: what a score says about new data of the same kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tuneworth.kinds import Kind, Meaning, Metric, get_metric, kind_of
from tuneworth.stats.agreeing import Agreeing
from tuneworth.stats.estimate import Estimate, over_seeds, settle
from tuneworth.stats.location import Interval

__all__ = ["Answers", "above_one_answer", "over_seeds_and_examples", "over_seeds_or_examples", "score_on_new_data"]


@dataclass(frozen=True, eq=False)
class Answers:
    """One method's test predictions in one cell. `metric`: a name of the kind's; `targets`: shape (n, ...), as the kind has
    them; `predictions`: the same, by seed. Raises ValueError where shapes differ."""

    metric: str
    targets: NDArray[Any]
    predictions: Mapping[int, NDArray[Any]]
    meaning: Meaning = Meaning()

    def __post_init__(self) -> None:
        shapes = {np.shape(self.targets)} | {np.shape(given) for given in self.predictions.values()}
        if len(shapes) > 1 or not np.shape(self.targets):
            raise ValueError(f"targets and each seed's predictions need one shape (n, ...); got {sorted(shapes)}")

    @property
    def _metric(self) -> Metric:
        return get_metric(self.metric, self.meaning)

    @property
    def _kind(self) -> Kind:
        return kind_of(self.metric, self.meaning)

    @property
    def counts(self) -> bool:
        """Whether the metric is the share of examples that were answered rightly."""
        return self._metric.right is not None

    def values(self, seeds: list[int]) -> NDArray[np.float64]:
        """Jackknife pseudo-values of the score, in points, shape (seeds, n)."""
        given = np.stack([self.predictions[seed] for seed in seeds])
        return self._metric.pseudo_values(self.targets, given, self.meaning)

    def right(self, seed: int) -> NDArray[np.bool_]:
        """Which examples were answered rightly, where the metric counts those: (n,)."""
        right = self._metric.right
        assert right is not None
        return np.asarray(right(self.targets, self.predictions[seed][None], self.meaning)[0])

    def one_answer(self, seed: int) -> bool:
        """Whether all predictions are the same, or nearly so."""
        return self._kind.one_answer(self.predictions[seed], self.targets)

    def usual(self, seeds: Sequence[int]) -> Answers:
        """What the most frequent target would have been worth as an answer to all."""
        answer = np.asarray(self._kind.constant(self.targets, self.metric, self.meaning))
        same = np.broadcast_to(answer, self.targets.shape)
        return Answers(self.metric, self.targets, dict.fromkeys(seeds, same), self.meaning)


def over_seeds_and_examples(first: Answers, second: Answers, seeds: Sequence[int] | None = None) -> Estimate | None:
    """The difference of two methods' scores, paired by seed and by example; None for fewer than 2 shared seeds.

    `seeds`: the only ones to use, where given. Raises ValueError where the metrics or the targets differ: then the
    examples are not the same ones.
    """
    if first.metric != second.metric or not np.array_equal(first.targets, second.targets):
        raise ValueError("two methods can be paired only over one metric and the same test examples")
    shared = sorted(first.predictions.keys() & second.predictions.keys())
    shared = [seed for seed in shared if seeds is None or seed in seeds]
    if len(shared) < 2:
        return None
    found = crossed(first.values(shared) - second.values(shared))
    return found if found.error else agreeing(found.value, first, second, shared, signs=False)


def over_seeds_or_examples(
    differences: Sequence[float], seeds: list[int], answers: tuple[Answers, Answers] | None
) -> Estimate | None:
    """`over_seeds` of the `differences` at `seeds`. Where all are the same, and `answers` hold these seeds, chance from the
    test examples stands in for chance from the seeds, which they do not show."""
    found = over_seeds(differences)
    if (
        found is None
        or found.error
        or answers is None
        or not all(set(seeds) <= one.predictions.keys() for one in answers)
    ):
        return found
    first, second = answers
    crossing = crossed(first.values(seeds) - second.values(seeds))
    exact = first.counts or not crossing.error
    return agreeing(found.value, first, second, seeds, signs=True) if exact else crossing


def above_one_answer(answers: Answers, baseline: float, seeds: list[int]) -> Estimate:
    """The score of a method whose `seeds`, 2 at least, agree, less that of one answer for all, `baseline`.

    By a share of right answers against the most frequent target, example by example (`Agreeing`); by another metric, whose
    examples' part has no exact test, against the baseline as a number (`crossed`).
    """
    if not answers.counts:
        return crossed(answers.values(seeds) - baseline)
    value = float(answers.values(seeds).mean()) - baseline
    return agreeing(value, answers, answers.usual(seeds), seeds, signs=True)


def agreeing(value: float, first: Answers, second: Answers, seeds: Sequence[int], signs: bool) -> Agreeing:
    """`value`, the difference at each of `seeds`, with what the two answered differently."""
    counts = []
    for seed in seeds if first.counts else ():
        a, b = first.right(seed), second.right(seed)
        counts.append((int((a & ~b).sum()), int((b & ~a).sum())))
    return Agreeing(value, 0.0, len(seeds) - 1, len(seeds), tuple(counts), len(first.targets), signs)


def score_on_new_data(answers: Answers, confidence: float = 0.95) -> Interval | None:
    """The interval of one method's mean score over new seeds and new examples; None for one seed."""
    seeds = sorted(answers.predictions)
    estimate = crossed(answers.values(seeds)) if len(seeds) > 1 else None
    return estimate.interval(confidence) if estimate else None


def crossed(values: NDArray[np.float64]) -> Estimate:
    """The mean of `values`, shape (seeds, examples), both of them drawn at random: a two-way random-effects layout.

    With mean squares A of seeds, B of examples and C of what is left, the mean's variance is (A + B - C) / (S * N), without
    bias (Searle, Casella & McCulloch, Variance Components, 1992); its degrees of freedom are Satterthwaite's (Biometrics
    Bulletin 2, 1946). Where chance makes C large, A or B alone is the lower limit. Resampling seeds and examples together
    (the pigeonhole bootstrap, Owen, Annals of Applied Statistics 1, 2007) has the expectation (A + B + C) / (S * N) up to
    O(1/S + 1/N): somewhat too wide. docs/evidence.md compares.
    """
    (seeds, examples), whole = values.shape, float(values.mean())
    a, b, c = mean_squares(values)
    variance = max(a + b - c, a, b)
    error = settle(float(np.sqrt(variance / values.size)), values)
    if error == 0:
        return Estimate(whole, 0.0, seeds - 1, seeds)
    spread = a**2 / (seeds - 1) + b**2 / max(1, examples - 1) + c**2 / ((seeds - 1) * max(1, examples - 1))
    return Estimate(whole, error, max(seeds - 1.0, variance**2 / spread), seeds)


def mean_squares(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Of seeds, of examples and of what is left; `values` as for `crossed`."""
    seeds, examples = values.shape
    rows, columns, whole = values.mean(1), values.mean(0), float(values.mean())
    a = examples * float(rows.var(ddof=1))
    b = seeds * float(columns.var(ddof=1)) if examples > 1 else 0.0
    rest = float(np.square(values - rows[:, None] - columns + whole).sum())
    return a, b, rest / ((seeds - 1) * max(1, examples - 1))
