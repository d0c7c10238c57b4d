"""Score against cost: which methods are on the Pareto front, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["front", "front_probability"]


def front(scores: Mapping[str, float], costs: Mapping[str, float]) -> tuple[str, ...]:
    """The methods that no other one beats: none scores at least as much at no more cost, and is better in one of these.

    Cheapest first. Costs may be seconds, bytes, parameters: whatever is better when less.
    """
    names = sorted(scores, key=lambda name: (costs[name], -scores[name]))
    on = _on_front(np.array([[scores[name] for name in names]]), np.array([[costs[name] for name in names]]))[0]
    return tuple(name for name, is_on in zip(names, on, strict=True) if is_on)


def front_probability(
    scores: Mapping[str, Mapping[int, float]],
    costs: Mapping[str, Mapping[int, float]],
    generator: np.random.Generator,
    resamples: int = 2000,
) -> dict[str, float]:
    """How often each method is on the front of the mean scores and costs when the seeds are drawn anew, with replacement.

    method -> seed -> value. Seeds are drawn together for all methods, from those that all of them have (paired); raises
    ValueError where there is none. The bootstrap's share (Efron 1979): 1 for one seed is not sureness.
    """
    shared = sorted(set.intersection(*(set(by_seed) for table in (scores, costs) for by_seed in table.values())))
    if not shared:
        raise ValueError("no seed has every method's score and cost")
    weights = generator.multinomial(len(shared), np.full(len(shared), 1 / len(shared)), size=resamples) / len(shared)
    names = list(scores)
    score, cost = (
        weights @ np.array([[table[name][seed] for name in names] for seed in shared]) for table in (scores, costs)
    )
    return dict(zip(names, map(float, _on_front(score, cost).mean(0)), strict=True))


def _on_front(scores: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Both of shape (worlds, methods), as the result. Equal up to rounding is equal."""
    score, cost = np.round(scores, 9), np.round(costs, 9)
    as_good = (score[:, :, None] >= score[:, None, :]) & (cost[:, :, None] <= cost[:, None, :])
    better = (score[:, :, None] > score[:, None, :]) | (cost[:, :, None] < cost[:, None, :])
    return np.asarray(~(as_good & better).any(1))
